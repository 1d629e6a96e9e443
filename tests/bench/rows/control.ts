/**
 * The way of a task through the deck: POST, decision, commit, session, report, commit, acknowledgement. Sailors answer at once,
 * so that what is measured is the deck; a hundred of the program's own, which keep journals and drive engines in memory, take most
 * of the machine themselves. Each repetition has a deck of its own, its data in a file.
 */
import { connect } from "../../../lib/client/mod.ts";
import type { Bench, Row, Usage } from "../figures.ts";
import { quantile } from "../figures.ts";
import type { Posted } from "../load.ts";
import { startDeck, startHelper, until } from "../processes.ts";

const WIDTH = 64;
const SIZES = [10, 100, 1_000];

interface Sample {
  readonly tasksPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMsPerTask: number;
  readonly usage: readonly Usage[];
}

export const control: Row = {
  name: "control",
  async run(bench) {
    const repetitions = bench.full ? 5 : 1;
    const sizes = bench.full ? SIZES : [100];
    const real: Sample[] = [];
    const samples = new Map<number, Sample[]>(sizes.map((size) => [size, []]));
    for (let i = 0; i < repetitions; i++) {
      for (const size of sizes) {
        const sample = await measure(size, bench);
        samples.get(size)!.push(sample);
        bench.say(`control: ${size} sailors, ${Math.round(sample.tasksPerSecond)} tasks/s`);
      }
      if (bench.full) real.push(await measure(100, bench, "fleet_sailor.ts"));
    }
    const of = (size: number, key: "tasksPerSecond" | "p50Ms" | "p99Ms" | "cpuMsPerTask") =>
      samples.get(size)!.map((sample) => sample[key]);
    const ratios = of(sizes.at(-1)!, "cpuMsPerTask").map((cost, i) => cost / of(sizes[0], "cpuMsPerTask")[i]);
    const isGoal = (size: number) => size === 100;
    return {
      figures: [
        ...sizes.flatMap((size) => [
          {
            what: `${size} sailors, tasks a second`,
            unit: "/s",
            values: of(size, "tasksPerSecond"),
            ...(isGoal(size) ? { reach: { atLeast: 3_000 } } : {}),
          },
          { what: `  POST to running acknowledged, p50`, unit: "ms", values: of(size, "p50Ms") },
          {
            what: `  the same, p99`,
            unit: "ms",
            values: of(size, "p99Ms"),
            ...(isGoal(size) ? { reach: { atMost: 250 } } : {}),
          },
          { what: `  deck's processor time a task`, unit: "ms", values: of(size, "cpuMsPerTask") },
        ]),
        ...(bench.full
          ? [
            {
              what: "100 sailors of the program, engines in memory",
              unit: "/s",
              values: real.map(({ tasksPerSecond }) => tasksPerSecond),
            },
            { what: `  POST to running acknowledged, p99`, unit: "ms", values: real.map(({ p99Ms }) => p99Ms) },
            { what: "cost a task, 1,000 sailors : 10", unit: "x", values: ratios, reach: { atMost: 1.5 } },
          ]
          : []),
      ],
      usage: samples.get(100)!.at(-1)!.usage,
    };
  },
};

async function measure(size: number, bench: Bench, program = "light_sailors.ts"): Promise<Sample> {
  const deck = await startDeck();
  // As many processes as the machine can feed; one is enough for a few sailors.
  const processes = size >= 1_000 ? 2 : 1;
  const each = size / processes;
  const sailors = Array.from(
    { length: processes },
    (_, i) => startHelper(program, [deck.url, `${i * each}`, `${each}`]),
  );
  const client = connect(deck.url);
  const load = startHelper("load.ts", [`${deck.port}`]);
  try {
    for (const helper of sailors) await helper.ask("ready");
    await until(async () => {
      let ready = 0;
      for await (const { status } of client.nodes()) if (status === "ready") ready++;
      return ready === size;
    });
    await submit("warm", bench.full ? 2_000 : 1_000);
    const cpuBefore = deck.cpuSeconds();
    for (const process of [deck, load, ...sailors]) process.usage("");
    const { posted, acknowledged } = await submit(
      "task",
      Number(Deno.env.get("BENCH_TASKS") ?? (bench.full ? 8_000 : 3_000)),
    );
    const cpuMs = (deck.cpuSeconds() - cpuBefore) * 1000;
    const latencies = posted.map(([id, postedMs]) => acknowledged.get(id)! - postedMs);
    const from = posted.reduce((least, [, postedMs]) => Math.min(least, postedMs), Infinity);
    const to = [...acknowledged.values()].reduce((most, atMs) => Math.max(most, atMs), 0);
    return {
      tasksPerSecond: posted.length / ((to - from) / 1000),
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      cpuMsPerTask: cpuMs / posted.length,
      usage: [deck.usage("deck"), load.usage("generator"), ...sailors.map((s) => s.usage("sailors"))],
    };
  } finally {
    await Promise.all([load.end(), ...sailors.map((helper) => helper.end())]);
    await deck.end();
  }

  async function submit(prefix: string, count: number) {
    const posted = await load.ask<Posted[]>({ prefix, count, width: WIDTH });
    const acknowledged = new Map<string, number>();
    await until(async () => {
      for (const helper of sailors) {
        for (const [id, atMs] of Object.entries(await helper.ask<Record<string, number>>("acknowledged"))) {
          acknowledged.set(id, atMs);
        }
      }
      return acknowledged.size === posted.length;
    }, 50);
    return { posted, acknowledged };
  }
}
