/**
 * Alarms as plain records beside those that they belong to: which are kept, when they ring, and when they are over.
 * Writing them is the store's, in the same atomic write as their group.
 *
 * (Not KV's own queue: when it cannot write its file, a thread of its own panics and takes the process along; what was
 * being handled at a crash comes back only after a minute; and it delays by 30 days at most.)
 *
 * 1. What is durable rings, at least once, not before its wall time. A clock that jumps is noticed within a minute.
 * 2. A record is removed only after its handler has taken it. Removals gather: one that is lost in a crash, or refused by
 *    a full disk, makes its alarm ring once more in the next life.
 */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import { createDueQueue } from "./due_queue.ts";

export interface StoredAlarm {
  /** Names it among all alarms of the file. */
  readonly id: string;
  readonly topic: string;
  readonly dueMs: number;
}

export interface KvAlarms {
  listen(handler: (topic: string) => void | Promise<void>): void;
  /** They have become durable. */
  added(alarms: readonly StoredAlarm[]): void;
  /** What is durable is not known any more (a write without an answer, a new term): the file tells. */
  doubtful(): void;
  /** Lets handlers end and removes what they have taken. */
  stop(): Promise<void>;
}

export interface KvAlarmsOptions {
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly read: () => Promise<readonly StoredAlarm[]>;
  /** At most REMOVALS_MAX of them. */
  readonly remove: (ids: readonly string[]) => Promise<void>;
}

export const REMOVALS_MAX = 500;
/** A handler that could not take an alarm gets it again after this, and so does a file that did not answer. */
const AGAIN_MS = 1_000;
/** Due times are looked at this often whatever the timers say: the wall clock may have jumped. */
const LOOK_MS = 60_000;
const REMOVE_AFTER_MS = 200;
/** A handler that does not end is left behind at the close; its alarm rings again in the next life. */
const DRAIN_MAX_MS = 2_000;

export function createKvAlarms({ clock, logger, read, remove }: KvAlarmsOptions): KvAlarms {
  const waiting = createDueQueue<StoredAlarm>();
  const ringing = new Map<string, Promise<void>>();
  /** Taken by the handler, and still in the file. */
  const taken = new Set<string>();
  let handler: ((topic: string) => void | Promise<void>) | undefined;
  let stopped = false;
  let reading: Promise<void> | undefined;
  let removing: Promise<void> | undefined;
  let cancelLook = () => {};
  const stopping = new AbortController();

  /** Rings what is due and looks again when the next is. */
  function look(): void {
    cancelLook();
    if (stopped || !handler) return;
    const nowMs = clock.wallMs();
    for (let due = waiting.takeDue(nowMs); due; due = waiting.takeDue(nowMs)) {
      const alarm = due;
      ringing.set(alarm.id, ring(alarm).finally(() => ringing.delete(alarm.id)));
    }
    const nextMs = Math.min(LOOK_MS, (waiting.earliestMs() ?? Infinity) - nowMs);
    cancelLook = clock.after(Math.max(1, nextMs), look);
  }

  async function ring(alarm: StoredAlarm): Promise<void> {
    try {
      await handler!(alarm.topic);
    } catch (error) {
      if (stopped) return;
      logger?.warn("an alarm could not be taken and rings again", {
        topic: alarm.topic,
        error: (error as Error).message,
      });
      waiting.add({ ...alarm, dueMs: clock.wallMs() + AGAIN_MS });
      // Not at once: `look` goes on only when the alarms of now have been rung.
      queueMicrotask(look);
      return;
    }
    taken.add(alarm.id);
    removing ??= pause(clock, REMOVE_AFTER_MS, stopping.signal).then(removeTaken).finally(() => removing = undefined);
  }

  async function removeTaken(): Promise<void> {
    while (taken.size > 0) {
      const ids = [...taken].slice(0, REMOVALS_MAX);
      try {
        await remove(ids);
        for (const id of ids) taken.delete(id);
      } catch (error) {
        if (stopped) return;
        logger?.warn("alarms that have rung cannot be removed yet", { count: taken.size, error: String(error) });
        await pause(clock, AGAIN_MS * 10, stopping.signal);
      }
    }
  }

  async function readAll(): Promise<void> {
    while (!stopped) {
      try {
        const found = await read();
        waiting.clear();
        for (const alarm of found) {
          if (!ringing.has(alarm.id) && !taken.has(alarm.id)) waiting.add(alarm);
        }
        return look();
      } catch (error) {
        logger?.warn("the alarms cannot be read", { error: String(error) });
        await pause(clock, AGAIN_MS, stopping.signal);
      }
    }
  }

  /** What is added while the file is read may or may not be part of what it answers: it is read once more. */
  function reread(): void {
    const again = () => (reading = readAll().finally(() => reading = undefined));
    if (!reading) again();
    else reading = reading.then(again);
  }

  return {
    listen(given) {
      if (handler) throw new Error("alarms have a handler already");
      handler = given;
      reread();
    },
    added(alarms) {
      if (!handler || alarms.length === 0) return;
      if (reading) return reread();
      for (const alarm of alarms) waiting.add(alarm);
      look();
    },
    doubtful() {
      if (handler) reread();
    },
    async stop() {
      stopped = true;
      stopping.abort();
      cancelLook();
      await reading;
      const left = new AbortController();
      await Promise.race([
        Promise.all(ringing.values()).finally(() => left.abort()),
        pause(clock, DRAIN_MAX_MS, left.signal),
      ]);
      await removing;
      await removeTaken();
    },
  };
}
