/**
 * Output of host processes, from the files that their shim has them append to: `stdout` and `stderr`, and before each of
 * them what was moved away when it grew, `.2` the oldest.
 *
 * Lines carry no times: `timestamps` is not heeded, and `sinceMs` leaves out whole files that were last written before it.
 */
import { join } from "node:path";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { LogOptions, OutputChunk } from "../contracts/runtime.ts";

const CHUNK_BYTES = 64 * 1024;
const LOOK_EVERY_MS = 100;
const NEWLINE = 10;
const NAMES = ["stdout", "stderr"] as const;

export async function* processLogs(options: {
  readonly dir: string;
  readonly request: LogOptions;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly isRunning: () => Promise<boolean>;
}): AsyncIterable<OutputChunk> {
  const { dir, request, signal, clock, isRunning } = options;
  const offsets = { stdout: 0, stderr: 0 };
  for (const name of NAMES) {
    const path = join(dir, name);
    const plan = await planOf([`${path}.2`, `${path}.1`, path], request);
    offsets[name] = plan.at(-1)!.offset;
    for (const { path, offset } of plan.slice(0, -1)) {
      for await (const data of readFrom(path, offset)) {
        if (signal.aborted) return;
        yield { stream: name, data };
      }
    }
  }
  while (!signal.aborted) {
    // Asked before reading: what is written until it ends is read in this round.
    const running = request.follow && await isRunning();
    for (const name of NAMES) {
      const path = join(dir, name);
      // A file that was moved away begins anew.
      if (await sizeOf(path) < offsets[name]) offsets[name] = 0;
      for await (const data of readFrom(path, offsets[name])) {
        if (signal.aborted) return;
        offsets[name] += data.length;
        yield { stream: name, data };
      }
    }
    if (!running) return;
    await pause(clock, LOOK_EVERY_MS, signal);
  }
}

interface Part {
  readonly path: string;
  readonly offset: number;
}

/** From where each file is read, the last one always among them. */
async function planOf(paths: readonly string[], { tail, sinceMs }: LogOptions): Promise<Part[]> {
  const plan: Part[] = [];
  let wanted = tail;
  for (const path of paths.toReversed()) {
    const isNewest = plan.length === 0;
    if (!isNewest && wanted === 0) break;
    const info = await statOf(path);
    const isOld = sinceMs !== null && info !== undefined && (info.mtime?.getTime() ?? 0) < sinceMs;
    if (isOld) {
      if (isNewest) plan.push({ path, offset: info.size });
      break;
    }
    if (wanted === null) plan.push({ path, offset: 0 });
    else {
      const { offset, lines } = await tailOffset(path, wanted);
      plan.push({ path, offset });
      wanted -= lines;
    }
  }
  return plan.reverse();
}

/** Where the last `wanted` lines begin, and how many of them there are. */
async function tailOffset(path: string, wanted: number): Promise<{ offset: number; lines: number }> {
  using file = await openOrNone(path);
  if (!file) return { offset: 0, lines: 0 };
  const { size } = await file.stat();
  if (wanted === 0 || size === 0) return { offset: size, lines: 0 };
  let lines = 0;
  for (let at = size; at > 0;) {
    const from = Math.max(0, at - CHUNK_BYTES);
    const buffer = await readExactly(file, from, at - from);
    for (let i = buffer.length - 1; i >= 0; i--) {
      // The newline that ends the file ends its last line.
      if (buffer[i] !== NEWLINE || from + i === size - 1) continue;
      if (++lines === wanted) return { offset: from + i + 1, lines };
    }
    at = from;
  }
  return { offset: 0, lines: lines + 1 };
}

async function readExactly(file: Deno.FsFile, from: number, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  await file.seek(from, Deno.SeekMode.Start);
  let filled = 0;
  while (filled < length) {
    const count = await file.read(buffer.subarray(filled));
    if (count === null) break; // It was moved away at this moment.
    filled += count;
  }
  return buffer.subarray(0, filled);
}

async function* readFrom(path: string, offset: number): AsyncIterable<Uint8Array> {
  using file = await openOrNone(path);
  if (!file) return;
  await file.seek(offset, Deno.SeekMode.Start);
  while (true) {
    const buffer = new Uint8Array(CHUNK_BYTES);
    const count = await file.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await statOf(path))?.size ?? 0;
}

function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  return Deno.stat(path).catch(undefinedIfNotFound);
}

function openOrNone(path: string): Promise<Deno.FsFile | undefined> {
  return Deno.open(path).catch(undefinedIfNotFound);
}

function undefinedIfNotFound(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
