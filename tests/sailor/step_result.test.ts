/** What a step's attempt leaves behind reaches the deck with its end, whatever happens in between. */
import assert from "node:assert/strict";
import { RuntimeError } from "../../lib/contracts/runtime.ts";
import type { StepTask, TaskDocument } from "../../lib/core/documents/task.ts";
import type { Assignment } from "../../lib/messages/session.ts";
import { OUTPUT_BYTES_MAX, STDOUT_BYTES_MAX } from "../../lib/core/outgoing.ts";
import { assignment, nameOf, Rig } from "./support/rig.ts";

const CAPTURE: StepTask = { script: null, capture: true };

function step(sailId: string, change: { task?: Partial<TaskDocument>; step?: StepTask } = {}): Assignment {
  const given = assignment(sailId, { task: change.task ?? {} });
  return { ...given, spec: { ...given.spec, step: change.step ?? CAPTURE } };
}

const NAME = nameOf("a");
const LARGE = "x".repeat(40_000);
const left = (output: string | null) => ({ leavings: { output, answer: null } });

Deno.test("the end of a step bears its result, and nothing before it does", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a")]);
  rig.engine.exit(NAME, 0, { output: "hello\n", ...left("a=1\n") });
  await rig.clock.settle();
  assert.deepEqual(deck.states("a"), ["preparing", "running", "completed"]);
  assert.deepEqual(deck.last("a").result, {
    stdout: "hello\n",
    stderr: "",
    truncated: false,
    output: "a=1\n",
    answer: null,
    problem: null,
  });
  assert(deck.reports("a").filter((r) => r.state !== "completed").every((r) => r.result === undefined));
  await rig.end();
});

Deno.test("the end of an ordinary task bears no result, and nothing is read", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a")]);
  rig.engine.exit(NAME, 0, { output: "hello\n" });
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "completed");
  assert.equal(deck.last("a").result, undefined);
  assert(!rig.engine.calls.includes(`leavings ${NAME}`));
  await rig.end();
});

Deno.test("a failed step and one that was stopped have a result, one that never ran has none", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a"), step("b"), step("c", { task: { image: "none:1" } })]);
  rig.engine.exit(NAME, 3, { output: "no\n" });
  deck.assign([{ ...step("b"), desired: "stop" }]);
  await rig.clock.settle();
  assert.deepEqual(["a", "b", "c"].map((id) => deck.last(id).state), ["failed", "stopped", "failed"]);
  assert.equal(deck.last("a").result?.stdout, "no\n");
  assert.equal(deck.last("b").result?.problem, null);
  assert.equal(deck.last("c").result, undefined);
  await rig.end();
});

Deno.test("an empty ORMEN_OUTPUT is none", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a")]);
  rig.engine.exit(NAME, 0, left(""));
  await rig.clock.settle();
  assert.equal(deck.last("a").result?.output, null);
  await rig.end();
});

Deno.test("what was printed is cut to its beginning, between two characters", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a")]);
  rig.engine.exit(NAME, 0, { output: `x${"ü".repeat(STDOUT_BYTES_MAX)}` });
  await rig.clock.settle();
  const { stdout, truncated } = deck.last("a").result!;
  assert.equal(truncated, true);
  assert.equal(stdout, `x${"ü".repeat(STDOUT_BYTES_MAX / 2 - 1)}`);
  await rig.end();
});

Deno.test("a result that cannot be read is told as a problem, the exit code stays", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a")]);
  rig.engine.fail("leavings", new RuntimeError("failed", "/ormen/output is no plain file any more"));
  rig.engine.exit(NAME, 0, { output: "hello\n" });
  await rig.clock.settle();
  const { state, result } = deck.last("a");
  assert.equal(state, "completed");
  assert.deepEqual([result?.stdout, result?.output], ["hello\n", null]);
  assert.equal(result?.problem, "/ormen/output is no plain file any more");
  await rig.end();
});

Deno.test("an Engine that is away is waited for before the end is told", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a")]);
  rig.engine.fail("leavings", new RuntimeError("unavailable", "no answer"));
  rig.engine.exit(NAME, 0, left("a=1"));
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "running");
  await rig.clock.advance(2_000);
  assert.equal(deck.last("a").state, "completed");
  assert.equal(deck.last("a").result?.output, "a=1");
  await rig.end();
});

