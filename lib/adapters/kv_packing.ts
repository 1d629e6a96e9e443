/**
 * Packs commit groups into as few of Deno KV's atomic writes as its limits allow. Owns the limits and what counts
 * towards them; making the writes is the store's.
 *
 * 1. A group is never split, and groups stay in order.
 * 2. Everything is encoded here, once: a caller may change its records as soon as packing has returned.
 * 3. Values are UTF-8 JSON: their size is known exactly (V8's own format doubles a string with one wide character).
 */
import type { Change, CommitGroup, Key, StoredRecord } from "../contracts/store.ts";
import { VALUE_BYTES_MAX } from "../contracts/store.ts";
import type { StoredAlarm } from "./kv_alarms.ts";

export interface PackedWrite {
  /** Of its last group. */
  readonly sequence: number;
  /** The alarms' records are among them. `bytes` null: the key is deleted. */
  readonly changes: readonly { readonly key: Deno.KvKey; readonly bytes: Uint8Array | null }[];
  readonly alarms: readonly StoredAlarm[];
}

/** `refusal`: why the groups after the last write cannot be written, whatever the store does. */
export interface Packed {
  readonly writes: readonly PackedWrite[];
  readonly refusal: Error | undefined;
}

/** KV's limits are 1,000 mutations, 819,200 bytes, 81,920 of them of keys, and keys of 2,048; the sums keep a margin. */
const MUTATIONS_MAX = 1_000;
const BYTES_MAX = 800_000;
const KEY_BYTES_MAX = 81_000;
const ONE_KEY_BYTES_MAX = 2_048;
/** KV's own bytes for each mutation are not documented; these are more. */
const MUTATION_BYTES = 16;
/** The store's own part of each write: the check of the term, the sequence. */
const OWN: Size = { mutations: 1, bytes: 200, keyBytes: 100 };

/** Apart from the store's own records and from alarms. */
export const RECORDS = "r";
export const ALARMS = "alarm";

interface Size {
  readonly mutations: number;
  readonly bytes: number;
  readonly keyBytes: number;
}

interface PackedGroup {
  readonly changes: PackedWrite["changes"];
  readonly alarms: readonly StoredAlarm[];
  readonly size: Size;
}

/** `nowMs` is the wall time from which alarms are delayed. */
export function packGroups(groups: readonly CommitGroup[], nowMs: number): Packed {
  const writes: { sequence: number; changes: PackedWrite["changes"][number][]; alarms: StoredAlarm[] }[] = [];
  let total = OWN;
  for (const group of groups) {
    let packed: PackedGroup;
    try {
      packed = packGroup(group, nowMs);
    } catch (error) {
      return { writes, refusal: error as Error };
    }
    const sum = add(total, packed.size);
    let write = writes.at(-1);
    if (write && fits(sum)) {
      total = sum;
    } else {
      writes.push(write = { sequence: 0, changes: [], alarms: [] });
      total = add(OWN, packed.size);
    }
    write.sequence = group.sequence;
    write.changes.push(...packed.changes);
    write.alarms.push(...packed.alarms);
  }
  return { writes, refusal: undefined };
}

/** Throws a sentence when the group can never be written. */
function packGroup(group: CommitGroup, nowMs: number): PackedGroup {
  let bytes = 0;
  let keyBytes = 0;
  const changes: PackedWrite["changes"][number][] = group.changes.map((change) => {
    const key = [RECORDS, ...change.key];
    const ownKeyBytes = keyBytesOf(key);
    if (ownKeyBytes > ONE_KEY_BYTES_MAX) {
      throw new Error(
        `cannot write ${nameOf(change.key)}: its key takes ${ownKeyBytes} bytes, ${ONE_KEY_BYTES_MAX} fit`,
      );
    }
    const value = change.kind === "put" ? encode(change) : null;
    keyBytes += ownKeyBytes;
    bytes += ownKeyBytes + MUTATION_BYTES + (value?.byteLength ?? 0);
    return { key, bytes: value };
  });
  const alarms = group.alarms.map(({ topic, delayMs }, index): StoredAlarm => {
    const alarm = { id: `${group.sequence}.${index}`, topic, dueMs: nowMs + Math.max(0, delayMs) };
    const value = encoder.encode(JSON.stringify({ topic, dueMs: alarm.dueMs }));
    if (value.byteLength > VALUE_BYTES_MAX) {
      throw new Error(`cannot set an alarm: its topic takes ${value.byteLength} bytes, ${VALUE_BYTES_MAX} fit`);
    }
    const key = alarmKey(alarm.id);
    keyBytes += keyBytesOf(key);
    bytes += keyBytesOf(key) + MUTATION_BYTES + value.byteLength;
    changes.push({ key, bytes: value });
    return alarm;
  });
  const size = { mutations: changes.length, bytes, keyBytes };
  if (!fits(add(OWN, size))) {
    throw new Error(
      `cannot write group ${group.sequence} at once: ${size.mutations} changes and alarms, ${bytes} bytes, ` +
        `${keyBytes} of them keys (${MUTATIONS_MAX - OWN.mutations}, ${BYTES_MAX} and ${KEY_BYTES_MAX} fit)`,
    );
  }
  return { changes, alarms, size };
}

export function alarmKey(id: string): Deno.KvKey {
  return [ALARMS, id];
}

export function decodeAlarm(key: Deno.KvKey, bytes: Uint8Array): StoredAlarm {
  return { id: key[1] as string, ...JSON.parse(decoder.decode(bytes)) };
}

function add(a: Size, b: Size): Size {
  return { mutations: a.mutations + b.mutations, bytes: a.bytes + b.bytes, keyBytes: a.keyBytes + b.keyBytes };
}

function fits(size: Size): boolean {
  return size.mutations <= MUTATIONS_MAX && size.bytes <= BYTES_MAX && size.keyBytes <= KEY_BYTES_MAX;
}

/** As KV encodes it: a string bears a tag, its UTF-8 with zero bytes doubled, and an end; a number a tag and 8 bytes. */
function keyBytesOf(key: Deno.KvKey): number {
  let bytes = 0;
  for (const part of key) bytes += typeof part === "string" ? 2 + utf8BytesOf(part) : 9;
  return bytes;
}

function utf8BytesOf(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // A half of a pair has two of its four bytes; a half that stands alone becomes U+FFFD, of three.
    if (unit === 0 || (unit > 0x7f && unit < 0x800)) bytes += 1;
    else if (unit >= 0x800) bytes += 2;
  }
  return bytes;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function encode({ key, value }: Extract<Change, { kind: "put" }>): Uint8Array {
  // Undefined for what has no JSON form, whatever the types say.
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new Error(`cannot write ${nameOf(key)}: its value has no JSON form`);
  const bytes = encoder.encode(text);
  if (bytes.byteLength > VALUE_BYTES_MAX) {
    throw new Error(`cannot write ${nameOf(key)}: it takes ${bytes.byteLength} bytes, ${VALUE_BYTES_MAX} fit`);
  }
  return bytes;
}

export function decodeRecord(key: Deno.KvKey, bytes: Uint8Array): StoredRecord {
  return { key: key.slice(1) as unknown as Key, value: JSON.parse(decoder.decode(bytes)) };
}

/** For messages; a key may be long. */
function nameOf(key: Key): string {
  const name = key.join("/");
  return name.length > 100 ? `${name.slice(0, 100)}...` : name;
}
