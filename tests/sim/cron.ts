/** The real one: it is a function of what it is given. */
import { cronProblem, nextSlotMs } from "../../lib/adapters/cron.ts";
import type { Cron } from "../../lib/contracts/cron.ts";

export const testCron: Cron = { problem: cronProblem, nextMs: nextSlotMs };
