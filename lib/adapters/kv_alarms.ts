/**
 * Alarms on Deno KV's queue: what is enqueued, and listening for what falls due. Atomic writes and the handle are the
 * store's.
 *
 * KV takes a message off its queue by writing to its file. When it cannot (a full disk), a thread of its own panics and
 * the whole process ends; no program can catch that. Nothing happens while nobody listens. So:
 *
 * 1. It listens only while writes succeed and the disk has room. KV cannot be told to stop: the handle is opened anew.
 *    (Not a second handle for listening: two contend for the file's lock, and commits fail with "database is locked".)
 * 2. Before that handle is closed, messages that are being handled are finished or put back.
 * 3. A message leaves the queue only after its handler has taken it, or once a later one for its topic is there.
 */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Alarm } from "../contracts/store.ts";

export interface KvAlarms {
  enqueue(atomic: Deno.AtomicOperation, alarm: Alarm): void;
  listen(handler: (topic: string) => void | Promise<void>): void;
  /** After each write: whether the store took it, and about how many bytes. */
  wrote(success: boolean, bytes: number): void;
  /** Before the handle is closed for good. */
  stop(): Promise<void>;
  /** After it was closed. */
  stopped(): Promise<void>;
}

export interface KvAlarmsOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  /** The store's handle. */
  readonly current: () => Promise<Deno.Kv>;
  /** Closes the handle and opens another, while nothing is written. */
  readonly reopen: () => Promise<void>;
}

interface Message {
  readonly topic: string;
  readonly dueMs: number;
}

/** KV delays a message at most 30 days; longer ones are chained. */
const DELAY_MAX_MS = 29 * 86_400_000;
/** A message that its handler did not take comes again after this; KV itself would give it up after five attempts. */
const AGAIN_MS = 1_000;
const CHECK_MS = 1_000;
/** Far more than is written until a check is over: the file grows by about twice what a write holds. */
const ROOM_BYTES_MIN = 16 * 2 ** 20;
/** To begin again there must be more: opening anew gives some room back. */
const ROOM_BYTES_AGAIN = 24 * 2 ** 20;
const CHECK_BYTES = 2 ** 20;
/** A handler that does not end is left behind; its message comes again about a minute after that. */
const DRAIN_MAX_MS = 2_000;
const DRAIN_CHECK_MS = 5;

export function createKvAlarms({ path, clock, logger, current, reopen }: KvAlarmsOptions): KvAlarms {
  // What lies in memory has no disk, and would be gone with its handle.
  const guarded = path !== ":memory:";
  const stopping = new AbortController();
  let wake: AbortController | undefined;
  let running: Promise<void> | undefined;
  /** Until KV ends it: when the handle is closed, or when the queue breaks. */
  let listening: Promise<void> | undefined;
  let writable = true;
  let writtenBytes = 0;
  /** Messages are put back instead of handled. */
  let draining = false;
  let handling = 0;

  function enqueue(atomic: Deno.AtomicOperation, topic: string, dueMs: number): void {
    const delay = Math.min(DELAY_MAX_MS, Math.max(0, dueMs - clock.wallMs()));
    atomic.enqueue({ topic, dueMs } satisfies Message, { delay });
  }

  /** Again and again brings what is (listening or not) to what should be. */
  async function run(take: (message: Message) => Promise<void>): Promise<void> {
    while (!stopping.signal.aborted) {
      wake = new AbortController();
      writtenBytes = 0;
      const able = await mayListen();
      try {
        if (able && !listening) await start(take);
        else if (!able && listening) await end();
      } catch (error) {
        logger?.warn("the queue of alarms cannot be opened", { path, error: String(error) });
      }
      await pause(clock, CHECK_MS, wake.signal);
    }
  }

  async function mayListen(): Promise<boolean> {
    if (!guarded) return true;
    const freeBytes = await freeBytesAt(path);
    return writable && freeBytes >= (listening ? ROOM_BYTES_MIN : ROOM_BYTES_AGAIN);
  }

  async function start(take: (message: Message) => Promise<void>): Promise<void> {
    const kv = await current();
    if (stopping.signal.aborted) return;
    draining = false;
    listening = kv.listenQueue(take)
      .catch((error) => logger?.warn("the queue of alarms broke", { path, error: String(error) }))
      .finally(() => listening = undefined);
  }

  async function end(): Promise<void> {
    logger?.warn("alarms wait: the store cannot be written, or its disk has no room", { path });
    const ended = listening;
    await drain();
    await reopen();
    await ended;
  }

  /** Not in line with the writes: a handler may wait for one. */
  async function drain(): Promise<void> {
    draining = true;
    const untilMs = clock.monoMs() + DRAIN_MAX_MS;
    while (handling > 0 && clock.monoMs() < untilMs) await pause(clock, DRAIN_CHECK_MS);
    // KV notes a message as done once its handler has ended; what is asked of a handle is done in order.
    const kv = await current();
    for (let i = 0; i < 2; i++) await kv.get(["store"]).catch(() => {});
  }

  async function takeOne(message: Message, handler: (topic: string) => void | Promise<void>): Promise<void> {
    handling++;
    try {
      if (message.dueMs > clock.wallMs()) return await putBack(message.topic, message.dueMs);
      if (draining) return await putBack(message.topic, clock.wallMs() + AGAIN_MS);
      try {
        await handler(message.topic);
      } catch (error) {
        logger?.warn("an alarm could not be taken and rings again", {
          topic: message.topic,
          error: (error as Error).message,
        });
        await putBack(message.topic, clock.wallMs() + AGAIN_MS);
      }
    } finally {
      handling--;
    }
  }

  /** Tries until it is written: a message that KV is told to try again is lost after a few attempts. */
  async function putBack(topic: string, dueMs: number): Promise<void> {
    while (true) {
      try {
        const atomic = (await current()).atomic();
        enqueue(atomic, topic, dueMs);
        await atomic.commit();
        return;
      } catch {
        // Left without an answer it comes again about a minute later; KV would log an error.
        if (stopping.signal.aborted) return await new Promise(() => {});
        await pause(clock, AGAIN_MS, stopping.signal);
      }
    }
  }

  return {
    enqueue: (atomic, alarm) => enqueue(atomic, alarm.topic, clock.wallMs() + alarm.delayMs),
    listen(handler) {
      if (running) throw new Error("alarms have a handler already");
      running = run((message) => takeOne(message, handler));
    },
    wrote(success, bytes) {
      writable = success;
      writtenBytes += bytes;
      if (!success || writtenBytes > CHECK_BYTES) wake?.abort();
    },
    async stop() {
      stopping.abort();
      wake?.abort();
      await running;
      if (listening) await drain();
    },
    stopped: async () => await listening,
  };
}

/** What the disk has left for this user; without limit when it does not say. */
async function freeBytesAt(path: string): Promise<number> {
  try {
    const { bavail, bfree, bsize } = await statfs(dirname(path));
    return bsize * (Deno.uid() === 0 ? bfree : bavail);
  } catch {
    return Infinity;
  }
}
