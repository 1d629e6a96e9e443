/**
 * The engine's own time: runs of workflows whose tasks end at once, against the same tasks submitted by hand. The sailor is the
 * real one on an engine in memory.
 *
 *   chain      200 steps one after the other. "step" is the time from a step's end being told by the sailor to the next
 *              one's assignment arriving there: report, decision, commit and way back.
 *   by hand    the same 200 tasks, each submitted when the event stream has told that the one before has ended
 *   fan-out    1,000 steps at once after one, and the same 1,000 tasks as a batch
 *   100 runs   of 10 steps each, started together
 *   10,000     one run of 100 stages of 100 steps: steps a second in its first and last tenth
 */
import { connect } from "../../../lib/client/mod.ts";
import type { Figure, Row } from "../figures.ts";
import { quantile } from "../figures.ts";
import type { Times } from "../fleet_sailor.ts";
import { startDeck, startHelper, until } from "../processes.ts";

const step = (needs: readonly string[]) => ({ task: { image: "ends" }, needs: [...needs] });

function chain(length: number) {
  const steps = Array.from({ length }, (_, i) => [`s${i}`, step(i === 0 ? [] : [`s${i - 1}`])]);
  return { name: "chain", steps: Object.fromEntries(steps) };
}

function fan(width: number) {
  const steps = Array.from({ length: width }, (_, i) => [`s${i}`, step(["first"])]);
  return { name: "fan", steps: { first: step([]), ...Object.fromEntries(steps) } };
}

function stages(count: number, width: number) {
  const steps: [string, unknown][] = [];
  for (let stage = 0; stage < count; stage++) {
    for (let i = 0; i < width; i++) {
      // One of the stage before is enough to hold the next one back, all of it would be 100 times the needs.
      steps.push([`s${stage}-${i}`, step(stage === 0 ? [] : [...new Set([`s${stage - 1}-${i}`, `s${stage - 1}-0`])])]);
    }
  }
  return { name: "stages", steps: Object.fromEntries(steps) };
}

/** From each step's end to the assignment of the one after it, milliseconds. */
function gaps(times: Times, length: number): number[] {
  const at = (i: number) => Object.entries(times).find(([id]) => id.includes(`.s${i}.`))![1];
  const each = Array.from({ length }, (_, i) => at(i));
  return each.slice(1).map(({ assignedMs }, i) => assignedMs - each[i].endedMs!);
}

export const steps: Row = {
  name: "steps",
  async run(bench) {
    const repetitions = bench.full ? 5 : 1;
    const deck = await startDeck();
    const client = connect(deck.url);
    const sailor = startHelper("fleet_sailor.ts", [deck.url, "0", "1"]);
    const seen = () => sailor.ask<Times>("seen");
    const values = new Map<string, number[]>();
    try {
      await until(async () => {
        for await (const { status } of client.nodes()) if (status === "ready") return true;
        return false;
      });
      for (const process of [deck, sailor]) process.usage("");
      for (let repetition = bench.full ? -1 : 0; repetition < repetitions; repetition++) {
        // The first warms up, and counts for nothing.
        const note = (what: string, value: number) => {
          if (repetition >= 0) values.set(what, [...values.get(what) ?? [], value]);
        };
        await seen();
        note("chain of 200, whole run", await runAll([chain(200)]));
        const between = gaps(await seen(), 200);
        note("  step to step, p50", quantile(between, 0.5));
        note("  step to step, p99", quantile(between, 0.99));
        note("  the same tasks by hand", await chainByHand(200, `${repetition}`));
        await seen();
        note("fan-out of 1,000", 1_001_000 / await runAll([fan(1_000)]));
        await seen();
        note("  1,000 tasks by hand in a batch", 1_000_000 / await batchByHand(1_000, `${repetition}`));
        note("100 runs of 10 steps", 1_000_000 / await runAll(Array.from({ length: 100 }, () => chain(10))));
        await seen();
        if (repetition >= 0) {
          bench.say(`steps: fan-out ${Math.round(values.get("fan-out of 1,000")?.at(-1) ?? 0)} steps/s`);
        }
      }
      if (bench.full) {
        const largeMs = await runAll([stages(100, 100)]);
        const ends = Object.values(await seen()).map(({ endedMs }) => endedMs!).sort((a, b) => a - b);
        const rate = (part: readonly number[]) => part.length / ((part.at(-1)! - part[0]) / 1_000);
        values.set("one run of 10,000 steps", [10_000_000 / largeMs]);
        values.set("  its first 1,000", [rate(ends.slice(0, 1_000))]);
        values.set("  its last 1,000", [rate(ends.slice(-1_000))]);
      }
      return {
        figures: [...values].map(([what, values]) => ({ what, values, ...unitAndReach(what) })),
        usage: [deck.usage("deck"), sailor.usage("sailor")],
      };
    } finally {
      await sailor.end();
      await deck.end();
    }

    async function runAll(documents: readonly Record<string, unknown>[]): Promise<number> {
      const startedMs = performance.now();
      const runs = await Promise.all(documents.map((workflow) => client.startRun({ workflow })));
      const open = new Set(runs.map(({ id }) => id));
      await until(async () => {
        const now = await summaries();
        for (const id of [...open]) {
          const { state } = now.get(id) ?? {};
          if (state === undefined || ["queued", "running", "waiting", "finalizing"].includes(state)) return false;
          if (state !== "succeeded") throw new Error(`run ${id} is ${state}`);
          open.delete(id);
        }
        return true;
      });
      return performance.now() - startedMs;
    }

    async function summaries(): Promise<Map<string, { readonly state: string }>> {
      const found = new Map<string, { readonly state: string }>();
      for await (const run of client.runs()) {
        found.set(run.id, run);
        if (found.size === 150) break;
      }
      return found;
    }

    /** A chain of tasks as somebody would do it who has no workflows. */
    async function chainByHand(length: number, tag: string): Promise<number> {
      const ended = new Map<string, () => void>();
      const stop = new AbortController();
      void (async () => {
        try {
          for await (const event of client.events({ signal: stop.signal })) {
            if (event.kind === "taskCompleted") ended.get(event.task ?? "")?.();
          }
        } catch (error) {
          if (!stop.signal.aborted) throw error;
        }
      })();
      const startedMs = performance.now();
      for (let i = 0; i < length; i++) {
        const name = `hand-${tag}-${i}`;
        const end = new Promise<void>((resolve) => ended.set(name, resolve));
        await client.submit({ name, image: "ends" });
        await end;
      }
      stop.abort();
      return performance.now() - startedMs;
    }

    async function batchByHand(width: number, tag: string): Promise<number> {
      const startedMs = performance.now();
      await client.submitBatch(Array.from({ length: width }, (_, i) => ({ name: `batch-${tag}-${i}`, image: "ends" })));
      const ended = new Set<string>();
      await until(async () => {
        for (const [id, { endedMs }] of Object.entries(await seen())) if (endedMs !== null) ended.add(id);
        return ended.size === width;
      });
      return performance.now() - startedMs;
    }
  },
};

function unitAndReach(what: string): Pick<Figure, "unit" | "reach"> {
  if (what.startsWith("chain") || what === "  the same tasks by hand") return { unit: "ms" };
  if (what === "  step to step, p50") return { unit: "ms", reach: { atMost: 5 } };
  if (what === "  step to step, p99") return { unit: "ms" };
  if (what.startsWith("fan-out") || what.startsWith("100 runs")) return { unit: "steps/s", reach: { atLeast: 1_000 } };
  return { unit: "/s" };
}
