/**
 * The deck as its unit runs it, without systemd: a user of its own, no capabilities, no new privileges, a read-only system,
 * /tmp and /home of its own, /proc with processes alone, and two directories to write to.
 */
import assert from "node:assert/strict";
import { eventually } from "../fixtures/eventually.ts";
import { skipUnless } from "../fixtures/skip.ts";
import { freePorts, FROM_SOURCE, http, Process } from "./support.ts";

const USER = 61_234;
const TOKEN = "a-token-of-the-test-of-the-hardened-deck";
/** $1 is the program. Mounts are this namespace's alone and go with it. */
const AS_THE_UNIT = `set -eu
mount -t tmpfs tmpfs /opt && cp "$1" /opt/ormen && chmod 755 /opt /opt/ormen && shift
mkdir -m 700 /opt/credentials && echo ${TOKEN} >/opt/credentials/token-file
chmod 400 /opt/credentials/token-file && chown -R ${USER}:${USER} /opt/credentials
for dir in /var/lib /var/cache; do
  mount -t tmpfs -o mode=755 tmpfs $dir
  mkdir -m 700 $dir/ormen-deck && chown ${USER}:${USER} $dir/ormen-deck
done
mount -t tmpfs -o mode=000 tmpfs /root
mount -t tmpfs -o mode=000 tmpfs /home
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
mount -t proc -o hidepid=2,subset=pid proc /proc
mount -o remount,bind,ro /
mount -o remount,bind,ro /opt
cd /
exec setpriv --reuid ${USER} --regid ${USER} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \\
  /opt/ormen "$@"`;

const mayMount = Deno.build.os === "linux" && Deno.uid() === 0 && canMount();

Deno.test(
  "the deck works as its unit runs it: own user, no capabilities, read-only system, unpacked into its cache",
  skipUnless(mayMount && !FROM_SOURCE, "the unit's surroundings are made by root on Linux, for dist/ormen"),
  async () => {
    const [port] = freePorts(1);
    const args = ["deck", "-p", `${port}`, "-w", "", "--token-file", "/opt/credentials/token-file"];
    const deck = new Process(args, {
      through: ["unshare", "--mount", "--propagation", "private", "sh", "-c", AS_THE_UNIT, "sh"],
      env: { STATE_DIRECTORY: "/var/lib/ormen-deck", XDG_CACHE_HOME: "/var/cache/ormen-deck", HOME: "/" },
    });
    try {
      const url = `http://localhost:${port}`;
      await eventually(
        "the hardened deck is ready",
        async () => {
          assert.doesNotMatch(deck.log, /error|cannot/i);
          return await http("GET", `${url}/readyz`).then(({ status }) => status === 200, () => false);
        },
        60_000,
      );
      const authorization = { authorization: `Bearer ${TOKEN}` };
      const task = { name: "a", image: "x:1" };
      assert.equal((await http("POST", `${url}/v1/tasks`, task, authorization)).status, 201, "it writes its records");
      assert.equal((await http("POST", `${url}/v1/tasks`, task)).status, 401);

      const status = await Deno.readTextFile(`/proc/${deck.pid}/status`);
      const field = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1];
      assert.deepEqual(["Uid", "CapEff", "CapBnd", "NoNewPrivs"].map(field), [
        `${USER}`,
        "0000000000000000",
        "0000000000000000",
        "1",
      ]);
      const root = `/proc/${deck.pid}/root`;
      assert.deepEqual(names(`${root}/var/cache/ormen-deck`), ["ormen"], "it unpacked itself into its cache");
      assert.ok(names(`${root}/var/lib/ormen-deck`).length > 0);
      assert.deepEqual(names(`${root}/tmp`), [], "and left nothing elsewhere");
      const told = [...await shownByProc(deck.pid), deck.log, deck.out];
      assert.deepEqual(told.filter((text) => text.includes(TOKEN)), [], "its token is nowhere to be seen");
    } finally {
      assert.equal(await deck.end(), 0, deck.log);
    }
  },
);

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map((entry) => entry.name);
}

/** What `ps` shows to everybody, and what the process was started with. */
async function shownByProc(pid: number): Promise<string[]> {
  return await Promise.all(["cmdline", "environ"].map((name) => Deno.readTextFile(`/proc/${pid}/${name}`)));
}

function canMount(): boolean {
  try {
    const args = ["--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/opt"];
    return new Deno.Command("unshare", { args, stderr: "null" }).outputSync().success;
  } catch {
    return false; // There is no unshare here.
  }
}
