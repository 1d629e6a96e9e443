/**
 * The store over Deno KV: one file, no server. Owns packing groups into atomic writes, fencing by the term record, and
 * alarms on KV's queue. Nothing of KV's own shape leaves this module.
 *
 * 1. Every write checks the term record's versionstamp and sets the sequence record.
 * 2. Writes are made one after the other, in the order of the calls.
 * 3. Values are UTF-8 JSON: their size is known exactly (V8's own format doubles a string with one wide character).
 */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { CommitGroup, CommitOutcome, Key, Store, StoredRecord } from "../contracts/store.ts";
import { VALUE_BYTES_MAX } from "../contracts/store.ts";

const TERM: Deno.KvKey = ["store", "term"];
const SEQUENCE: Deno.KvKey = ["store", "sequence"];
const RECORDS = "r";

/** Below KV's own limits of 1,000 mutations, 819,200 bytes and 81,920 bytes of keys: its overhead is not documented. */
const MUTATIONS_MAX = 900;
const BYTES_MAX = 760_000;
const KEY_BYTES_MAX = 76_000;
const ALARM_BYTES = 300;
/** KV delays a message at most 30 days; longer ones are chained. */
const DELAY_MAX_MS = 29 * 86_400_000;
const ALARM_RETRY_MS = 1_000;
const LISTEN_AGAIN_MS = 1_000;

interface AlarmMessage {
  readonly topic: string;
  readonly dueMs: number;
}

interface Write {
  readonly groups: CommitGroup[];
  mutations: number;
  bytes: number;
  keyBytes: number;
}

/** `path` a file, or `:memory:`. Throws when it cannot be opened. The caller holds the directory's lock. */
export async function openDenoKvStore(options: { readonly path: string; readonly clock: Clock }): Promise<Store> {
  const { clock } = options;
  const kv = await Deno.openKv(options.path);
  let own: { readonly term: number; readonly stamp: string } | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let listening: Promise<void> | undefined;
  const closing = new AbortController();
  let durable = await lastSequence();

  async function writeAll(groups: readonly CommitGroup[], term: number): Promise<CommitOutcome> {
    let last = durable;
    if (!own || own.term !== term) return { kind: "fenced", lastSequence: last };
    const { stamp } = own;
    let writes: Write[];
    try {
      writes = pack(groups);
    } catch (error) {
      return { kind: "refused", lastSequence: last, error: error as Error };
    }
    for (const write of writes) {
      const sequence = write.groups.at(-1)!.sequence;
      try {
        const result = await atomicOf(write, sequence, stamp).commit();
        if (!result.ok) return await notOk(term, last);
      } catch (error) {
        return await afterError(error as Error, sequence, last);
      }
      durable = last = sequence;
    }
    return { kind: "done" };
  }

  function atomicOf(write: Write, sequence: number, stamp: string): Deno.AtomicOperation {
    const atomic = kv.atomic().check({ key: TERM, versionstamp: stamp }).set(SEQUENCE, sequence);
    for (const group of write.groups) {
      for (const change of group.changes) {
        const key = [RECORDS, ...change.key];
        if (change.kind === "put") atomic.set(key, encode(change.value));
        else atomic.delete(key);
      }
      for (const alarm of group.alarms) enqueue(atomic, alarm.topic, clock.wallMs() + alarm.delayMs);
    }
    return atomic;
  }

  function enqueue(atomic: Deno.AtomicOperation, topic: string, dueMs: number): void {
    const delay = Math.min(DELAY_MAX_MS, Math.max(0, dueMs - clock.wallMs()));
    atomic.enqueue({ topic, dueMs } satisfies AlarmMessage, { delay });
  }

  async function notOk(term: number, last: number): Promise<CommitOutcome> {
    const newest = (await kv.get<number>(TERM)).value ?? 0;
    if (newest > term) return { kind: "fenced", lastSequence: last };
    return { kind: "refused", lastSequence: last, error: new Error(`the term record changed (${newest})`) };
  }

  /** A write that threw may have been made: the sequence record tells. */
  async function afterError(error: Error, sequence: number, last: number): Promise<CommitOutcome> {
    try {
      durable = await lastSequence();
      return { kind: "refused", lastSequence: durable >= sequence ? durable : last, error };
    } catch {
      return { kind: "unknown", error };
    }
  }

  async function lastSequence(): Promise<number> {
    return (await kv.get<number>(SEQUENCE)).value ?? 0;
  }

  /** A queue that breaks (a disk that does not answer) is listened to again; its error must not end the process. */
  async function listen(handler: (message: AlarmMessage) => Promise<void>): Promise<void> {
    while (!closing.signal.aborted) {
      await kv.listenQueue(handler).catch(() => {});
      await pause(clock, LISTEN_AGAIN_MS, closing.signal);
    }
  }

  return {
    async takeTerm() {
      while (true) {
        const entry = await kv.get<number>(TERM);
        const term = (entry.value ?? 0) + 1;
        const result = await kv.atomic().check(entry).set(TERM, term).commit();
        if (!result.ok) continue;
        own = { term, stamp: result.versionstamp };
        return term;
      }
    },
    async *load(): AsyncIterable<StoredRecord> {
      for await (const entry of kv.list<Uint8Array>({ prefix: [RECORDS] }, { batchSize: 500 })) {
        yield { key: entry.key.slice(1) as unknown as Key, value: decode(entry.value) };
      }
    },
    commit(groups, term) {
      const outcome = queue.then(() => writeAll(groups, term));
      queue = outcome.catch(() => {});
      return outcome;
    },
    lastSequence,
    onAlarm(handler) {
      listening = listen(async (message) => {
        if (closing.signal.aborted) throw new Error("the store is closed");
        if (message.dueMs > clock.wallMs()) {
          const again = kv.atomic();
          enqueue(again, message.topic, message.dueMs);
          await again.commit();
          return;
        }
        try {
          await handler(message.topic);
        } catch {
          // KV itself gives a message up after five attempts.
          const again = kv.atomic();
          enqueue(again, message.topic, clock.wallMs() + ALARM_RETRY_MS);
          await again.commit();
        }
      });
    },
    async close() {
      await queue;
      closing.abort();
      kv.close();
      await listening;
    },
  };
}

