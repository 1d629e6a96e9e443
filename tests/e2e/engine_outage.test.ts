/**
 * An Engine that hangs, dies and comes back. It is one of the test's own, started as `make test` starts one, so that no other
 * test loses its containers.
 */
import assert from "node:assert/strict";
import { skipUnlessRequired } from "../fixtures/skip.ts";
import { dockerAt, type Engine, engineAnswers } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { onDebianAsRoot } from "../../tools/debian.ts";
import { Fleet } from "./support.ts";

const SBIN = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
const mayStart = onDebianAsRoot() && Deno.env.get("ORMEN_TEST_ENGINE") !== "none" &&
  (await sh("command -v dockerd")).success;

function sh(script: string, ...args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command("sh", { args: ["-c", script, "sh", ...args], env: { PATH: SBIN }, stdin: "null" }).output();
}

/** Its directory holds its socket and its process id. */
class OwnEngine {
  private constructor(readonly engine: Engine, readonly dir: string, readonly keeper: Deno.ChildProcess) {}

  static async start(): Promise<OwnEngine> {
    const tool = new URL("../../tools/with_engine.ts", import.meta.url).pathname;
    // It ends when its command does: when standard input is closed.
    const keeper = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--node-modules-dir=manual", "-A", tool, "sh", "-c", 'echo "$DOCKER_HOST"; exec cat'],
      env: { DOCKER_HOST: "unix:///nowhere/docker.sock" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const output = keeper.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const host = (await output.read()).value!.trim();
    await output.cancel();
    return new OwnEngine({ docker: dockerAt(host), host }, host.replace(/^unix:\/\/(.*)\/docker\.sock$/, "$1"), keeper);
  }

  get pid(): number {
    return Number(Deno.readTextFileSync(`${this.dir}/pid`));
  }

  /** Kills it, calls `meanwhile`, and starts it again as it was. */
  async away(meanwhile: () => Promise<void>): Promise<void> {
    const { pid } = this;
    const args = (await Deno.readTextFile(`/proc/${pid}/cmdline`)).split("\0").slice(0, -1);
    Deno.kill(pid, "SIGKILL");
    await eventually("it is dead", async () => await engineAnswers(this.engine.host, 1_000) !== true);
    await meanwhile();
    // Where nobody reaps the dead, its containerd would seem to live.
    await sh(
      'dir=$1; shift; rm -f "$dir/pid" "$dir/exec/containerd/containerd.pid"; setsid "$@" >>"$dir/log" 2>&1 </dev/null &',
      this.dir,
      ...args,
    );
    await eventually("it answers again", async () => await engineAnswers(this.engine.host, 1_000) === true, 60_000);
  }

  async end(): Promise<void> {
    await this.keeper.stdin.close();
    await this.keeper.status;
  }
}

Deno.test({
  name: "an Engine that hangs, dies and comes back: what should run runs, what was stopped stays stopped",
  ...skipUnlessRequired(mayStart, "an Engine of its own is started by root on Debian only"),
  async fn() {
    const own = await OwnEngine.start();
    try {
      await Fleet.use(own.engine, {}, async (fleet) => {
        await fleet.submit({ name: "always", image, restart: "always", cmd: ["sleep", "1000"] });
        await fleet.submit({ name: "once", image, reschedule: false, cmd: ["sh", "-c", "echo said; sleep 1000"] });
        await fleet.submit({ name: "doomed", image, restart: "always", cmd: ["sleep", "1000"] });
        for (const name of ["always", "once", "doomed"]) await fleet.until(name, "running");
        const before = await fleet.task("always");

        Deno.kill(own.pid, "SIGSTOP");
        await fleet.submit({ name: "late", image, cmd: ["sleep", "1000"] });
        Deno.kill(own.pid, "SIGCONT");
        await fleet.until("late", "running");

        await own.away(async () => {
          await fleet.ok("stop", "doomed");
          await fleet.submit({ name: "waits", image, cmd: ["sleep", "1000"] });
        });
        await fleet.until("doomed", "stopped", 60_000);
        await fleet.until("always", "running");
        const running = (task: string) =>
          fleet.containers(false).then((all) => all.filter((container) => container.task === task).length);
        await eventually("it runs in one container", async () => await running(before.id) === 1);
        assert.equal(await running((await fleet.task("doomed")).id), 0);
        // An Engine that starts ends what its predecessor left running.
        const once = await fleet.until("once", "failed");
        assert.notEqual(once.attempt!.exitCode, 0);
        assert.equal(once.attempt!.oomKilled, false);
        assert.equal(await running(once.id), 0);
        await fleet.until("waits", "running");
        assert.equal((await fleet.task("always")).attempts, 1, "restarted in place");
        assert.equal(await fleet.ok("logs", "once"), "said\n");
        assert.equal((await fleet.run("exec", "always", "--", "true")).code, 0);
      });
    } finally {
      await own.end();
    }
  },
});
