/** Lists of twenty thousand tasks: when the first byte comes, and what clients that do not read them cost the deck. */
import type { Row } from "../figures.ts";
import { fillTasks, startSailors } from "../fill.ts";
import { ORMEN, pause, spawn, startDeck } from "../processes.ts";
import { ask, firstByteAndAll } from "../raw_http.ts";

const SLOW_CLIENTS = 20;

export const list: Row = {
  name: "list",
  async run(bench) {
    const [tasks, repetitions] = bench.full ? [20_000, 15] : [2_000, 5];
    const deck = await startDeck();
    const helpers = await startSailors(deck.url, 10, 1);
    try {
      await fillTasks(deck.url, tasks, helpers);
      const all: Record<string, { firstMs: number; allMs: number; bytes: number }[]> = {};
      const status: number[] = [];
      const paths = ["/tasks", "/v1/tasks", "/v1/tasks?limit=1000"];
      deck.usage("");
      for (let i = -2; i < repetitions; i++) {
        for (const path of paths) {
          const measured = await firstByteAndAll(deck.port, path);
          if (i >= 0) (all[path] ??= []).push(measured);
        }
        const fromMs = performance.now();
        const { success } = await spawn(ORMEN, [], ["status", "-m", deck.url], "null").status;
        if (!success) throw new Error("ormen status failed");
        if (i >= 0) status.push(performance.now() - fromMs);
      }
      const usage = deck.usage("deck");
      const grown: number[] = [];
      for (let i = 0; i < 5; i++) {
        const before = deck.residentMiB();
        const connections = await Promise.all(
          Array.from({ length: SLOW_CLIENTS }, () => ask({ port: deck.port }, { path: "/tasks" })),
        );
        await pause(1_000);
        grown.push(deck.residentMiB() - before);
        for (const connection of connections) connection.close();
      }
      return {
        figures: [
          ...paths.flatMap((path) => [
            {
              what: `GET ${path}, first byte (${tasks} tasks)`,
              unit: "ms",
              values: all[path].map(({ firstMs }) => firstMs),
              reach: { atMost: 50 },
            },
            { what: `  all of it`, unit: "ms", values: all[path].map(({ allMs }) => allMs) },
            { what: `  size`, unit: "MiB", values: all[path].map(({ bytes }) => bytes / 2 ** 20) },
          ]),
          { what: "ormen status", unit: "ms", values: status },
          { what: `deck grows by, ${SLOW_CLIENTS} clients that read nothing`, unit: "MiB", values: grown },
        ],
        usage: [usage],
      };
    } finally {
      await Promise.all(helpers.map((helper) => helper.end()));
      await deck.end();
    }
  },
};
