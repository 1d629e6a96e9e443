/**
 * The session protocol against a hostile other end, both ways: messages that are nearly right, in any order. Nobody's
 * record changes but the sender's own, everything that is kept fits into the store, and others go on being served.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { VALUE_BYTES_MAX } from "../../lib/contracts/store.ts";
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
import { NO_LOCAL_USE } from "../../lib/core/mast.ts";
import { deckMessage, sailorMessage } from "../../lib/messages/session.ts";
import { spec } from "../core/support.ts";
import { helloOf, ScriptedSailor } from "../deck/support.ts";
import { assignment, CLUSTER, Rig, spec as sailorSpec } from "../sailor/support/rig.ts";
import { DeckWorld, TASK_ID } from "./deck_world.ts";
import type { Change, Cut } from "./mutations.ts";
import { changed, changes, cut, cuts } from "./mutations.ts";
import { fuzz, soon } from "./runs.ts";

interface Frame {
  readonly message: Record<string, unknown>;
  readonly changes: readonly Change[];
  readonly cuts: readonly Cut[];
}

function framesOf(messages: readonly unknown[]): fc.Arbitrary<readonly Frame[]> {
  return fc.array(
    fc.record({
      message: fc.constantFrom(...messages as Record<string, unknown>[]),
      changes,
      cuts: fc.oneof({ weight: 9, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: cuts }),
    }),
    { minLength: 1, maxLength: 5 },
  );
}

const textOf = ({ message, changes, cuts }: Frame, own: string) =>
  cut(JSON.stringify(changed(message, changes)).replaceAll(OWN, own), cuts);
const print = (frames: readonly Frame[]) =>
  `frames, in this order:\n${frames.map((frame) => textOf(frame, OWN).slice(0, 2_000)).join("\n")}`;

/** Stands in the messages for the task that runs on the hostile node. */
const OWN = "00000000-0000-4000-8000-00000000face";
const observed = {
  ...NOTHING_OBSERVED,
  containerId: "c0ffee",
  containerName: "ormen-x",
  ports: [{ container: 80, protocol: "tcp", hostIp: "0.0.0.0", host: 32768 }],
  healthOutput: "no",
  exitCode: 1,
  startedMs: 1_700_000_000_000,
  finishedMs: 1_700_000_000_000,
  message: "pulling",
  outputTail: "the end",
};
const reportOn = (sailId: string, state: string) => ({
  attemptId: `${sailId}-1`,
  sailId,
  number: 1,
  revision: 3,
  state,
  cause: state === "failed" ? "exited" : null,
  observed,
});
const RESULT = {
  stdout: "printed",
  stderr: "said",
  truncated: false,
  output: "KEY=value",
  answer: { status: 200, headers: { "content-type": "text/plain" } },
  problem: "unreadable",
};
const STATS = {
  memory: { total: 1 },
  disk: { all: 1, used: 0, free: 1, freeInodes: 1 },
  cpu: { id: "cpu", user: 1 },
  load: { last1min: 0.5 },
  taskCount: 1,
};