Deno.test("an Engine that tells everything but the result does not keep the end back for ever", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a")]);
  for (let i = 0; i < 5; i++) rig.engine.fail("leavings", new RuntimeError("unavailable", "no answer"));
  rig.engine.exit(NAME, 0, left("a=1"));
  await rig.clock.advance(10_000);
  assert.equal(deck.last("a").state, "completed");
  assert.equal(deck.last("a").result?.problem, "no answer");
  await rig.end();
});

Deno.test("a container that vanished leaves no result", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a")]);
  rig.engine.vanish(NAME);
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "lost");
  assert.equal(deck.last("a").result, undefined);
  await rig.end();
});

Deno.test("one that vanishes while its result is read says so", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a")]);
  rig.engine.fail("leavings", new RuntimeError("missing", "no such container"));
  rig.engine.exit(NAME, 0, left("a=1"));
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "completed");
  assert.match(deck.last("a").result!.problem!, /container vanished/);
  await rig.end();
});

for (const [size, output] of [["small", "a=1"], ["large", LARGE]] as const) {
  Deno.test(`a ${size} result outlives a crash between the end and its acknowledgement`, async () => {
    const rig = new Rig();
    await rig.boot();
    const first = await rig.connect({ acknowledges: false });
    first.welcome([step("a")]);
    await rig.clock.settle();
    rig.engine.exit(NAME, 0, { output: "hello\n", ...left(output) });
    await rig.clock.settle();
    const { result } = first.last("a");
    assert.equal(result?.output, output);
    await rig.crash();
    // Only the container has it now, unless the journal does.
    rig.engine.calls.length = 0;
    await rig.boot();
    const second = await rig.connect();
    assert.deepEqual(second.hello.attempts.map((r) => [r.state, r.result]), [["completed", result]]);
    assert.equal(rig.engine.calls.includes(`leavings ${NAME}`), size === "large");
    second.welcome([step("a")]);
    await rig.clock.settle();
    assert.deepEqual(second.last("a").result, result);
    await rig.crash();
    await rig.boot();
    const third = await rig.connect();
    assert.deepEqual(third.hello.attempts, [], "what was acknowledged is told again");
    await rig.end();
  });
}

Deno.test("a large result that cannot be read yet after a restart keeps its attempt running, and no report of that is its end", async () => {
  const rig = new Rig();
  await rig.boot();
  const first = await rig.connect({ acknowledges: false });
  first.welcome([step("a")]);
  await rig.clock.settle();
  rig.engine.exit(NAME, 0, left(LARGE));
  await rig.clock.settle();
  assert.equal(first.last("a").state, "completed");
  await rig.crash();
  // At its beginning, and when the runtime says that it is there.
  for (let i = 0; i < 2; i++) rig.engine.fail("leavings", new RuntimeError("unavailable", "no answer"));
  await rig.boot();
  const second = await rig.connect();
  assert.deepEqual(second.hello.attempts.map((r) => [r.state, r.observed.exitCode]), [["running", 0]]);
  second.welcome([step("a")]);
  await rig.clock.settle();
  await rig.clock.advance(2_000);
  assert.equal(second.last("a").state, "completed");
  assert.equal(second.last("a").result?.output, LARGE);
  await rig.crash();
  await rig.boot();
  assert.deepEqual((await rig.connect()).hello.attempts, []);
  await rig.end();
});

Deno.test("a container that was removed between the end and its acknowledgement takes a large result along", async () => {
  const rig = new Rig();
  await rig.boot();
  const first = await rig.connect({ acknowledges: false });
  first.welcome([step("a")]);
  await rig.clock.settle();
  rig.engine.exit(NAME, 0, left(LARGE));
  await rig.clock.settle();
  await rig.crash();
  rig.engine.vanish(NAME);
  await rig.boot();
  const second = await rig.connect();
  assert.deepEqual(second.hello.attempts.map((r) => r.state), ["completed"]);
  assert.match(second.hello.attempts[0].result!.problem!, /container vanished/);
  await rig.end();
});

