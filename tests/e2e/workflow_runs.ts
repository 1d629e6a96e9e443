/** What tests of runs on real nodes share: starting one over the API, waiting for it, and ending programs under it. */
import assert from "node:assert/strict";
import type { RunView } from "../../lib/messages/run_api.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import type { Fleet } from "./support.ts";

export const OVER = ["succeeded", "warning", "failed", "cancelled", "timedOut"];
const WITHIN_MS = 60_000;
/** Little room, so that many run at once; a shell as first process would sit out its grace. */
export const SMALL = { image, cpu: 0.05, memory: "6MiB", grace: "0s" };

export async function start(
  fleet: Fleet,
  workflow: Record<string, unknown>,
  more: Record<string, unknown> = {},
): Promise<string> {
  const { status, body } = await fleet.http("POST", "/v1/runs", { workflow, ...more });
  assert.equal(status, 201, JSON.stringify(body));
  return (body as RunView).id;
}

export async function runOf(fleet: Fleet, id: string): Promise<RunView> {
  const { status, body } = await fleet.http("GET", `/v1/runs/${id}`);
  assert.equal(status, 200, JSON.stringify(body));
  return body as RunView;
}

/** While the deck is away nothing is known, which is no failure here. */
export function until(
  fleet: Fleet,
  id: string,
  what: string,
  holds: (run: RunView) => boolean,
  withinMs = WITHIN_MS,
): Promise<RunView> {
  return eventually(`${id}: ${what}`, async () => {
    const run = await runOf(fleet, id).catch(() => undefined);
    return run !== undefined && holds(run) && run;
  }, withinMs);
}

export function ended(fleet: Fleet, id: string, withinMs?: number): Promise<RunView> {
  return until(fleet, id, "has ended", ({ state }) => OVER.includes(state), withinMs);
}

/** Asked again and again while nobody answers, or the deck cannot write: what it asks for may be asked for twice. */
export function insist(fleet: Fleet, path: string, body?: unknown, key?: string): Promise<RunView> {
  const headers: Record<string, string> = key === undefined ? {} : { "idempotency-key": key };
  return eventually(`POST ${path} is answered`, async () => {
    const answer = await fleet.http("POST", path, body, headers).catch((error) => {
      if (!(error instanceof TypeError)) throw error; // What fetch throws when nobody is there, or hangs up.
    });
    if (answer === undefined || answer.status === 503) return undefined;
    assert.ok(answer.status < 300, `POST ${path}: ${answer.text}`);
    return answer.body as RunView;
  }, WITHIN_MS);
}

/** Containers of a run's tasks, by task; ended ones stay for a while. */
export async function containersOf(fleet: Fleet, run: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { task } of await fleet.containers()) {
    if (task.startsWith(`${run}.`)) counts.set(task, (counts.get(task) ?? 0) + 1);
  }
  return counts;
}

/** Tasks of a run whose containers run, without the run's id. */
export async function live(fleet: Fleet, run: string): Promise<string[]> {
  const all = await fleet.containers(false);
  return all.filter(({ task }) => task.startsWith(`${run}.`)).map(({ task }) => task.slice(run.length + 1));
}

export async function restartDeck(fleet: Fleet): Promise<void> {
  await fleet.deck!.end("SIGKILL");
  fleet.startDeck();
  await fleet.ready();
}

export async function restartSailor(fleet: Fleet, index = 0): Promise<void> {
  await fleet.sailors[index]!.end("SIGKILL");
  fleet.startSailor(index);
  await fleet.ready();
}

export async function restartBoth(fleet: Fleet): Promise<void> {
  await Promise.all([fleet.deck!.end("SIGKILL"), fleet.sailors[0]!.end("SIGKILL")]);
  fleet.startSailor(0);
  fleet.startDeck();
  await fleet.ready();
}

/** Fails its first attempt, and tells which one it is. */
export const twice = (needs: readonly unknown[]) => ({
  task: SMALL,
  run: 'echo "n=$ORMEN_ATTEMPT" >> "$ORMEN_OUTPUT"; sleep 0.2; [ "$ORMEN_ATTEMPT" -ge 2 ]',
  needs,
  retry: { limit: 2, delay: "300ms" },
  outputs: { attempt: "${{ attempt }}" },
});

/** Runs until it is stopped, at once when told to. */
export const long = (more: Record<string, unknown> = {}) => ({
  task: { ...SMALL, cmd: ["sleep", "1000"] },
  ...more,
});

export const short = (more: Record<string, unknown> = {}) => ({ task: { ...SMALL, cmd: ["true"] }, ...more });
