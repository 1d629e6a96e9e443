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
}

export function createMemoryDisk(): MemoryDisk {
  return { records: new Map(), alarms: new Map(), term: 0, sequence: 0, nextAlarm: 1 };
}

/** What becomes of the next commit; for tests of those who use a store. */
export type CommitFault = "none" | "refuse" | "loseAnswer";

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly disk?: MemoryDisk;
  /** Asked before each commit. */
  readonly fault?: () => CommitFault;
}

const ALARM_RETRY_MS = 1_000;

export function openMemoryStore({ clock, disk = createMemoryDisk(), fault }: MemoryStoreOptions): Store {
  let handler: ((topic: string) => void | Promise<void>) | undefined;
  const timers = new Map<number, () => void>();
  let closed = false;
  // Of this store's own view: what a later term wrote is none of it.
  let durable = disk.sequence;

  function arm(id: number): void {
    const alarm = disk.alarms.get(id);
    if (!alarm || !handler || closed) return;
    timers.set(id, clock.after(Math.max(0, alarm.dueMs - clock.wallMs()), () => void ring(id)));
  }

  async function ring(id: number): Promise<void> {
    timers.delete(id);
    const alarm = disk.alarms.get(id);
    if (!alarm || closed) return;
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

  return {
    takeTerm: () => Promise.resolve(++disk.term),
    async *load(): AsyncIterable<StoredRecord> {
      const rows = [...disk.records].map(([key, value]) => ({ key: JSON.parse(key) as Key, value }));
      for (const { key, value } of rows.sort((a, b) => compareKeys(a.key, b.key))) {
        yield await Promise.resolve({ key, value: structuredClone(value) });
      }
    },
    commit(groups, term): Promise<CommitOutcome> {
      if (term !== disk.term) return Promise.resolve({ kind: "fenced", lastSequence: durable });
      const what = fault?.() ?? "none";
      if (what === "refuse") {
        return Promise.resolve({
          kind: "refused",
          lastSequence: durable,
          error: new Error("refused by the test"),
        });
      }
      write(groups);
      return Promise.resolve(
        what === "loseAnswer" ? { kind: "unknown", error: new Error("the answer was lost") } : { kind: "done" },
      );
    },
    lastSequence: () => Promise.resolve(disk.sequence),
    onAlarm(given) {
      handler = given;
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

/** Part by part; the parts at one place are of one type. */
function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return a.length - b.length;
}
