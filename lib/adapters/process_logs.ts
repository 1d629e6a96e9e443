/** Output of host processes, from the files that their shim appends to. */
import { join } from "node:path";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { LogOptions, OutputChunk } from "../contracts/runtime.ts";

const CHUNK_BYTES = 64 * 1024;
const LOG_BYTES_MAX = 10 * 2 ** 20;
const LOOK_EVERY_MS = 100;
const NAMES = ["stdout", "stderr"] as const;

/** Lines carry no times, so `sinceMs` and `timestamps` are not heeded. */
export async function* processLogs(options: {
  readonly dir: string;
  readonly request: LogOptions;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly isRunning: () => Promise<boolean>;
}): AsyncIterable<OutputChunk> {
  const { dir, request, signal, clock, isRunning } = options;
  const offsets = { stdout: 0, stderr: 0 };
  if (request.tail !== null) {
    for (const name of NAMES) offsets[name] = await tailOffset(join(dir, name), request.tail);
  }
  while (!signal.aborted) {
    // Asked before reading: what is written until it ends is read in this round.
    const running = request.follow && await isRunning();
    for (const name of NAMES) {
      for await (const data of readFrom(join(dir, name), offsets[name])) {
        offsets[name] += data.length;
        yield { stream: name, data };
        if (signal.aborted) return;
      }
    }
    if (!running) return;
    await pause(clock, LOOK_EVERY_MS, signal);
  }
}

async function* readFrom(path: string, offset: number): AsyncIterable<Uint8Array> {
  const file = await openOrNone(path);
  if (!file) return;
  try {
    const { size } = await file.stat();
    // A rotated file begins anew.
    await file.seek(size < offset ? 0 : offset, Deno.SeekMode.Start);
    while (true) {
      const buffer = new Uint8Array(CHUNK_BYTES);
      const count = await file.read(buffer);
      if (count === null) return;
      yield buffer.subarray(0, count);
    }
  } finally {
    file.close();
  }
}

/** Where the last `lines` lines begin. */
async function tailOffset(path: string, lines: number): Promise<number> {
  const file = await openOrNone(path);
  if (!file) return 0;
  try {
    let at = (await file.stat()).size;
    let found = 0;
    let last = true;
    if (lines === 0) return at;
    while (at > 0) {
      const from = Math.max(0, at - CHUNK_BYTES);
      const buffer = new Uint8Array(at - from);
      await file.seek(from, Deno.SeekMode.Start);
      await file.read(buffer);
      for (let i = buffer.length - 1; i >= 0; i--) {
        if (buffer[i] !== 10) {
          last = false;
          continue;
        }
        // The newline that ends the file ends its last line.
        if (last) last = false;
        else if (++found === lines) return from + i + 1;
      }
      at = from;
    }
    return 0;
  } finally {
    file.close();
  }
}

/** Keeps the newest part: the writer appends, so the file may be cut under it. */
export async function rotateLogs(dir: string, logger: Logger): Promise<void> {
  for (const name of NAMES) {
    const path = join(dir, name);
    try {
      if ((await Deno.stat(path)).size <= LOG_BYTES_MAX) continue;
      await Deno.copyFile(path, `${path}.1`);
      await Deno.truncate(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        logger.warn("a log could not be cut", { path, error: String(error) });
      }
    }
  }
}

async function openOrNone(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
