/** Decks with much in them: what several rows begin with. */
import { connect } from "../../lib/client/mod.ts";
import type { Helper } from "./processes.ts";
import { startHelper, until } from "./processes.ts";

const BATCH = 5_000;

/** `count` sailors that answer at once, in `processes`; all of them are welcome. */
export async function startSailors(url: string, count: number, processes: number): Promise<Helper[]> {
  const each = Math.ceil(count / processes);
  const helpers = Array.from(
    { length: processes },
    (_, i) => startHelper("light_sailors.ts", [url, `${i * each}`, `${Math.min(each, count - i * each)}`]),
  );
  for (const helper of helpers) await helper.ask("ready");
  return helpers;
}

/** Tasks that run, once the deck has acknowledged so. */
export async function fillTasks(url: string, count: number, helpers: readonly Helper[]): Promise<void> {
  const client = connect(url);
  for (let from = 0; from < count; from += BATCH) {
    const length = Math.min(BATCH, count - from);
    await client.submitBatch(Array.from({ length }, (_, i) => ({
      name: `filled-${from + i}`,
      image: "none",
      cpu: 0.01,
      memory: "8MiB",
      labels: { app: `app-${i % 50}`, team: "bench" },
    })));
  }
  let running = 0;
  await until(async () => {
    for (const helper of helpers) {
      running += Object.keys(await helper.ask<Record<string, number>>("acknowledged")).length;
    }
    return running >= count;
  }, 100);
}

/** Runs of three steps each, that have succeeded. */
export async function fillRuns(url: string, count: number): Promise<void> {
  const client = connect(url);
  const step = (needs: string[]) => ({ task: { image: "ends", cpu: 0.01, memory: "8MiB" }, needs });
  const workflow = { name: "filled", steps: { first: step([]), second: step(["first"]), third: step(["second"]) } };
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push((await client.startRun({ workflow })).id);
  let left = ids;
  await until(async () => {
    const open: string[] = [];
    for (const id of left) if ((await client.run(id)).state !== "succeeded") open.push(id);
    left = open;
    return left.length === 0;
  }, 100);
}
