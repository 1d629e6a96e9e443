/**
 * Disks that survive their processes, and the store that a process has on one: slow, refusing, answering late or not at all.
 * Whoever watches a disk sees each record as it becomes durable.
 */
import type { MemoryDisk } from "../../lib/adapters/memory_store.ts";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import type { CommitGroup, CommitOutcome, Store, StoredRecord } from "../../lib/contracts/store.ts";
import type { Life } from "./life.ts";
import type { Weather } from "./weather.ts";

export type OnRecord = (key: string, before: unknown, after: unknown) => void;

class WatchedRecords extends Map<string, unknown> {
  onRecord: OnRecord = () => {};

  override set(key: string, value: unknown): this {
    const before = this.get(key);
    super.set(key, value);
    this.onRecord?.(key, before, value);
    return this;
  }

  override delete(key: string): boolean {
    const before = this.get(key);
    const was = super.delete(key);
    if (was) this.onRecord(key, before, undefined);
    return was;
  }
}

export interface Disk {
  readonly memory: MemoryDisk;
  /** While true every write is refused and no question answered. */
  outage: boolean;
}

export function createDisk(onRecord: OnRecord = () => {}): Disk {
  const records = new WatchedRecords();
  records.onRecord = onRecord;
  return { memory: { ...createMemoryDisk(), records }, outage: false };
}

export function openStore(life: Life, disk: Disk, weather: Weather): Store {
  const { memory } = disk;
  const inner = openMemoryStore({ clock: life.clock, disk: memory });
  let durable = memory.sequence;

  async function write(groups: readonly CommitGroup[], term: number): Promise<CommitOutcome> {
    if (groups.length === 0) return { kind: "done" };
    const outcome = await inner.commit(groups, term);
    if (outcome.kind === "done") durable = groups.at(-1)!.sequence;
    return outcome;
  }

  async function commit(groups: readonly CommitGroup[], term: number): Promise<CommitOutcome> {
    const refused = (): CommitOutcome => ({
      kind: "refused",
      lastSequence: durable,
      error: new Error("no space left"),
    });
    if (disk.outage || weather.strikes("commitRefused")) return refused();
    if (weather.strikes("commitPartial")) {
      const outcome = await write(groups.slice(0, weather.dice("commitPartial").below(groups.length)), term);
      return outcome.kind === "done" ? refused() : outcome;
    }
    const unknown: CommitOutcome = { kind: "unknown", error: new Error("no answer") };
    if (weather.strikes("commitLost")) return unknown;
    const outcome = await write(groups, term);
    return outcome.kind === "done" && weather.strikes("commitAnswerLost") ? unknown : outcome;
  }

  return {
    takeTerm: () => life.call("store.takeTerm", () => inner.takeTerm()),
    async *load() {
      yield* await life.call("store.load", async () => {
        const rows: StoredRecord[] = [];
        for await (const row of inner.load()) rows.push(row);
        return rows;
      });
    },
    commit: (groups, term) => life.call("store.commit", () => commit(groups, term)),
    lastSequence: () =>
      life.call("store.lastSequence", () => {
        if (disk.outage) throw new Error("the store does not answer");
        return inner.lastSequence();
      }),
    onAlarm(handler) {
      inner.onAlarm(async (topic) => {
        if (!life.touch("store.alarm")) return;
        const twice = weather.strikes("alarmTwice") ? handler(topic) : undefined;
        await Promise.all([handler(topic), twice]);
      });
    },
    close: () => inner.close(),
  };
}
