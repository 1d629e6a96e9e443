/**
 * The store in memory, for `--dbType memory` and for tests. What it holds lies on a `MemoryDisk`, which may outlive it:
 * a crash is dropping the store and opening another on the same disk.
 */
import type { Clock } from "../contracts/clock.ts";
import type { CommitGroup, CommitOutcome, Key, Store, StoredRecord } from "../contracts/store.ts";

export interface MemoryDisk {
  readonly records: Map<string, unknown>;
  readonly alarms: Map<number, { readonly topic: string; readonly dueMs: number }>;
  term: number;
  sequence: number;
  nextAlarm: number;
  /** Counts those who asked for alarms; only the last gets them, so that a store that was dropped stays silent. */
  listeners: number;
}

export function createMemoryDisk(): MemoryDisk {
  return { records: new Map(), alarms: new Map(), term: 0, sequence: 0, nextAlarm: 1, listeners: 0 };
}

/**
 * What becomes of the next commit; for tests of those who use a store.
 * refuse      nothing is written
 * loseAnswer  written, and the outcome is `unknown`
 * hang        nothing is written, and neither this commit nor a later one is ever answered
 */
export type CommitFault = "none" | "refuse" | "loseAnswer" | "hang";

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly disk?: MemoryDisk;
  /** Asked before each commit. */
  readonly fault?: () => CommitFault;
}

const ALARM_RETRY_MS = 1_000;

export function openMemoryStore({ clock, disk = createMemoryDisk(), fault }: MemoryStoreOptions): Store {
  let handler: ((topic: string) => void | Promise<void>) | undefined;
  let listener = 0;
  const timers = new Map<number, () => void>();
  /** Until a failure has been told, those who asked meanwhile fail with it: no later group without the earlier. */
  let failing: Promise<CommitOutcome> | undefined;
  let closed = false;
  // Of this store's own view: what a later term wrote is none of it.
  let durable = disk.sequence;

  function arm(id: number): void {
    const alarm = disk.alarms.get(id);
    if (!alarm || !handler || closed || disk.listeners !== listener) return;
    timers.set(id, clock.after(Math.max(0, alarm.dueMs - clock.wallMs()), () => void ring(id)));
  }

  async function ring(id: number): Promise<void> {
    timers.delete(id);
    const alarm = disk.alarms.get(id);
    if (!alarm || closed || disk.listeners !== listener) return;
    if (alarm.dueMs > clock.wallMs()) return arm(id);
    try {
      await handler!(alarm.topic);
      disk.alarms.delete(id);
    } catch {
      // At least once: a handler that could not take it gets it again.
      if (!closed) timers.set(id, clock.after(ALARM_RETRY_MS, () => void ring(id)));
    }
  }

  function write(groups: readonly CommitGroup[]): void {
    for (const group of groups) {
      for (const change of group.changes) {
        const key = JSON.stringify(change.key);
        if (change.kind === "put") disk.records.set(key, structuredClone(change.value));
        else disk.records.delete(key);
      }
      for (const alarm of group.alarms) {
        const id = disk.nextAlarm++;
        disk.alarms.set(id, { topic: alarm.topic, dueMs: clock.wallMs() + alarm.delayMs });
        arm(id);
      }
      disk.sequence = durable = group.sequence;
    }
  }

  function commitNow(groups: readonly CommitGroup[], term: number): CommitOutcome | "hang" {
    if (term !== disk.term) return { kind: "fenced", lastSequence: durable };
    const what = fault?.() ?? "none";
    switch (what) {
      case "none":
        write(groups);
        return { kind: "done" };
      case "refuse":
        return { kind: "refused", lastSequence: durable, error: new Error("refused by the test") };
      case "loseAnswer":
        write(groups);
        return { kind: "unknown", error: new Error("the answer was lost") };
      case "hang":
        return what;
      default:
        return what satisfies never;
    }
  }

  return {
    takeTerm: (atLeast = 1) => Promise.resolve(disk.term = Math.max(disk.term + 1, atLeast)),
    async *load(): AsyncIterable<StoredRecord> {
      const rows = [...disk.records].map(([key, value]) => ({ key: JSON.parse(key) as Key, value }));
      for (const { key, value } of rows.sort((a, b) => compareKeys(a.key, b.key))) {
        yield await Promise.resolve({ key, value: structuredClone(value) });
      }
    },
    commit(groups, term) {
      if (failing) return failing;
      const outcome = commitNow(groups, term);
      if (outcome === "hang") return failing = new Promise(() => {});
      if (outcome.kind === "done") return Promise.resolve(outcome);
      queueMicrotask(() => failing = undefined);
      return failing = Promise.resolve(outcome);
    },
    lastSequence: () => Promise.resolve(disk.sequence),
    onAlarm(given) {
      if (handler) throw new Error("alarms have a handler already");
      handler = given;
      listener = ++disk.listeners;
      for (const id of disk.alarms.keys()) arm(id);
    },
    close() {
      closed = true;
      for (const cancel of timers.values()) cancel();
      timers.clear();
      return Promise.resolve();
    },
  };
}

/** Part by part, strings before numbers, strings by code point: the order that Deno KV has. */
function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== b[i]) return compareParts(a[i], b[i]);
  }
  return a.length - b.length;
}

function compareParts(a: string | number, b: string | number): number {
  if (typeof a === "number" || typeof b === "number") {
    if (typeof a === typeof b) return a < b ? -1 : 1;
    return typeof a === "string" ? -1 : 1;
  }
  let i = 0;
  while (i < a.length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  // Second halves of a pair are compared as the pairs that they end.
  if (i > 0 && (a.codePointAt(i - 1)! > 0xffff || b.codePointAt(i - 1)! > 0xffff)) i--;
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}
