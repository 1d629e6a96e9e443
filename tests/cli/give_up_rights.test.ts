/** What a deck can no longer do once it has started, tried in processes of their own: rights that are given up do not come back. */
import assert from "node:assert/strict";

/** Each way to a program or to native code, tried; what it answered, by name. Run as the text of a function. */
async function tryAll(): Promise<Record<string, string>> {
  const tries: Record<string, () => unknown> = {
    spawn: () => new Deno.Command("true").outputSync().code,
    "node:child_process": async () => {
      const { spawn } = await import("node:child_process");
      return await new Promise((resolve, reject) => spawn("true").on("error", reject).on("exit", resolve));
    },
    "a shell": async () => (await import("node:child_process")).execSync("echo spawned"),
    "another's signal": () => Deno.kill(1, "SIGCONT"),
    dlopen: () => Deno.dlopen("libc.so.6", { getpid: { parameters: [], result: "i32" } }).symbols.getpid(),
    "a native module": async () => (await import("node:process")).default.dlopen({ exports: {} }, "/nowhere.node"),
    "its own memory": () => Deno.openSync("/proc/self/mem", { read: true, write: true }).close(),
    "its environment": () => Deno.readTextFileSync("/proc/self/environ").length,
    "to be asked again": async () => (await Deno.permissions.request({ name: "run" })).state,
    "a worker with more": () =>
      new Promise((resolve, reject) => {
        const source = "try { new Deno.Command('true').outputSync(); postMessage('spawned') } " +
          "catch (error) { postMessage(error.name) }";
        const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: "module" });
        worker.onmessage = ({ data }) => {
          worker.terminate();
          resolve(data);
        };
        worker.onerror = (event) => reject(event);
      }),
  };
  const answers: Record<string, string> = {};
  for (const [name, attempt] of Object.entries(tries)) {
    try {
      answers[name] = `${await attempt()}`;
    } catch (error) {
      answers[name] = (error as Error).name;
    }
  }
  return answers;
}

const REFUSED = {
  spawn: "NotCapable",
  "node:child_process": "NotCapable",
  "a shell": "Error",
  "another's signal": "NotCapable",
  dlopen: "NotCapable",
  "a native module": "NotCapable",
  "its own memory": "NotCapable",
  "its environment": "NotCapable",
  "to be asked again": "denied",
  "a worker with more": "NotCapable",
};

async function answersOf(script: string, flags: readonly string[]): Promise<Record<string, string>> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, script);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", ...flags, "--no-check", "--config", config, file],
    }).output();
    const said = new TextDecoder().decode(stdout);
    assert.ok(said.startsWith("{"), `${said}${new TextDecoder().decode(stderr)}`);
    return JSON.parse(said);
  } finally {
    await Deno.remove(file);
  }
}

const module = new URL("../../lib/cli/start_deck.ts", import.meta.url).href;
const report = `console.log(JSON.stringify(await (${tryAll})())); Deno.exit();`;

Deno.test("giveUpRights() leaves a deck that cannot start a program or load native code, by any way", async () => {
  const script = `
    const { giveUpRights } = await import(${JSON.stringify(module)});
    await giveUpRights();
    ${report}`;
  assert.deepEqual(await answersOf(script, ["-A", "--no-prompt"]), REFUSED);
});

Deno.test("the ways that are tried are ways: with all rights they lead somewhere", async () => {
  const all = await answersOf(report, ["-A", "--no-prompt"]);
  const { spawn, dlopen } = all;
  assert.deepEqual({ spawn, worker: all["a worker with more"], memory: all["its own memory"] }, {
    spawn: "0",
    worker: "spawned",
    memory: "undefined",
  });
  assert.match(dlopen, /^\d+$/);
  assert.deepEqual(Object.entries(all).filter(([, answer]) => answer === "NotCapable"), []);
});

Deno.test("the launcher's flags for a deck alone leave it just as little", async () => {
  const launcher = await Deno.readTextFile(new URL("../../tools/launcher.sh", import.meta.url));
  const limits = /limits="([^"]+)"/.exec(launcher)?.[1].split(" ") ?? [];
  assert.ok(limits.includes("--deny-run"));
  assert.deepEqual(await answersOf(report, ["-A", "--no-prompt", ...limits]), REFUSED);
});
