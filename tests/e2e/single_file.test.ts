/** dist/ormen alone: copied to hosts that have nothing of ours. How its launcher unpacks is tested in tests/tools. */
import assert from "node:assert/strict";
import { eventually } from "../fixtures/eventually.ts";
import { freePorts, FROM_SOURCE, http, ORMEN } from "./support.ts";

interface Host {
  readonly dir: string;
  readonly ormen: string;
  start(args: readonly string[], env?: Record<string, string>): Deno.ChildProcess;
}

/** The file in a directory with nothing else, and no environment but PATH. */
async function onBareHost(test: (host: Host) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "ormen-host-" });
  const ormen = `${dir}/ormen`;
  await Deno.copyFile(ORMEN, ormen);
  await Deno.mkdir(`${dir}/tmp`);
  try {
    await test({
      dir,
      ormen,
      start: (args, env = {}) =>
        new Deno.Command(ormen, {
          args: [...args],
          clearEnv: true,
          env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", TMPDIR: `${dir}/tmp`, ...env },
          cwd: dir,
          stdin: "null",
          stdout: "piped",
          stderr: "piped",
        }).spawn(),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function outcome(child: Deno.ChildProcess): Promise<string> {
  const { code, stdout, stderr } = await child.output();
  return `${code} ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`;
}

const ignore = FROM_SOURCE;

Deno.test("dist/ormen runs alone: ten first starts at once, without HOME, and with one that nobody can write to", {
  ignore,
}, () =>
  onBareHost(async (host) => {
    const firsts = await Promise.all(Array.from({ length: 10 }, () => outcome(host.start(["--version"]))));
    for (const first of firsts) assert.match(first, /^0 ormen \d+\.\d+\.\d+ \([^)]+\)\n$/);
    assert.equal(new Set(firsts).size, 1);

    assert.match(await outcome(host.start(["--help"], { HOME: "/proc" })), /^0 Usage: ormen/);
    assert.match(await outcome(host.start(["completions", "bash"])), /^0 # Completions of ormen/);
  }));

Deno.test(
  "dist/ormen is one process: its pid is the deck's, SIGTERM ends it with 0, and it cannot spawn",
  { ignore },
  () =>
    onBareHost(async (host) => {
      const [port] = freePorts(1);
      const flags = ["--data-dir", `${host.dir}/data`, "-w", ""];
      const deck = host.start(["deck", "-p", `${port}`, ...flags]);
      const url = `http://localhost:${port}`;
      await eventually("the deck is ready", async () => (await http("GET", `${url}/readyz`)).status === 200);
      const children = (await Deno.readTextFile(`/proc/${deck.pid}/task/${deck.pid}/children`)).trim();
      assert.equal(children, "", "no launcher stays around it, and it has started nothing");
      const listeners = await Deno.readTextFile(`/proc/${deck.pid}/net/tcp`);
      assert.ok(listeners.includes(`0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`), "loopback alone");
      // Where it runs on a deno of its own, its rights are in its arguments; the right to spawn is also given up at run time.
      const args = (await Deno.readTextFile(`/proc/${deck.pid}/cmdline`)).split("\0");
      if (args[0].endsWith("/deno")) {
        assert.deepEqual(["--deny-run", "--deny-ffi"].filter((flag) => !args.includes(flag)), []);
        assert.ok(args.some((arg) => /^--deny-net=.*docker\.sock/.test(arg)), "nor can it open the Engine");
      }
      const other = await outcome(host.start(["deck", "-p", `${port}`, "--data-dir", `${host.dir}/other`, "-w", ""]));
      assert.match(other, /^1 [\s\S]*error: the deck cannot listen on 127\.0\.0\.1:\d+: the port is in use\n/);
      deck.kill("SIGTERM");
      assert.match(await outcome(deck), /^0 /);
    }),
);
