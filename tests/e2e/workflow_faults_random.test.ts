/**
 * Runs with every kind of step while deck, sailors or both are killed outright at random moments. What became of them is
 * judged by what the Engine tells of its containers and by what a server was asked, not by the deck's word alone:
 *
 * 1. each attempt that a step counts had one container, made once and started once (I7); nothing else of a run was made;
 * 2. nothing began before what it needs had ended, a service ended after its users, and no more ran at once than may;
 * 3. nothing of a run began after the run had ended, and after a cancel was answered only what closes it;
 * 4. every run ended as it should, with its outputs, and nothing runs on.
 *
 * ORMEN_WORKFLOW_KILLS is how many kills there are (8), ORMEN_WORKFLOW_RUNS how many runs (4), ORMEN_CHAOS_SEED which moments
 * and victims are drawn (random; printed). `make chaos` has more. The seed repeats what is drawn, not how
 * the machine answers.
 */
import assert from "node:assert/strict";
import type { RunView, StepInstanceView, StepView } from "../../lib/messages/run_api.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { pacing, seeded } from "./chance.ts";
import { EngineRecord, madeTwice, overlaps, type RecordedEvent } from "./engine_record.ts";
import { Fleet } from "./support.ts";
import { ended, insist, long, OVER, runOf, short, SMALL, twice } from "./workflow_runs.ts";

const KILLS = Number(Deno.env.get("ORMEN_WORKFLOW_KILLS") ?? 8);
const RUNS = Number(Deno.env.get("ORMEN_WORKFLOW_RUNS") ?? 4);
const SEED = Number(Deno.env.get("ORMEN_CHAOS_SEED") || Math.floor(Math.random() * 2 ** 31));
const SAILORS = 2;
const WITHIN_MS = 180_000;
const ITEMS = 3;
const AT_ONCE = 2;
const CALL_TRIES = 20;

const healthy = (step: string) => ({ step, condition: "healthy" });

const mixed = (port: number) => ({
  name: "mixed",
  steps: {
    a: twice([]),
    b: twice(["a"]),
    c: twice(["a"]),
    d: twice(["b", "c"]),
    list: {
      task: SMALL,
      run: `echo '${JSON.stringify(Array.from({ length: ITEMS }, (_, i) => i))}'`,
      outputs: { items: "${{ fromJSON(stdout) }}" },
    },
    each: {
      ...twice(["list"]),
      forEach: "${{ steps.list.outputs.items }}",
      maxParallel: AT_ONCE,
      outputs: { item: "${{ item }}" },
    },
    db: long({
      task: { ...SMALL, cmd: ["sleep", "1000"], health: { exec: ["true"], interval: "200ms" } },
    }),
    use: { task: SMALL, run: "sleep 0.5", needs: [healthy("db"), "list"] },
    sub: { workflow: "child.yaml", with: { word: "hi" }, needs: ["a"] },
    call: {
      needs: ["a"],
      http: { url: `http://localhost:${port}/\${{ run.id }}/\${{ attempt }}` },
      retry: { limit: CALL_TRIES, delay: "100ms" },
      outputs: { said: "${{ body }}" },
    },
    ask: { approval: { prompt: "Go?", inputs: { ticket: { type: "string", required: true } } }, needs: ["a"] },
    nap: { sleep: "700ms", needs: ["list"] },
    end: {
      ...short({ needs: ["d", "each", "use", "sub", "call", "ask", "nap"] }),
      env: { T: "${{ steps.ask.outputs.ticket }}" },
    },
  },
  finally: [{ id: "bye", task: SMALL, run: "sleep 0.2" }],
  outputs: {
    items: "${{ steps.each.outputs.item }}",
    said: "${{ steps.sub.outputs.said }}",
    ticket: "${{ steps.ask.outputs.ticket }}",
  },
});
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  b: ["a"],
  c: ["a"],
  d: ["b", "c"],
  each: ["list"],
  use: ["list"],
  end: ["d", "each", "use"],
  bye: ["end", "db"],
};

const CHILD = {
  name: "child",
  params: { word: { type: "string", required: true } },
  steps: {
    x: { ...twice([]), env: { WORD: "${{ params.word }}" }, outputs: { said: "${{ params.word }}${{ attempt }}" } },
  },
  outputs: { said: "${{ steps.x.outputs.said }}" },
};

const CANCELLED = {
  name: "cancelled",
  steps: {
    a: twice([]),
    runs: long({ needs: ["a"] }),
    fan: { ...long({ needs: ["a"] }), matrix: { n: [1, 2, 3] }, maxParallel: AT_ONCE },
    sub: { workflow: "child.yaml", with: { word: "no" }, needs: ["a"] },
    after: short({ needs: ["runs", "fan", "sub"] }),
  },
  finally: [{ id: "bye", task: SMALL, run: "sleep 0.2" }],
};