Deno.test("a deck that has lost what it was told is given the result again", async () => {
  const rig = new Rig();
  const deck = await rig.begin([step("a")]);
  rig.engine.exit(NAME, 0, left(LARGE));
  await rig.clock.settle();
  const { result } = deck.last("a");
  const again = await rig.connect();
  assert.deepEqual(again.hello.attempts, []);
  again.welcome([step("a")]);
  await rig.clock.settle();
  assert.equal(again.last("a").state, "completed");
  assert.deepEqual(again.last("a").result, result);
  await rig.end();
});

Deno.test("the answer to an earlier report does not acknowledge an end that is on its way to the journal", async () => {
  const rig = new Rig();
  await rig.boot();
  const first = await rig.connect({ acknowledges: false });
  first.welcome([step("a")]);
  await rig.clock.settle();
  const running = first.last("a");
  assert.equal(running.state, "running");
  let isFull = true;
  rig.fault = () => isFull ? "refuse" : "none";
  rig.engine.exit(NAME, 0, left("a=1"));
  await rig.clock.settle();
  first.acknowledge([running]);
  await rig.clock.settle();
  isFull = false;
  await rig.clock.advance(2_000);
  assert.equal(first.last("a").state, "completed");
  const second = await rig.connect();
  assert.deepEqual(second.hello.attempts.map((r) => r.state), ["completed"]);
  rig.logger.errors.length = 0;
  await rig.end();
});

Deno.test("results that do not fit into one frame come in several", async () => {
  const rig = new Rig();
  const ids = Array.from({ length: 40 }, (_, i) => `s${i}`);
  const huge = "y".repeat(OUTPUT_BYTES_MAX);
  await rig.boot();
  const first = await rig.connect({ acknowledges: false });
  first.welcome(ids.map((id) => step(id)));
  await rig.clock.settle();
  for (const id of ids) rig.engine.exit(nameOf(id), 0, left(huge));
  await rig.clock.settle();
  assert.equal(first.reports().filter((r) => r.result?.output === huge).length, 40);
  const again = await rig.connect();
  assert(again.hello.attempts.length < 40);
  again.welcome(ids.map((id) => step(id)));
  await rig.clock.settle();
  assert.equal(new Set(again.reports().filter((r) => r.result?.output === huge).map((r) => r.sailId)).size, 40);
  assert(
    again.of("reports").every((m) => m.reports.reduce((sum, r) => sum + (r.result?.output?.length ?? 0), 0) <= 2 ** 23),
  );
  await rig.end();
});

const OBSTACLES: readonly [name: string, task: Partial<TaskDocument>, script: string, says: RegExp][] = [
  [
    "a script and files that are too much together",
    { files: { "/a": "a".repeat(40_000) } },
    "b".repeat(10_000),
    /50000 bytes together/,
  ],
  ["a volume over /ormen", { volumes: ["data:/ormen"] }, "true", /the volume data:\/ormen hides \/ormen/],
  ["a volume in it", { volumes: ["data:/ormen/output:ro"] }, "true", /hides \/ormen/],
  ["a file in it", { files: { "/ormen/script": "echo other" } }, "true", /lies in \/ormen/],
];

for (const [name, task, text, says] of OBSTACLES) {
  Deno.test(`a step is refused before anything is made: ${name}`, async () => {
    const rig = new Rig();
    const deck = await rig.begin([step("a", { task, step: { script: { text, shell: ["sh"] }, capture: true } })]);
    assert.equal(deck.last("a").state, "failed");
    assert.equal(deck.last("a").cause, "notCreated");
    assert.match(deck.last("a").observed.message!, says);
    assert.deepEqual(rig.engine.calls, []);
    await rig.end();
  });
}

Deno.test("a step's script and its output file are asked of the runtime", async () => {
  const rig = new Rig();
  const script = { text: "echo hi", shell: ["sh", "-eu"] };
  await rig.begin([step("a", { step: { script, capture: true } }), assignment("b")]);
  const { spec } = rig.engine.container(NAME);
  assert.deepEqual([spec.script, spec.outputFile], [script, true]);
  const plain = rig.engine.container(nameOf("b")).spec;
  assert.deepEqual([plain.script, plain.outputFile], [undefined, undefined]);
  await rig.end();
});
