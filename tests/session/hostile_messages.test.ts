/** Messages that would harm whoever kept or obeyed them: refused, or cut to what a record holds. */
import assert from "node:assert/strict";
import { VALUE_BYTES_MAX } from "../../lib/contracts/store.ts";
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
import { HEADERS_BYTES_MAX, OUTPUT_BYTES_MAX } from "../../lib/core/outgoing.ts";
import { parseDeckMessage, parseSailorMessage } from "../../lib/messages/session.ts";
import { helloOf } from "../deck/support.ts";
import { assignment } from "../sailor/support/rig.ts";

const reports = (observed: Record<string, unknown>, attemptId = "a-1") => ({
  kind: "reports",
  reports: [{
    attemptId,
    sailId: "a",
    number: 1,
    revision: 1,
    state: "running",
    cause: null,
    observed: { ...NOTHING_OBSERVED, ...observed },
  }],
});
const labels = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, "v".repeat(1_000)]));

const FROM_SAILOR: readonly [name: string, message: unknown, says: RegExp][] = [
  ["a time that no date holds", reports({ startedMs: 1e300 }), /startedMs/],
  ["labels larger than a record", helloOf("n", { labels }), /labels take at most 32 KiB together/],
  ["a name that clears the screen", helloOf("n", { name: "\u001b[2J" }), /control characters/],
  ["a node id that is a path", helloOf("../n"), /not an id/],
  ["an attempt id that is a path", reports({}, "../../etc-1"), /not an id/],
  ["a result without outputs", { kind: "reports", reports: [{ ...reports({}).reports[0], result: {} }] }, /result/],
  ["more abilities than anybody has", helloOf("n", { abilities: Array(33).fill("a") }), /abilities/],
  ["a capacity below nothing", helloOf("n", { capacity: { cpuCores: -1, memoryBytes: 0, diskBytes: 0 } }), /capacity/],
];

for (const [name, message, says] of FROM_SAILOR) {
  Deno.test(`a deck refuses of a sailor: ${name}`, () => {
    const parsed = parseSailorMessage(JSON.stringify(message));
    assert.equal(parsed.kind, "bad");
    assert.match((parsed as { problem: string }).problem, says);
  });
}

Deno.test("texts of a report are cut to what a record holds, the output's end kept", () => {
  const huge = "\0".repeat(100_000);
  const parsed = parseSailorMessage(JSON.stringify(reports({
    message: huge,
    healthOutput: "ä".repeat(100_000),
    outputTail: `${huge}the end`,
    ports: Array(256).fill({ container: 65_535, protocol: "tcp", hostIp: "f".repeat(45), host: 65_535 }),
  })));
  assert(parsed.kind === "message" && parsed.message.kind === "reports");
  const { observed } = parsed.message.reports[0];
  assert.match(observed.outputTail!, /the end$/);
  assert(new TextEncoder().encode(JSON.stringify(observed)).length < VALUE_BYTES_MAX - 2_048);
});

const RESULT = { stdout: "", stderr: "", truncated: false, output: null, answer: null, problem: null };
function resultOf(change: Record<string, unknown>) {
  const [report] = reports({}).reports;
  const message = { kind: "reports", reports: [{ ...report, state: "completed", result: { ...RESULT, ...change } }] };
  const parsed = parseSailorMessage(JSON.stringify(message));
  assert(parsed.kind === "message" && parsed.message.kind === "reports", JSON.stringify(parsed));
  return parsed.message.reports[0].result!;
}

Deno.test("what a step printed is cut to its beginning, and says so", () => {
  const { stdout, stderr, truncated } = resultOf({ stdout: `${"ü".repeat(40_000)}end`, stderr: "ü".repeat(40_000) });
  assert.deepEqual([stdout, stderr, truncated], ["ü".repeat(32_768), "ü".repeat(32_768), true]);
  assert.equal(resultOf({ stdout: "ü".repeat(32_768) }).truncated, false);
});

Deno.test("outputs of a step that are too large are left out whole, with a sentence", () => {
  assert.equal(resultOf({ output: "x".repeat(OUTPUT_BYTES_MAX) }).output?.length, OUTPUT_BYTES_MAX);
  const { output, problem } = resultOf({ output: "x".repeat(OUTPUT_BYTES_MAX + 1) });
  assert.equal(output, null);
  assert.match(problem!, /more than 256 KiB/);
});

Deno.test("headers of an answer are kept as far as they fit, a text that is none is mended", () => {
  const headers = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`h${i}`, "v".repeat(200)]));
  const kept = resultOf({ answer: { status: 200, headers } }).answer!.headers;
  const bytes = Object.entries(kept).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  assert(bytes > HEADERS_BYTES_MAX - 500 && bytes <= HEADERS_BYTES_MAX, `${bytes}`);
  assert.equal(resultOf({ stdout: "a\ud800b" }).stdout, "a\ufffdb");
});

const welcome = {
  kind: "welcome",
  protocol: 1,
  version: "test",
  clusterId: "c",
  term: 1,
  sessionId: "s",
  heartbeatMs: 2_000,
  timeoutMs: 10_000,
  assignments: [],
};
const withSpec = (change: Record<string, unknown>) => {
  const honest = assignment("a");
  return {
    kind: "assign",
    term: 1,
    sequence: 1,
    drop: [],
    assignments: [{ ...honest, spec: { ...honest.spec, ...change } }],
  };
};

const HTTP = { url: "http://a/", method: "GET", headers: {}, body: null, timeoutMs: null };

const FROM_DECK: readonly [name: string, message: unknown, says: RegExp][] = [
  ["a beat each millisecond", { ...welcome, heartbeatMs: 1 }, /heartbeatMs/],
  ["a cluster id that is a path", { ...welcome, clusterId: "../c" }, /not an id/],
  ["a specification without ports", withSpec({ ports: undefined }), /ports/],
  ["a probe of no kind", withSpec({ health: { probe: {} } }), /health/],
  ["a script without a shell", withSpec({ step: { script: { text: "", shell: [] }, capture: true } }), /step/],
  ["a method of two words", withSpec({ http: { ...HTTP, method: "GET /" } }), /method/],
  ["a request without a URL", withSpec({ http: { ...HTTP, url: "" } }), /url/],
  ["a grace without end", { ...withSpec({}), assignments: [assignment("a", { graceMs: 1e300 })] }, /graceMs/],
];

for (const [name, message, says] of FROM_DECK) {
  Deno.test(`a sailor refuses of a deck: ${name}`, () => {
    const parsed = parseDeckMessage(JSON.stringify(message));
    assert.equal(parsed.kind, "bad");
    assert.match((parsed as { problem: string }).problem, says);
  });
}

Deno.test("keys of a specification that a newer deck knows are kept", () => {
  const parsed = parseDeckMessage(JSON.stringify(withSpec({ fromTheFuture: 1 })));
  assert(parsed.kind === "message" && parsed.message.kind === "assign");
  assert.equal((parsed.message.assignments[0].spec as unknown as { fromTheFuture: number }).fromTheFuture, 1);
});