testWithEngine(`workflows: ${KILLS} times kill -9 under ${RUNS} runs, a quarter of them cancelled`, async (engine) => {
  console.log(`workflows: seed ${SEED}, ${KILLS} kills, ${RUNS} runs over ${SAILORS} sailors`);
  const asked: string[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    asked.push(new URL(request.url).pathname.slice(1));
    // Long enough to be cut off by a kill now and then.
    await pacing(300);
    return new Response("pong");
  });
  const deckFlags = ["--heartbeat", "1s", "--node-timeout", "60s"];
  await Fleet.use(engine, { sailors: SAILORS, deckFlags }, async (fleet) => {
    await using record = await EngineRecord.start(engine);
    const own = new Set((await fleet.http("GET", "/v1/nodes")).body.nodes.map((node: { id: string }) => node.id));
    const events = () => record.events.filter((event) => own.has(event.node)).toSorted(inTime);
    const faults = new AbortController();
    const kills = { deck: 0, sailor: 0, both: 0 };
    const chance = seeded(SEED + 1);
    const cancels = new Map<string, bigint>();
    const ids: string[] = [];
    const users = async (index: number) => {
      await pacing(chance() * 400 * KILLS, faults.signal);
      const isCancelled = index % 4 === 3;
      const workflow = isCancelled ? CANCELLED : mixed(server.addr.port);
      // The same key whenever it is asked again: one run, whether or not the answer was lost.
      const { id } = await insist(fleet, "/v1/runs", { workflow, included: { "child.yaml": CHILD } }, `run-${index}`);
      ids.push(id);
      const now = () => runOf(fleet, id).catch(() => undefined);
      if (isCancelled) {
        await eventually(
          `${id} has come to its long steps`,
          async () => (await now())?.steps.runs.state === "running",
          WITHIN_MS,
        );
        await pacing(chance() * 2_000, faults.signal);
        await insist(fleet, `/v1/runs/${id}/cancel`);
        cancels.set(id, BigInt(Date.now()) * 1_000_000n);
        return;
      }
      await eventually(`${id} is approved`, async () => {
        const state = (await now())?.steps.ask.state;
        if (state !== "waiting") return state === "succeeded";
        // An answer may be lost, and asking again finds that it does not wait any more.
        await fleet.http("POST", `/v1/runs/${id}/steps/ask/approve`, { inputs: { ticket: `T-${index}` } }).catch(
          () => {},
        );
        return false;
      }, WITHIN_MS);
    };
    try {
      await Promise.all([
        killAgainAndAgain(fleet, kills, seeded(SEED)),
        ...Array.from({ length: RUNS }, (_, index) => users(index)),
      ]);
    } finally {
      faults.abort();
    }
    await fleet.ready();
    console.log(`workflows: killed ${JSON.stringify(kills)}`);

    const listed = (await fleet.http("GET", "/v1/runs?limit=1000")).body.runs as RunView[];
    const roots = listed.filter((run) => run.workflow !== "child");
    assert.deepEqual(roots.map(({ id }) => id).sort(), ids.sort(), "no run but those that were answered");
    const runs = await Promise.all(listed.map(({ id }) => ended(fleet, id, WITHIN_MS)));
    await eventually("no container runs", async () => (await fleet.containers(false)).length === 0, WITHIN_MS);

    const all = events();
    assert.equal(record.broken, null);
    assert.deepEqual([madeTwice(all), overlaps(all)], [[], []]);
    for (const run of runs) {
      if (run.workflow === "mixed") judgeMixed(run, all);
      else if (run.workflow === "cancelled") judgeCancelled(run, all, cancels.get(run.id)!);
      judgeContainers(run, all);
    }
    const counted = new Set(runs.flatMap(tasksOf));
    assert.deepEqual(all.filter(({ task }) => !counted.has(task)), [], "containers of attempts that no step counts");
    assert.equal(new Set(asked).size, asked.length, `each request was made once an attempt: ${asked}`);
    console.log(`workflows: ${counted.size} attempts, ${asked.length} requests`);
  });
});

function judgeMixed(run: RunView, all: readonly RecordedEvent[]): void {
  const { steps } = run;
  assert.equal(run.state, "succeeded", `${run.id}: ${run.why} ${JSON.stringify(steps)}`);
  assert.deepEqual(run.outputs.items, Array.from({ length: ITEMS }, (_, i) => i));
  assert.equal(run.outputs.said, "hi2");
  assert.match(run.outputs.ticket as string, /^T-\d+$/);
  for (const name of ["a", "b", "c", "d"]) {
    assert.deepEqual([steps[name].attempts, steps[name].outputs], [2, { n: "2", attempt: 2 }], `${run.id}: ${name}`);
  }
  for (const name of ["list", "db", "use", "end", "bye"]) assert.equal(steps[name].attempts, 1, `${run.id}: ${name}`);
  for (const instance of steps.each.instances!) assert.equal(instance.attempts, 2, `${run.id}: each`);
  assert.equal(steps.call.outputs.said, "pong");

  const ofStep = (name: string) => all.filter(({ task }) => task.startsWith(`${run.id}.${name}.`));
  for (const [name, needs] of Object.entries(NEEDS)) {
    const [first] = ofStep(name).filter(({ action }) => action === "create");
    for (const need of needs) {
      const last = ofStep(need).findLast(({ action }) => action === "die")!;
      assert.ok(last.atNs < first.atNs, `${run.id}: ${name} began before ${need} had ended`);
    }
  }
  const served = ofStep("use").find(({ action }) => action === "die")!;
  assert.ok(ofStep("db").find(({ action }) => action === "die")!.atNs > served.atNs, `${run.id}: db outlived its user`);
  assert.ok(mostAtOnce(ofStep("each")) <= AT_ONCE, `${run.id}: too many of each at once`);
}

