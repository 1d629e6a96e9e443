/**
 * The engine's own time: runs of workflows whose tasks end at once, against the same tasks submitted by hand.
 * Deck (Deno KV in a file), sailor (fake engine) and this generator are three processes on loopback.
 *
 *   chain      200 steps one after the other. "step" is the time from a step's end being told by the sailor to the next
 *              one's assignment arriving there: report, decision, commit and way back.
 *   by hand    the same 200 tasks, each submitted when the event stream has told that the one before has ended
 *   fan-out    1,000 steps at once after one, and the same 1,000 tasks as a batch
 *   100 runs   of 10 steps each, started together
 *   10,000     one run of 100 stages of 100 steps: steps a second in its first and last tenth
 *
 * deno run -A tests/bench/workflow.ts [REPETITIONS]
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { connect } from "../../lib/client/mod.ts";

const repetitions = Number(Deno.args[0] ?? 5);
const dir = await Deno.makeTempDir({ prefix: "ormen-bench." });
const root = new URL("../..", import.meta.url).pathname;
const port = freePort();
const url = `http://127.0.0.1:${port}`;
const deno = (args: string[], stdin: "piped" | "null") =>
  new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--unstable-kv", "--no-check", ...args],
    cwd: root,
    ...{ stdin, stdout: "piped", stderr: "inherit" },
  }).spawn();

const deck = deno(["main.ts", "deck", "-p", `${port}`, "--data-dir", `${dir}/deck`, "--keep-tasks", "100000"], "null");
const client = connect(url);
await until(() => client.info().then(() => true, () => false));
const sailor = deno(["tests/bench/fake_sailor.ts", url], "piped");
const answers = createInterface({ input: Readable.fromWeb(sailor.stdout as never) })[Symbol.asyncIterator]();
const orders = sailor.stdin.getWriter();
await until(async () => {
  for await (const { status } of client.nodes()) if (status === "ready") return true;
  return false;
});

type Times = Record<string, { readonly assignedMs: number; readonly endedMs: number | null }>;

/** What the sailor has seen since the last time. */
async function seen(): Promise<Times> {
  await orders.write(new TextEncoder().encode("\n"));
  return JSON.parse((await answers.next()).value!);
}

const step = (needs: readonly string[]) => ({ task: { image: "none" }, needs: [...needs] });

function chain(length: number) {
  const steps = Array.from({ length }, (_, i) => [`s${i}`, step(i === 0 ? [] : [`s${i - 1}`])]);
  return { name: "chain", steps: Object.fromEntries(steps) };
}

function fan(width: number) {
  const steps = Array.from({ length: width }, (_, i) => [`s${i}`, step(["first"])]);
  return { name: "fan", steps: { first: step([]), ...Object.fromEntries(steps) } };
}

function stages(count: number, width: number) {
  const steps: [string, unknown][] = [];
  for (let stage = 0; stage < count; stage++) {
    for (let i = 0; i < width; i++) {
      // One of the stage before is enough to hold the next one back, all of it would be 100 times the needs.
      steps.push([`s${stage}-${i}`, step(stage === 0 ? [] : [...new Set([`s${stage - 1}-${i}`, `s${stage - 1}-0`])])]);
    }
  }
  return { name: "stages", steps: Object.fromEntries(steps) };
}

globalThis.addEventListener("unload", () => {
  for (const child of [deck, sailor]) {
    try {
      child.kill("SIGTERM");
    } catch { /* it has ended already */ }
  }
});

async function runAll(documents: readonly Record<string, unknown>[]): Promise<number> {
  const startedMs = performance.now();
  const runs = await Promise.all(documents.map((workflow) => client.startRun({ workflow })));
  const open = new Set(runs.map(({ id }) => id));
  await until(async () => {
    const now = await summaries();
    for (const id of [...open]) {
      const { state } = now.get(id) ?? {};
      if (state === undefined || ["queued", "running", "waiting", "finalizing"].includes(state)) return false;
      if (state !== "succeeded") throw new Error(`run ${id} is ${state}`);
      open.delete(id);
    }
    return true;
  }, 20);
  return performance.now() - startedMs;
}

