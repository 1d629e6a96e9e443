/**
 * Chaos: users submit and stop tasks over three sailors on a real Engine while deck, sailors or both are killed outright at
 * random moments. Then faults stop, and what was acknowledged must be true.
 *
 * ORMEN_CHAOS_SECONDS is how long the faults last (20), ORMEN_CHAOS_TASKS how many tasks there are (60),
 * ORMEN_CHAOS_SEED which moments and victims are drawn (random; printed). `make chaos` runs three minutes with 200 tasks.
 * The seed repeats what is drawn, not how the machine answers: a failure names it, but may take several runs to come again.
 */
import assert from "node:assert/strict";
import type { TaskView } from "../../lib/messages/api.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { pacing, seeded } from "./chance.ts";
import { EngineRecord, madeTwice, overlaps, type RecordedEvent } from "./engine_record.ts";
import { resourcesAreBack, resourcesOf } from "./resources.ts";
import { Fleet } from "./support.ts";

const SECONDS = Number(Deno.env.get("ORMEN_CHAOS_SECONDS") ?? 20);
const TASKS = Number(Deno.env.get("ORMEN_CHAOS_TASKS") ?? 60);
const SEED = Number(Deno.env.get("ORMEN_CHAOS_SEED") || Math.floor(Math.random() * 2 ** 31));
const SAILORS = 3;
/** lib/sailor/retention.ts: the newest 50 of a sailor stay, looked at once a minute. */
const KEPT_PER_SAILOR = 50;
/** Room for those that live at once on two cores; a container with a smaller cap takes seconds to start. */
const CPU = Math.min(0.03, 2.4 / TASKS);

/** Short tasks end by themselves, with a code that is known; long ones run until they are stopped. */
interface Planned {
  readonly name: string;
  readonly cmd: string[];
  readonly restart: string;
  /** Null: it does not end by itself. */
  readonly exitCode: number | null;
}

interface Acknowledged {
  readonly planned: Planned;
  readonly id: string;
  /** A stop was answered. */
  stopped: boolean;
  /** A stop was asked for and nobody answered: it may or may not have been taken. */
  maybeStopped: boolean;
}

testWithEngine(
  `chaos: ${SECONDS} s of kill -9 under ${TASKS} tasks lose nothing and double nothing`,
  (engine) => {
    console.log(`chaos: seed ${SEED}, ${SECONDS} s, ${TASKS} tasks over ${SAILORS} sailors`);
    // No node is to be given up: a sailor that is killed is back long before. A task that runs twice is a fault then.
    const deckFlags = ["--heartbeat", "1s", "--node-timeout", "60s"];
    return Fleet.use(engine, { sailors: SAILORS, deckFlags }, async (fleet) => {
      await using record = await EngineRecord.start(engine);
      const own = new Set((await fleet.http("GET", "/v1/nodes")).body.nodes.map((node: { id: string }) => node.id));
      const ownEvents = () => record.events.filter((event) => own.has(event.node));
      const fresh = resourcesOf(fleet);

      const faults = new AbortController();
      const timer = setTimeout(() => faults.abort(), SECONDS * 1000);
      const chance = seeded(SEED);
      const acknowledged: Acknowledged[] = [];
      const kills = { deck: 0, sailor: 0, both: 0 };
      try {
        await Promise.all([
          submitAll(fleet, acknowledged, seeded(SEED + 1), faults.signal),
          stopSome(fleet, acknowledged, seeded(SEED + 2), faults.signal),
          killAgainAndAgain(fleet, kills, chance, faults.signal),
        ]);
      } finally {
        clearTimeout(timer);
      }
      console.log(`chaos: ${acknowledged.length} acknowledged, killed ${JSON.stringify(kills)}`);
      assert.ok(
        kills.deck + kills.both > 0 && kills.sailor + kills.both > 0,
        "nobody was killed: more seconds, please",
      );
      await fleet.ready();

      const byId = await eventually("every task is as it was acknowledged", async () => {
        const tasks = new Map((await fleet.tasks()).map((task) => [task.id, task]));
        const wrong = acknowledged.map((one) => whatIsWrong(one, tasks.get(one.id))).filter((text) => text !== null);
        if (wrong.length > 0) {
          throw new Error(`${wrong.length} of ${acknowledged.length}: ${wrong.slice(0, 5).join("; ")}`);
        }
        return tasks;
      }, 180_000);
      for (const { id } of acknowledged) {
        assert.equal(byId.get(id)!.attempts, 1, `${byId.get(id)!.name}: one attempt is enough`);
      }
      await eventually("the Engine runs what the deck says, each in one container", async () => {
        const told = (await fleet.tasks()).filter((task) => task.state === "running").map((task) => task.attempt!.id);
        const running = (await fleet.containers(false)).map((container) => container.attempt);
        return JSON.stringify(told.sort()) === JSON.stringify(running.sort());
      }, 60_000);
      checkRecord(record, ownEvents());

      // Stopped, all of them, those that were never acknowledged too.
      for (const task of await fleet.tasks()) {
        assert.equal((await fleet.http("POST", `/v1/tasks/${task.id}/stop`, {})).status, 200);
      }
      await eventually("no container runs", async () => (await fleet.containers(false)).length === 0, 120_000);
      await eventually(
        "no task lives",
        async () => (await fleet.tasks()).every((task) => ["stopped", "completed", "failed"].includes(task.state)),
        120_000,
      );
      await eventually("the Engine keeps what the retention rule says, and of tasks alone", async () => {
        const known = new Set((await fleet.tasks()).map((task) => task.id));
        const left = await fleet.containers();
        const perNode = Map.groupBy(
          record.events.filter((event) => left.some(({ id }) => id === event.container)),
          (e) => e.node,
        );
        return left.every((container) => known.has(container.task)) &&
          [...perNode.values()].every((events) => new Set(events.map((e) => e.container)).size <= KEPT_PER_SAILOR);
      }, 120_000);
      checkRecord(record, ownEvents());
      await resourcesAreBack(fleet, fresh);
      const now = resourcesOf(fleet);
      console.log(
        `chaos: ${ownEvents().length} events of containers; fresh ${JSON.stringify(fresh)}, now ${JSON.stringify(now)}`,
      );
    });
  },
);

