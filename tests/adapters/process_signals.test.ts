import assert from "node:assert/strict";
import { signalNumber } from "../../lib/adapters/process_signals.ts";
import { createProcessRuntime } from "../../lib/adapters/process_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import type { Runtime } from "../../lib/contracts/runtime.ts";
import { eventually } from "../fixtures/eventually.ts";
import { never, plainSpec, text } from "../contracts/runtime.contract.ts";

const GRACE_MS = 10_000;
const NUMBERS: readonly (readonly [string, number])[] = [
  ["SIGTERM", 15],
  ["SIGINT", 2],
  ["9", 9],
  ["SIGRTMIN", 34],
  ["SIGRTMIN+3", 37],
  ["SIGRTMAX-2", 62],
];
for (const [name, number] of NUMBERS) {
  Deno.test(`signalNumber() ${name}`, () => assert.equal(signalNumber(name), number));
}
for (const name of ["0", "65", "SIGNOPE", "SIGRTMAX+1", "TERM", ""]) {
  Deno.test(`signalNumber() refuses "${name}"`, () => assert.throws(() => signalNumber(name), { code: "invalid" }));
}

/** A process that outlives its sailor is waited for by nobody, which the sanitizers take for a leak. */
function test(name: string, fn: (runtime: Runtime, dir: string) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const stateDir = await Deno.makeTempDir({ prefix: "ormen-signals-" });
      const logger = { debug() {}, info() {}, warn() {}, error() {} };
      const runtime = await createProcessRuntime({ stateDir, nodeId: "node", clock: createSystemClock(), logger });
      try {
        await fn(runtime, stateDir);
      } finally {
        for (const { name } of await runtime.list()) await runtime.remove(name);
        await runtime.close();
        await Deno.remove(stateDir, { recursive: true });
      }
    },
  });
}

test("stop() of a host process sends the signal of its document, and at once after its start", async (runtime) => {
  for (
    const [stopSignal, code] of [["SIGINT", 130], ["SIGQUIT", 131], ["SIGALRM", 142], ["15", 143], [
      "SIGRTMIN+3",
      165,
    ]] as const
  ) {
    const name = `on-${code}`;
    await runtime.create({ ...plainSpec(name), stopSignal, cmd: ["sleep", "1000"] }, never());
    await runtime.start(name);
    await runtime.stop(name, GRACE_MS);
    const { exitCode, startedMs, finishedMs } = (await runtime.inspect(name))!;
    assert.equal(exitCode, code, stopSignal);
    assert.ok(finishedMs! - startedMs! < GRACE_MS, `${stopSignal} was not heard`);
  }
});

test("create() of a host process refuses a signal that there is none of", async (runtime) => {
  const spec = { ...plainSpec("a"), stopSignal: "SIGNOPE", cmd: ["true"] };
  await assert.rejects(runtime.create(spec, never()), { code: "invalid" });
  assert.equal(await runtime.inspect("a"), undefined);
});

test("a command whose shim is killed does not live on", async (runtime, dir) => {
  await runtime.create({ ...plainSpec("a"), cmd: ["sh", "-c", "echo $$; sleep 1000; :"] }, never());
  await runtime.start("a");
  const command = Number(await eventually("it tells its pid", () => text(runtime, "a")));
  const shim = Number(await Deno.readTextFile(`${dir}/a/pid`));
  assert.notEqual(command, shim);
  Deno.kill(shim, "SIGKILL");
  const seen = await eventually("its end is seen", async () => {
    const found = await runtime.inspect("a");
    return found?.status === "exited" && found;
  });
  assert.equal(seen.exitCode, 137);
  assert.match(seen.error!, /killed together with what watched it/);
  assert.ok(seen.finishedMs);
  await eventually("the command is gone", () => !isAlive(command));
});

test("output of a host process is moved away when it has grown, without a sailor's help", async (runtime, dir) => {
  const script = "head -c 11000000 /dev/zero; echo; echo newest; sleep 1000";
  await runtime.create({ ...plainSpec("a"), cmd: ["sh", "-c", script] }, never());
  await runtime.start("a");
  await runtime.close();
  await eventually("the old part is beside it", () => Deno.stat(`${dir}/a/stdout.1`).catch(() => undefined));
  await eventually("the new part is empty", async () => (await Deno.stat(`${dir}/a/stdout`)).size === 0);
  assert.equal(await text(runtime, "a", { tail: 1 }), "newest\n");
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
