/**
 * The store over Deno KV: one file, no server. Owns the writes, fencing by the term record, and what is said of a write
 * that failed; packing and alarms have modules of their own. Nothing of KV's own shape leaves these three.
 *
 * 1. Every write checks the term record's versionstamp and sets the sequence record.
 * 2. Writes are made one after the other, in the order of the calls. A commit that was asked for before an earlier one
 *    failed fails with it, so that no later group is durable without the earlier.
 */
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { CommitOutcome, Store, StoredRecord } from "../contracts/store.ts";
import { createKvAlarms } from "./kv_alarms.ts";
import type { StoredAlarm } from "./kv_alarms.ts";
import type { Packed, PackedWrite } from "./kv_packing.ts";
import { alarmKey, ALARMS, decodeAlarm, decodeRecord, packGroups, RECORDS } from "./kv_packing.ts";

const TERM: Deno.KvKey = ["store", "term"];
const SEQUENCE: Deno.KvKey = ["store", "sequence"];
const LOAD_BATCH = 500;

export interface DenoKvStoreOptions {
  /** A file, or `:memory:`. */
  readonly path: string;
  readonly clock: Clock;
  /** Told of alarms that could not be taken, read or removed. */
  readonly logger?: Logger;
}

/** Throws when it cannot be opened. The caller holds the directory's lock. */
export async function openDenoKvStore({ path, clock, logger }: DenoKvStoreOptions): Promise<Store> {
  const kv = await openKv(path);
  const alarms = createKvAlarms({ clock, logger, read: readAlarms, remove: removeAlarms });
  let own: { readonly term: number; readonly stamp: string } | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let durable = await lastSequence();
  /** Commits that failed; one that was asked for under another number is too late. */
  let failures = 0;
  let failed: CommitOutcome | undefined;
  let closed: Promise<void> | undefined;

  function inLine<T>(task: () => Promise<T>): Promise<T> {
    const done = queue.then(task);
    queue = done.catch(() => {});
    return done;
  }

  async function writeAll({ writes, refusal }: Packed, term: number): Promise<CommitOutcome> {
    if (own?.term !== term) return { kind: "fenced", lastSequence: durable };
    const { stamp } = own;
    for (const write of writes) {
      const failure = await writeOne(write, stamp);
      if (failure) {
        if (failure.kind === "unknown") alarms.doubtful();
        return failure;
      }
      durable = write.sequence;
      alarms.added(write.alarms);
    }
    return refusal ? { kind: "refused", lastSequence: durable, error: refusal } : { kind: "done" };
  }

  /** Undefined: it is durable. */
  async function writeOne(write: PackedWrite, stamp: string): Promise<CommitOutcome | undefined> {
    try {
      const { ok } = await atomicOf(write, stamp).commit();
      // Only a newer term changes the record that is checked.
      return ok ? undefined : { kind: "fenced", lastSequence: durable };
    } catch (error) {
      return await afterError(error as Error, write, stamp);
    }
  }

  function atomicOf(write: PackedWrite, stamp: string): Deno.AtomicOperation {
    const atomic = kv.atomic().check({ key: TERM, versionstamp: stamp });
    for (const { key, bytes } of write.changes) {
      if (bytes) atomic.set(key, bytes);
      else atomic.delete(key);
    }
    return atomic.set(SEQUENCE, write.sequence);
  }

  /** A write that threw may have been made: the sequence record tells, as long as it is this term's. */
  async function afterError(error: Error, write: PackedWrite, stamp: string): Promise<CommitOutcome | undefined> {
    try {
      const [term, sequence] = await kv.getMany<[number, number]>([TERM, SEQUENCE]);
      if (term.versionstamp !== stamp) return { kind: "fenced", lastSequence: durable };
      if ((sequence.value ?? 0) >= write.sequence) return undefined;
      return { kind: "refused", lastSequence: durable, error };
    } catch {
      return { kind: "unknown", error };
    }
  }

  async function lastSequence(): Promise<number> {
    return (await kv.get<number>(SEQUENCE)).value ?? 0;
  }

  async function readPage(cursor?: string) {
    const from = cursor === undefined ? {} : { cursor };
    const list = kv.list<Uint8Array>({ prefix: [RECORDS] }, { batchSize: LOAD_BATCH, limit: LOAD_BATCH, ...from });
    const entries = await Array.fromAsync(list);
    return { entries, cursor: list.cursor };
  }

  async function readAlarms(): Promise<StoredAlarm[]> {
    const entries = kv.list<Uint8Array>({ prefix: [ALARMS] }, { batchSize: LOAD_BATCH });
    return await Array.fromAsync(entries, ({ key, value }) => decodeAlarm(key, value));
  }

  /** In line with the writes. A term that is not the newest removes nothing: the alarms are its successor's. */
  function removeAlarms(ids: readonly string[]): Promise<void> {
    return inLine(async () => {
      const atomic = kv.atomic();
      if (own) atomic.check({ key: TERM, versionstamp: own.stamp });
      for (const id of ids) atomic.delete(alarmKey(id));
      await atomic.commit();
    });
  }

  async function closeAll(): Promise<void> {
    await queue;
    await alarms.stop();
    kv.close();
  }

  return {
    async takeTerm(atLeast = 1) {
      while (true) {
        const entry = await kv.get<number>(TERM);
        const term = Math.max((entry.value ?? 0) + 1, atLeast);
        const result = await kv.atomic().check(entry).set(TERM, term).commit();
        if (!result.ok) continue;
        // Older terms write no more: this is the last of them.
        durable = await lastSequence();
        own = { term, stamp: result.versionstamp };
        alarms.doubtful();
        return term;
      }
    },
    async *load(): AsyncIterable<StoredRecord> {
      let next = readPage();
      while (true) {
        const { entries, cursor } = await next;
        const isLast = entries.length < LOAD_BATCH;
        if (!isLast) {
          // Read while this one is decoded. Its failure is told to who asks for it; who stops reading before does not.
          next = readPage(cursor);
          next.catch(() => {});
        }
        for (const { key, value } of entries) yield decodeRecord(key, value);
        if (isLast) return;
      }
    },
    commit(groups, term) {
      const packed = packGroups(groups, clock.wallMs());
      const askedAt = failures;
      return inLine(async () => {
        if (askedAt !== failures) return failed!;
        const made = await writeAll(packed, term);
        if (made.kind === "done") return made;
        failures++;
        return failed = made;
      });
    },
    lastSequence,
    onAlarm: (handler) => alarms.listen(handler),
    close: () => closed ??= closeAll(),
  };
}

async function openKv(path: string): Promise<Deno.Kv> {
  try {
    return await Deno.openKv(path);
  } catch (error) {
    throw new Error(`cannot open the store ${path}: ${(error as Error).message}`);
  }
}
