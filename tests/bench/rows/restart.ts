/** From starting the program to /readyz, over a store with a history. Each start is of the same data, left by an orderly end. */
import type { Row } from "../figures.ts";
import { fillRuns, fillTasks, startSailors } from "../fill.ts";
import { startDeck } from "../processes.ts";

export const restart: Row = {
  name: "restart",
  async run(bench) {
    const [tasks, runs, repetitions] = bench.full ? [20_000, 1_000, 7] : [2_000, 50, 3];
    const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "ormen-bench." });
    try {
      const first = await startDeck({ directory });
      const helpers = await startSailors(first.url, 10, 1);
      await fillTasks(first.url, tasks, helpers);
      await fillRuns(first.url, runs);
      await Promise.all(helpers.map((helper) => helper.end()));
      await first.end();
      const values: number[] = [];
      const emptyValues: number[] = [];
      let usage;
      // The first warms the page cache, and counts for nothing.
      for (let i = -1; i < repetitions; i++) {
        const deck = await startDeck({ directory });
        usage = deck.usage("deck");
        await deck.end();
        const without = await startDeck();
        await without.end();
        if (i < 0) continue;
        values.push(deck.readyMs / 1000);
        emptyValues.push(without.readyMs / 1000);
        bench.say(`restart: ready in ${Math.round(deck.readyMs)} ms`);
      }
      return {
        figures: [
          { what: `${tasks} tasks, ${runs} runs: start to ready`, unit: "s", values, reach: { atMost: 2 } },
          { what: "  with nothing in the store", unit: "s", values: emptyValues },
        ],
        usage: usage ? [usage] : [],
      };
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
};
