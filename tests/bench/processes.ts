/**
 * The processes of a measurement: decks as users start them (dist/ormen), and helpers of the bench, each on its own so that
 * its processor time and memory can be told apart. What it starts, `end` ends, by process id.
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { Usage } from "./figures.ts";

export const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
export const ORMEN = `${ROOT}/dist/ormen`;
const PATIENCE_MS = 120_000;
/** USER_HZ: what /proc counts processor time in, on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

export interface Watched {
  readonly pid: number;
  /** Processor seconds so far, of all its threads. */
  cpuSeconds(): number;
  /** Since the last call: usage under `name`. */
  usage(name: string): Usage;
  /** As it is now, not at its peak. */
  residentMiB(): number;
  end(): Promise<void>;
}

export interface DeckProcess extends Watched {
  readonly url: string;
  readonly port: number;
  readonly directory: string;
  /** From the call that started it until it answered that it is ready. */
  readonly readyMs: number;
}

const started = new Set<Deno.ChildProcess>();

/** Ends what is left, as when the bench itself is stopped. */
export function endAll(): void {
  for (const child of started) {
    try {
      child.kill("SIGTERM");
    } catch { /* it has ended already */ }
  }
}

export async function startDeck(
  options: { readonly directory?: string; readonly args?: readonly string[] } = {},
): Promise<DeckProcess> {
  const directory = options.directory ?? await Deno.makeTempDir({ dir: "/var/tmp", prefix: "ormen-bench." });
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const fromMs = performance.now();
  const child = spawn(...deckCommand(), [
    ...["deck", "-H", "127.0.0.1", "-p", `${port}`, "-w", "", "--data-dir", `${directory}/deck`],
    ...["--keep-tasks", "100000", ...options.args ?? []],
  ], "null");
  const watched = watch(child);
  await until(async () => {
    try {
      return await isReady(port);
    } catch {
      return false; // It does not listen yet.
    }
  }, 2);
  const readyMs = performance.now() - fromMs;
  return {
    ...watched,
    url,
    port,
    directory,
    readyMs,
    async end() {
      await watched.end();
      if (options.directory === undefined) await Deno.remove(directory, { recursive: true });
    },
  };
}

/** BENCH_DECK replaces the program, as with `deno run --cpu-prof ... main.ts`. */
function deckCommand(): [string, string[]] {
  const given = Deno.env.get("BENCH_DECK");
  if (!given) return [ORMEN, []];
  const [program, ...args] = given.split(" ");
  return [program, args];
}

/** By hand: fetch opens a connection that a refused one makes it wait for. */
async function isReady(port: number): Promise<boolean> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    await connection.write(
      new TextEncoder().encode("GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
    );
    const bytes = new Uint8Array(64);
    const length = await connection.read(bytes) ?? 0;
    return new TextDecoder().decode(bytes.subarray(0, length)).startsWith("HTTP/1.1 200");
  } finally {
    connection.close();
  }
}

export interface Helper extends Watched {
  /** Sends one order, a line of JSON, and gives the line that answers it. */
  ask<T>(order: unknown): Promise<T>;
}

/** `file` is a program of this directory that answers each line on its stdin with one on its stdout. */
export function startHelper(file: string, args: readonly string[] = []): Helper {
  const deno = ["run", "-A", "--unstable-kv", "--no-check", "--quiet", `${ROOT}/tests/bench/${file}`];
  const child = spawn(Deno.execPath(), deno, args, "piped");
  const answers = createInterface({ input: Readable.fromWeb(child.stdout as never) })[Symbol.asyncIterator]();
  const orders = child.stdin.getWriter();
  return {
    ...watch(child),
    async ask<T>(order: unknown): Promise<T> {
      await orders.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
      const answer = await answers.next();
      if (answer.done) throw new Error(`${file} ended before it answered`);
      return JSON.parse(answer.value);
    },
  };
}

export function spawn(
  program: string,
  before: readonly string[],
  args: readonly string[],
  stdin: "piped" | "null",
  env: Record<string, string> = {},
): Deno.ChildProcess {
  const child = new Deno.Command(program, {
    ...{ args: [...before, ...args], cwd: ROOT, env: { ORMEN_DECK: "", ...env } },
    ...{ stdin, stdout: stdin === "piped" ? "piped" : "null" },
    // Helpers speak only when they fail.
    stderr: stdin === "piped" || Deno.env.get("BENCH_LOG") ? "inherit" : "null",
  }).spawn();
  started.add(child);
  void child.status.then(() => started.delete(child));
  return child;
}

export function watch(child: Deno.ChildProcess): Watched {
  let since = { cpu: cpuSecondsOf(child.pid), atMs: performance.now() };
  return {
    pid: child.pid,
    cpuSeconds: () => cpuSecondsOf(child.pid),
    usage(process) {
      const now = { cpu: cpuSecondsOf(child.pid), atMs: performance.now() };
      const cpu = (now.cpu - since.cpu) / ((now.atMs - since.atMs) / 1000);
      since = now;
      return { process, cpu, peakMiB: statusOf(child.pid, "VmHWM") / 1024 };
    },
    residentMiB: () => statusOf(child.pid, "VmRSS") / 1024,
    async end() {
      if (started.has(child)) child.kill("SIGTERM");
      await child.status;
    },
  };
}

function cpuSecondsOf(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /s, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** KiB. */
function statusOf(pid: number, key: string): number {
  const line = new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(Deno.readTextFileSync(`/proc/${pid}/status`));
  return Number(line?.[1] ?? 0);
}

export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

/** Throws after two minutes. */
export async function until(holds: () => boolean | Promise<boolean>, everyMs = 20): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS / 1000} s`);
    await pause(everyMs);
  }
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
