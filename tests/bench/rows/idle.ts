/** What a deck takes when nothing happens: heartbeats of a thousand sailors, and twenty thousand tasks that run. */
import type { Row } from "../figures.ts";
import { fillTasks, startSailors } from "../fill.ts";
import { pause, startDeck } from "../processes.ts";

export const idle: Row = {
  name: "idle",
  async run(bench) {
    const tasks = bench.full ? 20_000 : 2_000;
    const [windows, windowMs] = bench.full ? [5, 20_000] : [1, 4_000];
    const deck = await startDeck();
    const helpers = await startSailors(deck.url, 1_000, 2);
    try {
      await fillTasks(deck.url, tasks, helpers);
      // What the filling left behind is cleared up: the deck's own pulse, and V8's, take some seconds.
      await pause(bench.full ? 15_000 : 2_000);
      const cpu: number[] = [];
      const resident: number[] = [];
      const all = [deck, ...helpers];
      for (const process of all) process.usage("");
      for (let i = 0; i < windows; i++) {
        const [beforeCpu, beforeMs] = [deck.cpuSeconds(), performance.now()];
        await pause(windowMs);
        cpu.push((deck.cpuSeconds() - beforeCpu) / ((performance.now() - beforeMs) / 1000) * 100);
        resident.push(deck.residentMiB());
        bench.say(`idle: ${cpu[i].toFixed(1)} % of a core, ${Math.round(resident[i])} MiB`);
      }
      return {
        figures: [
          { what: `1,000 sailors, ${tasks} tasks: deck`, unit: "% of a core", values: cpu, reach: { atMost: 10 } },
          { what: "  its memory", unit: "MiB", values: resident, reach: { atMost: 400 } },
        ],
        usage: [deck.usage("deck (peak while it was filled)"), ...helpers.map((helper) => helper.usage("sailors"))],
      };
    } finally {
      await Promise.all(helpers.map((helper) => helper.end()));
      await deck.end();
    }
  },
};
