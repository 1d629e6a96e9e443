/**
 * Runs a command where a Docker Engine answers. Called through `tools/with_engine.sh`.
 *
 * 1. An Engine that answers (DOCKER_HOST, else the default socket) is used as it is and never touched.
 * 2. Otherwise, as root on Debian or Ubuntu: Debian's packages are installed where missing, and a private dockerd runs for the
 *    command's duration (private_engine.ts).
 * 3. Otherwise the command runs with ORMEN_TEST_ENGINE=none; with ORMEN_REQUIRE_DOCKER=1 it does not run and this fails.
 *
 * The command's exit code is passed on. TERM, HUP and ctrl-C reach the command, and clean-up follows in every case.
 */
import { DEFAULT_HOST, engineAnswers } from "../tests/fixtures/engine.ts";
import { findStaticBusybox } from "../tests/fixtures/busybox.ts";
import { missingPackages, onDebianAsRoot, withPackages } from "./debian.ts";
import { type PrivateEngine, startPrivateEngine, sweepAbandonedEngines } from "./private_engine.ts";

const ANSWER_MS = 5_000;
const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type StopSignal = keyof typeof SIGNAL_NUMBERS;

let stopped: StopSignal | undefined;
let command: Deno.ChildProcess | undefined;

if (import.meta.main) {
  const [program, ...args] = Deno.args;
  if (program === undefined) {
    console.error("usage: with_engine.sh CMD...");
    Deno.exit(2);
  }
  for (const signal of Object.keys(SIGNAL_NUMBERS) as StopSignal[]) {
    Deno.addSignalListener(signal, () => stop(signal));
  }
  Deno.exit(await main(program, args));
}

async function main(program: string, args: string[]): Promise<number> {
  const given = Deno.env.get("DOCKER_HOST") || DEFAULT_HOST;
  const answer = await engineAnswers(given, ANSWER_MS);
  const missing = missingPackages(answer !== true, findStaticBusybox() === undefined);
  if (answer === true && missing.length === 0) return await run(program, args, {});

  if (!onDebianAsRoot()) {
    const lacks = answer === true
      ? "the test images need a static busybox"
      : `no Docker Engine answers at ${given} (${answer})`;
    const why = `${lacks}, and one can be set up only as root on Debian or Ubuntu`;
    if (Deno.env.get("ORMEN_REQUIRE_DOCKER") === "1") {
      say(`${why}; ORMEN_REQUIRE_DOCKER=1 asks for one`);
      return 1;
    }
    say(`${why}; going on without`);
    return await run(program, args, { ORMEN_TEST_ENGINE: "none" });
  }

  const install = missing.length === 0 ? "" : `installing ${missing.join(", ")}`;
  const start = answer === true ? "" : `no Docker Engine answers at ${given}: starting a private one`;
  say([start, install].filter(Boolean).join(", "));
  let engine: PrivateEngine | undefined;
  try {
    await withPackages(missing);
    if (answer === true) return await run(program, args, {});
    await sweepAbandonedEngines();
    if (stopped !== undefined) return 128 + SIGNAL_NUMBERS[stopped];
    engine = await startPrivateEngine(() => stopped !== undefined);
    if (stopped !== undefined) return 128 + SIGNAL_NUMBERS[stopped];
    return await run(program, args, { DOCKER_HOST: engine.host, DOCKER_TLS_VERIFY: "", DOCKER_CERT_PATH: "" });
  } catch (error) {
    if (stopped !== undefined) return 128 + SIGNAL_NUMBERS[stopped];
    say(error instanceof Error ? error.message : String(error));
    return 1;
  } finally {
    await engine?.stop();
  }
}

async function run(program: string, args: string[], env: Record<string, string>): Promise<number> {
  if (stopped !== undefined) return 128 + SIGNAL_NUMBERS[stopped];
  try {
    command = new Deno.Command(program, { args, env, stdin: "inherit", stdout: "inherit", stderr: "inherit" }).spawn();
  } catch (error) {
    say(`cannot run ${program}: ${error instanceof Error ? error.message : error}`);
    return 127;
  }
  const status = await command.status;
  command = undefined;
  return stopped === undefined ? status.code : 128 + SIGNAL_NUMBERS[stopped];
}

/** Passes a signal on to the command, whose end then leads to clean-up; a command that will not end is killed. */
function stop(signal: StopSignal): void {
  stopped ??= signal;
  // After ctrl-C the terminal has told the command itself: a second signal would look like impatience.
  const told = signal === "SIGINT" && Deno.stdin.isTerminal();
  const child = command;
  if (child === undefined) return;
  const tell = (name: Deno.Signal) => {
    try {
      child.kill(name);
    } catch { /* it has ended already */ }
  };
  if (!told) tell(signal);
  Deno.unrefTimer(setTimeout(() => tell("SIGKILL"), 10_000));
}

function say(text: string): void {
  console.error(`with_engine: ${text}`);
}
