/** roundrobin: nodes take turns in the order of their names; those that do not fit are passed over. */
import type { Scheduler } from "./rudder.ts";

export const roundRobin: Scheduler = {
  name: "roundrobin",
  sampling: "inTurn",
  score: (_candidate, { turn, nodes, position }) => (position - (turn % nodes) + nodes) % nodes,
};
