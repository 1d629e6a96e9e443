/** readResult(): how much of a container's output is read, and what becomes of its bytes. */
import assert from "node:assert/strict";
import type { OutputChunk, Runtime } from "../../lib/contracts/runtime.ts";
import { RuntimeError } from "../../lib/contracts/runtime.ts";
import type { StepResult } from "../../lib/core/outgoing.ts";
import { STDOUT_BYTES_MAX } from "../../lib/core/outgoing.ts";
import { readResult } from "../../lib/sailor/step_result.ts";
import type { VirtualClock } from "../fixtures/virtual_clock.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";

type Logs = (signal: AbortSignal) => AsyncIterable<OutputChunk>;

const bytes = (...values: readonly number[]) => new Uint8Array(values);
const fill = (count: number, value = 65) => new Uint8Array(count).fill(value);

function read(logs: Logs, clock: VirtualClock = createVirtualClock()): Promise<StepResult> {
  const runtime: Pick<Runtime, "logs" | "leavings"> = {
    logs: (_name, _options, signal) => logs(signal),
    leavings: () => Promise.resolve({ output: null, answer: null }),
  };
  return readResult({ runtime: runtime as Runtime, name: "a", clock });
}

/** What was taken of it so far stands in the second. */
function source(chunks: readonly OutputChunk[]): [Logs, { taken: number }] {
  const count = { taken: 0 };
  return [async function* () {
    for (const chunk of chunks) {
      count.taken++;
      yield await Promise.resolve(chunk);
    }
  }, count];
}

const out = (data: Uint8Array): OutputChunk => ({ stream: "stdout", data });
const err = (data: Uint8Array): OutputChunk => ({ stream: "stderr", data });

Deno.test("readResult() keeps the two streams apart, and a character that came in two pieces whole", async () => {
  const [logs] = source([out(bytes(0xc3)), err(bytes(0xe2, 0x82)), out(bytes(0xbc)), err(bytes(0xac))]);
  const { stdout, stderr, truncated, problem } = await read(logs);
  assert.deepEqual([stdout, stderr, truncated, problem], ["ü", "€", false, null]);
});

Deno.test("readResult() replaces bytes that are no text, which may take more room than there is", async () => {
  const [few] = source([out(bytes(65, 0xff, 66, 0xc3))]);
  assert.equal((await read(few)).stdout, "A\ufffdB\ufffd");
  const [many] = source([out(fill(STDOUT_BYTES_MAX, 0xff))]);
  const { stdout, truncated } = await read(many);
  assert.deepEqual([stdout, truncated], ["\ufffd".repeat(Math.floor(STDOUT_BYTES_MAX / 3)), true]);
});

Deno.test("readResult() leaves a character out that the limit cuts in two", async () => {
  for (const character of ["ü", "€", "🚢"]) {
    const data = new TextEncoder().encode(character);
    const [logs] = source([out(fill(STDOUT_BYTES_MAX - data.length + 1)), out(data)]);
    const { stdout, truncated } = await read(logs);
    assert.deepEqual([stdout, truncated], ["A".repeat(STDOUT_BYTES_MAX - data.length + 1), true]);
  }
});

Deno.test("readResult() takes exactly as much as may be for all of it", async () => {
  const [logs] = source([out(fill(STDOUT_BYTES_MAX)), out(fill(0))]);
  assert.equal((await read(logs)).truncated, false);
});

Deno.test("readResult() finds what was printed behind any amount of the other stream", async () => {
  const [logs] = source([...Array(40).fill(err(fill(2 ** 20))), out(bytes(65))]);
  const { stdout, stderr } = await read(logs);
  assert.deepEqual([stdout, stderr.length], ["A", STDOUT_BYTES_MAX]);
});

Deno.test("readResult() reads no further than it must", async () => {
  const much = Array<OutputChunk>(100).fill(out(fill(2 ** 16)));
  const [both, ofBoth] = source([err(fill(STDOUT_BYTES_MAX + 1)), ...much]);
  assert.equal((await read(both)).truncated, true);
  assert.equal(ofBoth.taken, 3);
  const [one, ofOne] = source([...much, err(bytes(65))]);
  assert.equal((await read(one)).stderr, "");
  assert.ok(ofOne.taken < 20, `${ofOne.taken}`);
});

Deno.test("readResult() does not wait for ever for what was printed, and says so", async () => {
  const clock = createVirtualClock();
  const reading = read(async function* (signal) {
    yield out(bytes(65));
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  }, clock);
  await clock.advance(30_000);
  const { stdout, problem } = await reading;
  assert.deepEqual([stdout, problem], ["A", "what it printed could not be read within 30 s"]);
  assert.equal(clock.pending(), 0);
});

Deno.test("readResult() tells what could not be read beside what could, and throws while nobody answers", async () => {
  const failing = (error: Error): Logs =>
    // deno-lint-ignore require-yield
    async function* () {
      throw await Promise.resolve(error);
    };
  assert.equal((await read(failing(new Error("the log is corrupt")))).problem, "the log is corrupt");
  await assert.rejects(read(failing(new RuntimeError("unavailable", "no answer"))), { code: "unavailable" });
});