/** Groups into as few writes as fit. Throws when one group is larger than a write may be. */
function pack(groups: readonly CommitGroup[]): Write[] {
  const writes: Write[] = [];
  let current: Write | undefined;
  for (const group of groups) {
    const size = sizeOf(group);
    if (size.mutations > MUTATIONS_MAX || size.bytes > BYTES_MAX || size.keyBytes > KEY_BYTES_MAX) {
      throw new Error(`a group of ${size.mutations} changes and ${size.bytes} bytes is larger than one write may be`);
    }
    const fits = current && current.mutations + size.mutations <= MUTATIONS_MAX &&
      current.bytes + size.bytes <= BYTES_MAX && current.keyBytes + size.keyBytes <= KEY_BYTES_MAX;
    if (!current || !fits) writes.push(current = { groups: [], mutations: 1, bytes: 100, keyBytes: 50 });
    current.groups.push(group);
    current.mutations += size.mutations;
    current.bytes += size.bytes;
    current.keyBytes += size.keyBytes;
  }
  return writes;
}

function sizeOf(group: CommitGroup): { mutations: number; bytes: number; keyBytes: number } {
  let bytes = group.alarms.length * ALARM_BYTES;
  let keyBytes = 0;
  for (const change of group.changes) {
    const key = change.key.reduce<number>((sum, part) => sum + 12 + 2 * String(part).length, 4);
    keyBytes += key;
    bytes += key;
    if (change.kind === "put") {
      const value = encode(change.value).byteLength;
      if (value > VALUE_BYTES_MAX) {
        throw new Error(`the record ${change.key.join("/")} takes ${value} bytes; at most ${VALUE_BYTES_MAX} fit`);
      }
      bytes += value + 64;
    }
  }
  return { mutations: group.changes.length + group.alarms.length, bytes, keyBytes };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const encoded = new WeakMap<object, Uint8Array>();

/** A value is encoded once: for its size and for the write. */
function encode(value: unknown): Uint8Array {
  if (typeof value !== "object" || value === null) return encoder.encode(JSON.stringify(value));
  let bytes = encoded.get(value);
  if (!bytes) encoded.set(value, bytes = encoder.encode(JSON.stringify(value)));
  return bytes;
}

function decode(bytes: Uint8Array): unknown {
  return JSON.parse(decoder.decode(bytes));
}
