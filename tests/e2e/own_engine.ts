/**
 * An Engine of the test's own, started as `make test` starts one, so that no other test loses its containers when it is
 * stopped, hung or killed.
 */
import { skipUnlessRequired } from "../fixtures/skip.ts";
import { dockerAt, type Engine, engineAnswers } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { onDebianAsRoot } from "../../tools/debian.ts";

const SBIN = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
const mayStart = onDebianAsRoot() && Deno.env.get("ORMEN_TEST_ENGINE") !== "none" &&
  (await sh("command -v dockerd")).success;

function sh(script: string, ...args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command("sh", { args: ["-c", script, "sh", ...args], env: { PATH: SBIN }, stdin: "null" }).output();
}

/** Registers a test with an Engine that is its alone, from start to end. */
export function testWithOwnEngine(name: string, fn: (own: OwnEngine) => Promise<void>): void {
  Deno.test({
    name,
    ...skipUnlessRequired(mayStart, `"${name}" starts an Engine of its own, which takes root on Debian`),
    async fn() {
      const own = await OwnEngine.start();
      try {
        await fn(own);
      } finally {
        await own.end();
      }
    },
  });
}

/** Its directory holds its socket and its process id. */
export class OwnEngine {
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

  /** It keeps its connections and answers nothing while `meanwhile` runs. */
  async hung(meanwhile: () => Promise<void>): Promise<void> {
    const { pid } = this;
    Deno.kill(pid, "SIGSTOP");
    try {
      await meanwhile();
    } finally {
      Deno.kill(pid, "SIGCONT");
    }
  }

  /** Ends it by `signal`, calls `meanwhile`, and starts it again as it was. */
  async away(signal: "SIGKILL" | "SIGTERM", meanwhile: () => Promise<void>): Promise<void> {
    const { pid } = this;
    const args = (await Deno.readTextFile(`/proc/${pid}/cmdline`)).split("\0").slice(0, -1);
    Deno.kill(pid, signal);
    await eventually("it is gone", async () => {
      return !isAlive(pid) && await engineAnswers(this.engine.host, 1_000) !== true;
    }, 60_000);
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

/** One that has ended and is not reaped counts as dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