async function summaries(): Promise<Map<string, { readonly state: string }>> {
  const found = new Map<string, { readonly state: string }>();
  for await (const run of client.runs()) {
    found.set(run.id, run);
    if (found.size === 150) break;
  }
  return found;
}

/** From each step's end to the assignment of the one after it, milliseconds. */
function gaps(times: Times, length: number): number[] {
  const at = (i: number) => Object.entries(times).find(([id]) => id.includes(`.s${i}.`))![1];
  const each = Array.from({ length }, (_, i) => at(i));
  return each.slice(1).map(({ assignedMs }, i) => assignedMs - each[i].endedMs!);
}

/** A chain of tasks as somebody would do it who has no workflows. */
async function chainByHand(length: number, tag: string): Promise<number> {
  const ended = new Map<string, () => void>();
  const stop = new AbortController();
  void (async () => {
    try {
      for await (const event of client.events({ signal: stop.signal })) {
        if (event.kind === "taskCompleted") ended.get(event.task ?? "")?.();
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  })();
  const startedMs = performance.now();
  for (let i = 0; i < length; i++) {
    const name = `hand-${tag}-${i}`;
    const end = new Promise<void>((resolve) => ended.set(name, resolve));
    await client.submit({ name, image: "none" });
    await end;
  }
  stop.abort();
  return performance.now() - startedMs;
}

async function batchByHand(width: number, tag: string): Promise<number> {
  const startedMs = performance.now();
  const tasks = Array.from(
    { length: width },
    (_, i) => ({ name: `batch-${tag}-${i}`, image: "none" }),
  );
  await client.submitBatch(tasks);
  const ended = new Set<string>();
  await until(async () => {
    for (const [id, { endedMs }] of Object.entries(await seen())) if (endedMs !== null) ended.add(id);
    return ended.size === width;
  }, 20);
  return performance.now() - startedMs;
}

const rows = new Map<string, number[]>();
const note = (row: string, value: number) => rows.set(row, [...rows.get(row) ?? [], value]);
const quantile = (values: readonly number[], q: number) =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * q)];

for (let repetition = -1; repetition < repetitions; repetition++) {
  // The first warms up, and counts for nothing.
  const keep = repetition >= 0 ? note : () => {};
  await seen();
  keep("chain of 200, whole run, ms", await runAll([chain(200)]));
  const between = gaps(await seen(), 200);
  keep("chain of 200, step p50, ms", quantile(between, 0.5));
  keep("chain of 200, step p99, ms", quantile(between, 0.99));
  keep("chain of 200 by hand, ms", await chainByHand(200, `${repetition}`));
  await seen();
  keep("fan-out of 1,000, steps a second", 1_001_000 / await runAll([fan(1_000)]));
  await seen();
  keep("1,000 tasks by hand in a batch, tasks a second", 1_000_000 / await batchByHand(1_000, `${repetition}`));
  keep("100 runs of 10 steps, steps a second", 1_000_000 / await runAll(Array.from({ length: 100 }, () => chain(10))));
  await seen();
}
await seen();
const largeMs = await runAll([stages(100, 100)]);
const ends = Object.values(await seen()).map(({ endedMs }) => endedMs!).sort((a, b) => a - b);
const rate = (part: readonly number[]) => part.length / ((part.at(-1)! - part[0]) / 1_000);
rows.set("10,000 steps in one run, steps a second", [10_000_000 / largeMs]);
rows.set("  its first 1,000", [rate(ends.slice(0, 1_000))]);
rows.set("  its last 1,000", [rate(ends.slice(-1_000))]);

console.log(`${"".padEnd(50)} ${"median".padStart(9)} ${"min".padStart(9)} ${"max".padStart(9)}`);
for (const [row, values] of rows) {
  const figures = [quantile(values, 0.5), Math.min(...values), Math.max(...values)];
  console.log(
    `${row.padEnd(50)} ${figures.map((figure) => figure.toFixed(figure < 100 ? 2 : 0).padStart(9)).join(" ")}`,
  );
}
await orders.close();
deck.kill("SIGTERM");
await Promise.all([deck.status, sailor.status]);
await Deno.remove(dir, { recursive: true });
Deno.exit(0);

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

async function until(holds: () => Promise<boolean>, everyMs = 50): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("not within 120 s");
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
