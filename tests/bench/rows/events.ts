/** One change, and how long it takes to each of five hundred watchers, while others do not read what they are sent. */
import type { Row } from "../figures.ts";
import { quantile } from "../figures.ts";
import type { Posted } from "../load.ts";
import { startDeck, startHelper } from "../processes.ts";

const WATCHERS = 500;
const SLOW = 50;

export const events: Row = {
  name: "events",
  async run(bench) {
    const changes = bench.full ? 60 : 10;
    const deck = await startDeck();
    const watchers = startHelper("watchers.ts", [`${deck.port}`, `${WATCHERS}`, `${SLOW}`]);
    const load = startHelper("load.ts", [`${deck.port}`]);
    try {
      await watchers.ask("ready");
      const p99: number[] = [];
      const p50: number[] = [];
      for (let i = -10; i < changes; i++) {
        const [[, postedMs]] = await load.ask<Posted[]>({ prefix: `change${i}`, count: 1, width: 1 });
        const times = await watchers.ask<number[]>({ of: `change${i}-0` });
        if (i === -1) { for (const process of [deck, watchers]) process.usage(""); }
        if (i < 0) continue;
        p50.push(quantile(times, 0.5) - postedMs);
        p99.push(quantile(times, 0.99) - postedMs);
      }
      return {
        figures: [
          {
            what: `POST to ${WATCHERS} watchers, p99 (${SLOW} more do not read)`,
            unit: "ms",
            values: p99,
            reach: { atMost: 100 },
          },
          { what: "  p50", unit: "ms", values: p50 },
        ],
        usage: [deck.usage("deck"), watchers.usage("watchers")],
      };
    } finally {
      await Promise.all([load.end(), watchers.end()]);
      await deck.end();
    }
  },
};
