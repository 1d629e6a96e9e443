/** Messages that would harm whoever kept or obeyed them: refused, or cut to what a record holds. */
import assert from "node:assert/strict";
import { VALUE_BYTES_MAX } from "../../lib/contracts/store.ts";
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
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

const FROM_DECK: readonly [name: string, message: unknown, says: RegExp][] = [
  ["a beat each millisecond", { ...welcome, heartbeatMs: 1 }, /heartbeatMs/],
  ["a cluster id that is a path", { ...welcome, clusterId: "../c" }, /not an id/],
  ["a specification without ports", withSpec({ ports: undefined }), /ports/],
  ["a probe of no kind", withSpec({ health: { probe: {} } }), /health/],
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