function judgeCancelled(run: RunView, all: readonly RecordedEvent[], answeredNs: bigint): void {
  const { steps } = run;
  assert.equal(run.state, "cancelled", `${run.id}: ${JSON.stringify(steps)}`);
  const states = ["a", "runs", "fan", "after", "bye"].map((name) => steps[name].state);
  assert.deepEqual(states, ["succeeded", "cancelled", "cancelled", "cancelled", "succeeded"]);
  assert.ok(["cancelled", "succeeded"].includes(steps.sub.state));
  assert.equal(steps.after.attempts, 0);
  const ofRun = all.filter(({ task }) => task.startsWith(`${run.id}.`));
  // A start that was under way when the cancel came may still happen; a container may not be made.
  const late = ofRun.filter(({ action, task, atNs }) =>
    action === "create" && atNs > answeredNs + 5_000_000_000n && !task.startsWith(`${run.id}.bye.`)
  );
  assert.deepEqual(late, [], `${run.id} was cancelled at ${answeredNs}`);
  assert.ok(mostAtOnce(ofRun.filter(({ task }) => task.startsWith(`${run.id}.fan.`))) <= AT_ONCE);
}

/** One container for each attempt that the run counts, and none after its end. */
function judgeContainers(run: RunView, all: readonly RecordedEvent[]): void {
  assert.ok(OVER.includes(run.state));
  const isWhole = run.state === "succeeded";
  for (const task of tasksOf(run)) {
    const count = (action: string) => all.filter((event) => event.task === task && event.action === action).length;
    const [made, begun] = [count("create"), count("start")];
    if (isWhole) assert.deepEqual([made, begun], [1, 1], `${task}: made, begun`);
    else assert.ok(made <= 1 && begun <= 1, `${task}: ${made} made, ${begun} begun`);
  }
  const endNs = BigInt(new Date(run.finishedAt!).getTime() + 1) * 1_000_000n;
  const late = all.filter(({ task, action, atNs }) =>
    task.startsWith(`${run.id}.`) && (action === "create" || action === "start") && atNs > endNs
  );
  assert.deepEqual(late, [], `${run.id} ended at ${run.finishedAt}`);
}

/** The tasks of all attempts at its steps that are containers. */
function tasksOf(run: RunView): string[] {
  const upTo = (label: string, { attempts }: StepView | StepInstanceView) =>
    Array.from({ length: attempts }, (_, index) => `${run.id}.${label}.${index + 1}`);
  return Object.entries(run.steps).flatMap(([name, step]) => {
    if (step.kind !== "task") return [];
    if (!step.instances) return upTo(name, step);
    return step.instances.flatMap((instance, index) => upTo(`${name}.${index}`, instance));
  });
}

function mostAtOnce(events: readonly RecordedEvent[]): number {
  const running = new Set<string>();
  let most = 0;
  for (const { action, container } of events) {
    if (action === "start") running.add(container);
    else if (action === "die") running.delete(container);
    most = Math.max(most, running.size);
  }
  return most;
}

function inTime(a: RecordedEvent, b: RecordedEvent): number {
  return a.atNs < b.atNs ? -1 : a.atNs > b.atNs ? 1 : 0;
}

async function killAgainAndAgain(
  fleet: Fleet,
  kills: Record<"deck" | "sailor" | "both", number>,
  chance: () => number,
): Promise<void> {
  for (let count = 0; count < KILLS; count++) {
    await pacing(300 + chance() * 2_000);
    const drawn = chance();
    const victim = drawn < 0.4 ? "deck" : drawn < 0.75 ? "sailor" : "both";
    const index = Math.floor(chance() * SAILORS);
    kills[victim]++;
    const victims = [...victim === "sailor" ? [] : [fleet.deck!], ...victim === "deck" ? [] : [fleet.sailors[index]!]];
    await Promise.all(victims.map((process) => process.end("SIGKILL")));
    await pacing(chance() * 500);
    if (victim !== "sailor") fleet.startDeck();
    if (victim !== "deck") fleet.startSailor(index);
  }
}
