/**
 * Output of a container, which outlives the connection it comes over: while it is followed, each line is asked for with its
 * time, so that after a break the next connection goes on exactly where the last one ended.
 *
 * A frame of the Engine is one line, or a piece of at most 16 KiB of one, and each piece bears a time of its own.
 */
import type Docker from "dockerode";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { ContainerObservation, LogOptions, OutputChunk } from "../contracts/runtime.ts";
import { demultiplex, dialStream } from "./docker_stream.ts";
import { runtimeError } from "./docker_translate.ts";

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 2_000;
/** How long an Engine that went away while its output was followed may take to come back. */
const AWAY_MAX_MS = 60_000;
const NEWLINE = 10;
const SPACE = 32;

type Inspect = (name: string) => Promise<ContainerObservation | undefined>;

/** Throws RuntimeError "missing" when there is no such container. */
export async function* containerLogs(
  { docker, inspect, clock }: { readonly docker: Docker; readonly inspect: Inspect; readonly clock: Clock },
  name: string,
  options: LogOptions,
  signal: AbortSignal,
): AsyncIterable<OutputChunk> {
  const from: Place = {
    since: options.sinceMs === null ? null : (options.sinceMs / 1000).toFixed(3),
    tail: options.tail,
    seen: 0,
    lastTime: null,
  };
  const open: Open = { stdout: false, stderr: false };
  const startedAtMs = clock.wallMs();
  let waitMs = RETRY_MIN_MS;
  while (!signal.aborted) {
    const before = from.lastTime;
    try {
      yield* connection(docker, name, { ...options, from, open }, signal);
    } catch (error) {
      const known = runtimeError(error, "other");
      if (signal.aborted) return;
      // What is asked for once ends with its connection; a wrong question stays wrong.
      if (!options.follow || known.code === "missing") throw known;
    }
    if (!options.follow || !await goesOn(inspect, name, clock, signal)) return;
    if (from.lastTime === null && from.since === null && options.tail !== null) {
      // Not a line came: what was there before has been left out on purpose.
      from.since = (startedAtMs / 1000).toFixed(3);
      from.tail = null;
    }
    waitMs = from.lastTime === before ? Math.min(RETRY_MAX_MS, waitMs * 2) : RETRY_MIN_MS;
    await pause(clock, waitMs, signal);
  }
}

/** Where the next connection begins. */
interface Place {
  since: string | null;
  tail: number | null;
  /** The time of the last frame, and how many frames bore it: `since` gives those once more. */
  lastTime: string | null;
  seen: number;
}

/** Whether the last piece of a stream has left its line open. */
type Open = Record<OutputChunk["stream"], boolean>;

interface Request extends LogOptions {
  readonly from: Place;
  readonly open: Open;
}

async function* connection(
  docker: Docker,
  name: string,
  { follow, timestamps, from, open }: Request,
  signal: AbortSignal,
): AsyncIterable<OutputChunk> {
  const stream = await dialStream(docker, `/containers/${encodeURIComponent(name)}/logs`, {
    stdout: "1",
    stderr: "1",
    follow: follow ? "1" : "0",
    timestamps: follow || timestamps ? "1" : "0",
    tail: from.tail === null ? "all" : String(from.tail),
    ...(from.since === null ? {} : { since: from.since }),
  }, signal);
  const abort = () => stream.destroy();
  signal.addEventListener("abort", abort);
  let repeated = from.seen;
  try {
    if (signal.aborted) return;
    for await (const chunk of demultiplex(stream as AsyncIterable<Uint8Array>)) {
      if (!follow && !timestamps) {
        yield chunk;
        continue;
      }
      const { time, line } = splitTime(chunk.data);
      if (time === from.lastTime && repeated > 0) {
        repeated--;
        continue;
      }
      if (time === from.lastTime) from.seen++;
      else {
        from.lastTime = time;
        from.since = secondsOf(time);
        from.tail = null;
        from.seen = 1;
        repeated = 0;
      }
      // Only the first piece of a line begins with a time.
      const data = timestamps && !open[chunk.stream] ? chunk.data : line;
      open[chunk.stream] = line.at(-1) !== NEWLINE;
      yield { stream: chunk.stream, data };
    }
  } finally {
    signal.removeEventListener("abort", abort);
    stream.destroy();
  }
}

function splitTime(data: Uint8Array): { time: string; line: Uint8Array } {
  const space = data.indexOf(SPACE);
  return { time: new TextDecoder().decode(data.subarray(0, space)), line: data.subarray(space + 1) };
}

/** `SECONDS.NANOSECONDS` of an RFC 3339 time: a Date would drop all below a millisecond. */
export function secondsOf(time: string): string {
  const [, fraction = ""] = /\.(\d+)/.exec(time) ?? [];
  return `${Math.floor(Date.parse(time) / 1000)}.${fraction.padEnd(9, "0")}`;
}

/** Asks until the Engine answers. It may have closed the stream because the container ended, or for reasons of its own. */
async function goesOn(inspect: Inspect, name: string, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const untilMs = clock.monoMs() + AWAY_MAX_MS;
  for (let waitMs = RETRY_MIN_MS; !signal.aborted; waitMs = Math.min(RETRY_MAX_MS, waitMs * 2)) {
    try {
      const container = await inspect(name);
      return container?.status === "running" || container?.status === "restarting";
    } catch (error) {
      if (runtimeError(error, "other").code !== "unavailable" || clock.monoMs() > untilMs) throw error;
      await pause(clock, waitMs, signal);
    }
  }
  return false;
}