Deno.test("overlaps() finds a second container of a task, and no successor", () => {
  const event = (action: string, container: string, atNs: bigint): RecordedEvent => ({
    action,
    container,
    task: "t",
    attempt: `t-${container}`,
    node: "n",
    atNs,
  });
  const successor = [event("start", "b", 3n), event("start", "a", 1n), event("die", "a", 2n)];
  assert.deepEqual(overlaps(successor), []);
  assert.equal(overlaps([...successor, event("start", "c", 4n)]).length, 1);
  assert.deepEqual(madeTwice([event("create", "a", 1n), event("create", "b", 2n), event("create", "a", 3n)]), ["t-a"]);
});

function checkRecord(record: EngineRecord, events: readonly RecordedEvent[]): void {
  assert.equal(record.broken, null);
  assert.ok(events.length > 0);
  assert.deepEqual(overlaps(events), []);
  assert.deepEqual(madeTwice(events), []);
}

/** Null: nothing. */
function whatIsWrong({ planned, id, stopped, maybeStopped }: Acknowledged, task: TaskView | undefined): string | null {
  if (!task) return `${planned.name} (${id}) is lost`;
  const { state } = task;
  const exitCode = task.attempt?.exitCode ?? null;
  const text = `${planned.name} is ${state}, exit code ${exitCode}`;
  const endedItself = planned.exitCode !== null && exitCode === planned.exitCode &&
    state === (planned.exitCode === 0 ? "completed" : "failed");
  if (endedItself) return null;
  if (stopped) return state === "stopped" ? null : `${text} after a stop`;
  if (maybeStopped && state === "stopped") return null;
  if (planned.exitCode !== null) return `${text}, not ${planned.exitCode}`;
  return state === "running" ? null : text;
}

function plan(index: number, chance: () => number): Planned {
  const drawn = chance();
  const name = `t${index}`;
  if (drawn < 0.4) {
    const exitCode = drawn < 0.2 ? 0 : 3;
    const cmd = ["sh", "-c", `sleep ${(chance() * 3).toFixed(2)}; exit ${exitCode}`];
    return { name, cmd, restart: "no", exitCode };
  }
  return { name, cmd: ["sleep", "100000"], restart: drawn < 0.7 ? "always" : "no", exitCode: null };
}

/** Spread over four fifths of the time. Whoever gets no answer asks no second time: that task was not acknowledged. */
async function submitAll(fleet: Fleet, acknowledged: Acknowledged[], chance: () => number, signal: AbortSignal) {
  for (let index = 0; index < TASKS && !signal.aborted; index++) {
    await pacing(chance() * 2 * (SECONDS * 800 / TASKS), signal);
    const planned = plan(index, chance);
    const { name, cmd, restart } = planned;
    // What it fails with is tried nowhere else, so that one attempt is what there is to see.
    const document = { name, image, cmd, restart, grace: "0s", cpu: CPU, memory: "6MiB", reschedule: false };
    const body = await answered(fleet, "/v1/tasks", document, 201);
    if (body) acknowledged.push({ planned, id: body.id as string, stopped: false, maybeStopped: false });
  }
}

async function stopSome(fleet: Fleet, acknowledged: Acknowledged[], chance: () => number, signal: AbortSignal) {
  while (!signal.aborted) {
    await pacing(chance() * 2_000, signal);
    const one = acknowledged[Math.floor(chance() * acknowledged.length)];
    if (!one) continue;
    if (await answered(fleet, `/v1/tasks/${one.id}/stop`, {}, 200)) one.stopped = true;
    else one.maybeStopped = true;
  }
}

/** Undefined: nobody answered, or that the store takes no writes just now. */
async function answered(fleet: Fleet, path: string, body: unknown, status: number) {
  try {
    const answer = await fleet.http("POST", path, body);
    if (answer.status === status) return answer.body as Record<string, unknown>;
    assert.equal(answer.status, 503, answer.text);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // What fetch throws when nobody is there, or hangs up.
  }
}

async function killAgainAndAgain(
  fleet: Fleet,
  kills: Record<"deck" | "sailor" | "both", number>,
  chance: () => number,
  signal: AbortSignal,
) {
  while (true) {
    await pacing(1_000 + chance() * 4_000, signal);
    if (signal.aborted) return;
    const drawn = chance();
    const victim = drawn < 0.35 ? "deck" : drawn < 0.75 ? "sailor" : "both";
    const index = Math.floor(chance() * SAILORS);
    kills[victim]++;
    const victims = [...victim === "sailor" ? [] : [fleet.deck!], ...victim === "deck" ? [] : [fleet.sailors[index]!]];
    await Promise.all(victims.map((process) => process.end("SIGKILL")));
    await pacing(chance() * 2_000, signal);
    if (victim !== "sailor") fleet.startDeck();
    if (victim !== "deck") fleet.startSailor(index);
  }
}