const FROM_SAILOR = [
  helloOf("evil", {
    abilities: ["steps"],
    stats: STATS,
    labels: { zone: "eu" },
    attempts: [reportOn(OWN, "running") as never],
  }),
  { ...helloOf("evil"), publicKey: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
  { kind: "proof", signature: "s".repeat(86) },
  { kind: "reports", reports: [reportOn(OWN, "running")] },
  { kind: "reports", reports: [reportOn(OWN, "failed")] },
  { kind: "reports", reports: [{ ...reportOn(OWN, "running"), observed: { ...observed, settled: true } }] },
  { kind: "reports", reports: [{ ...reportOn(OWN, "completed"), result: RESULT }] },
  { kind: "reports", reports: [reportOn(TASK_ID, "failed"), reportOn("nobody", "running")] },
  { kind: "heartbeat", local: { ...NO_LOCAL_USE, hostPorts: ["80/tcp"] }, stats: STATS },
  { kind: "leaving", reason: "so" },
  { kind: "refuse", code: "protocol", message: "so" },
  { kind: "from the future", x: 1 },
];

const plain = assignment("c");
const STEP = {
  ...plain,
  spec: { ...plain.spec, step: { script: { text: "true", shell: ["sh", "-eu"] }, capture: true } },
};
const HTTP = { url: "http://a/", method: "GET", headers: { a: "b" }, body: "c", timeoutMs: 1_000 };
const REQUEST = { ...STEP, spec: { ...STEP.spec, runtime: "http" as const, http: HTTP } };

const REPLICA = {
  ...assignment("d"),
  spec: { ...plain.spec, minHealthyMs: 1_000, bind: [{ variable: "WEB", service: "web" }] },
  services: { web: ["10.0.0.1:8080"] },
};

const FROM_DECK = [
  {
    kind: "welcome",
    protocol: 1,
    version: "test",
    clusterId: CLUSTER,
    term: 1,
    sessionId: "session",
    heartbeatMs: 2_000,
    timeoutMs: 10_000,
    assignments: [assignment("a", { task: { health: { tcp: 80 }, ports: ["80"], files: { "/a": "b" } } })],
  },
  {
    kind: "assign",
    term: 1,
    sequence: 1,
    assignments: [assignment("b", { task: { env: { A: "b" } } })],
    drop: ["a-1"],
  },
  { kind: "assign", term: 1, sequence: 2, assignments: [STEP, REQUEST, REPLICA], drop: [] },
  { kind: "assign", term: 1, sequence: 3, assignments: [assignment("a", { desired: "stop" })], drop: [] },
  { kind: "acknowledge", reports: [{ attemptId: "a-1", revision: 1 }] },
  { kind: "services", services: { web: ["10.0.0.1:8080", "10.0.0.2:8080"], none: [] } },
  { kind: "challenge", clusterId: CLUSTER, nonce: "n" },
  { kind: "ping" },
  { kind: "refuse", code: "staleTerm", message: "no" },
  { kind: "from the future", x: 1 },
];

/** The kinds that a protocol's schema knows. */
function kindsOf(schema: typeof sailorMessage | typeof deckMessage): string[] {
  return schema.options.map((option) => option.shape.kind.value).sort();
}

Deno.test("fuzz: there is an honest message of every kind to begin with", () => {
  const given = (messages: readonly { kind: string }[]) =>
    [...new Set(messages.map((m) => m.kind))].filter((kind) => kind !== "from the future").sort();
  assert.deepEqual(given(FROM_SAILOR), kindsOf(sailorMessage));
  assert.deepEqual(given(FROM_DECK), kindsOf(deckMessage));
});

Deno.test("fuzz: a hostile sailor's session", async () => {
  let world = await DeckWorld.start();
  let cases = 0;
  const honest = () => JSON.stringify(world.disk.records.get(JSON.stringify(["attempt", `${TASK_ID}-1`])));
  try {
    await fuzz({
      name: "sailor to deck",
      part: 0.15,
      cases: fc.record({ hellos: fc.nat(4).map((n) => n > 0), frames: framesOf(FROM_SAILOR) }),
      print: ({ frames }) => print(frames),
      async attempt({ hellos, frames }) {
        if (cases++ >= 50) {
          await world.end();
          world = await DeckWorld.start();
          cases = 1;
        }
        const { clock, deck, disk } = world;
        const sailor = new ScriptedSailor("evil");
        try {
          const before = honest();
          const own = `00000000-0000-4000-8000-${String(cases).padStart(12, "0")}`;
          deck.api.acceptSession(sailor.link, "10.0.0.66");
          if (hellos) {
            sailor.hello({ name: "evil" });
            await clock.settle();
            const document = spec({ name: `evil-${cases}`, constraints: ["node.name == evil"] });
            await deck.api.submit({ id: own, spec: document, original: null, originalEventId: null });
            await clock.settle();
          }
          const { sequence } = disk;
          for (const frame of frames) sailor.pair.near.send(textOf(frame, own));
          await soon("taking frames in", clock.settle());
          await clock.advance(100);
          if (honest() !== before) throw new Error("a hostile sailor changed another node's attempt");
          if (disk.sequence !== sequence) checkSizes(disk.records);
          await world.checkHealth();
        } catch (error) {
          cases = 50;
          throw error;
        } finally {
          sailor.pair.cut();
          await clock.settle();
        }
      },
    });
  } finally {
    await world.end();
  }
});

/** A record that does not fit makes the store refuse, and with it every write of everybody. */
function checkSizes(records: ReadonlyMap<string, unknown>): void {
  for (const [key, value] of records) {
    const bytes = new TextEncoder().encode(JSON.stringify(value)).length;
    if (bytes > VALUE_BYTES_MAX) throw new Error(`the record ${key.slice(0, 200)} takes ${bytes} bytes`);
  }
}

Deno.test("fuzz: a hostile deck's session", async () => {
  const local = sailorSpec({ name: "local" });
  const start = async () => {
    const rig = new Rig();
    await rig.boot();
    await rig.sailor.localSubmit({ id: TASK_ID, spec: local, original: null, originalEventId: null });
    await rig.clock.settle();
    return rig;
  };
  let rig = await start();
  let cases = 0;
  /** What was journalled has to be read again, whoever wrote it. */
  const end = async () => {
    await rig.crash();
    await rig.boot();
    if (!rig.task(TASK_ID)) throw new Error("the task of the sailor's own API is gone after a restart");
    if (rig.logger.errors.length > 0) throw new Error(`an error at a restart: ${rig.logger.errors[0].slice(0, 1_500)}`);
    await rig.sailor.stop();
    await rig.clock.settle();
  };
  await fuzz({
    name: "deck to sailor",
    part: 0.1,
    cases: fc.record({ welcomes: fc.nat(4).map((n) => n > 0), frames: framesOf(FROM_DECK) }),
    print: ({ frames }) => print(frames),
    async attempt({ welcomes, frames }) {
      try {
        const deck = await rig.connect();
        if (welcomes) deck.welcome([assignment("a")]);
        await rig.clock.settle();
        for (const frame of frames) deck.pair.far.send(textOf(frame, OWN));
        await soon("taking frames in", rig.clock.settle());
        await rig.clock.advance(100);
        if (rig.logger.errors.length > 0) throw new Error(`an error inside: ${rig.logger.errors[0].slice(0, 1_500)}`);
        const task = rig.task(TASK_ID);
        if (task?.state !== "running" && task?.state !== "preparing") {
          throw new Error(`the task of the sailor's own API is ${task?.state}`);
        }
        checkSizes(rig.disk.records);
        deck.pair.cut();
        await rig.clock.settle();
        // Whom this sailor obeys may have changed: the next cases begin with one that obeys anybody.
        if (cases++ % 10 === 9) {
          await end();
          rig = await start();
        }
      } catch (error) {
        rig = await start();
        throw error;
      }
    },
  });
  await end();
});
