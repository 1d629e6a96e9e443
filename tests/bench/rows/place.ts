/** Placements a second on one core, against looking at every node for each; and how many nodes they fill. */
import type { SchedulerName } from "../../../lib/core/rudder/rudder.ts";
import type { Figure, Row } from "../figures.ts";
import { median } from "../figures.ts";
import { startHelper } from "../processes.ts";
import type { Placed } from "../placements.ts";

const SCHEDULERS: readonly SchedulerName[] = ["epvm", "binpack", "spread", "greedy", "roundrobin"];
const GOAL_NODES = 5_000;

export const place: Row = {
  name: "place",
  async run(bench) {
    const sizes = bench.full ? [100, 1_000, 5_000, 10_000] : [100, 5_000];
    const schedulers = bench.full ? SCHEDULERS : SCHEDULERS.slice(0, 2);
    const repetitions = bench.full ? 5 : 1;
    const helper = startHelper("placements.ts");
    const figures: Figure[] = [];
    try {
      for (const scheduler of schedulers) {
        const built = new Map<number, Placed[]>(sizes.map((nodes) => [nodes, []]));
        const scan: Placed[] = [];
        for (let i = 0; i < repetitions; i++) {
          for (const nodes of sizes) {
            const count = Math.min(bench.full ? 20_000 : 10_000, nodes * 25);
            built.get(nodes)!.push(await helper.ask<Placed>({ scheduler, nodes, count, how: "built" }));
          }
          scan.push(await helper.ask<Placed>({ scheduler, nodes: GOAL_NODES, count: 400, how: "full" }));
        }
        for (const nodes of sizes) {
          figures.push({
            what: `${scheduler}, ${nodes} nodes`,
            unit: "/s",
            values: built.get(nodes)!.map(({ perSecond }) => perSecond),
            ...(nodes === GOAL_NODES ? { reach: { atLeast: 100_000 } } : {}),
          });
        }
        figures.push({
          what: `  ${GOAL_NODES} nodes, all looked at`,
          unit: "/s",
          values: scan.map(({ perSecond }) => perSecond),
        });
        const costs = built.get(sizes.at(-1)!)!.map(({ perSecond }, i) => built.get(100)![i].perSecond / perSecond);
        if (bench.full) {
          figures.push({ what: "  cost, 10,000 nodes : 100", unit: "x", values: costs, reach: { atMost: 2 } });
        }
        bench.say(`place: ${scheduler}, ${Math.round(median(built.get(GOAL_NODES)!.map((p) => p.perSecond)))}/s`);
      }
      return { figures, usage: [helper.usage("placements")] };
    } finally {
      await helper.end();
    }
  },
};
