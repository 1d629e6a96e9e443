/**
 * Where records live. Small on purpose, so that other engines can stand behind it: load everything, commit groups in
 * order, wake somebody later. One writer: whoever opened it holds its lock.
 *
 * 1. A group is all or nothing, and groups become durable in the order given: when group n is there, so is n - 1.
 * 2. A commit by a term that is not the newest is fenced: nothing of it is written.
 * 3. An alarm becomes durable together with its group, and is delivered at least once, not before its time.
 */

/** Parts of a key: the kind of record first. At most 2 KiB together. */
export type Key = readonly (string | number)[];

export interface StoredRecord {
  readonly key: Key;
  readonly value: unknown;
}

export type Change =
  | { readonly kind: "put"; readonly key: Key; readonly value: unknown }
  | { readonly kind: "delete"; readonly key: Key };

export interface Alarm {
  /** What to look at when it rings; free of secrets and small. */
  readonly topic: string;
  /** From the commit on; the adapter chains what its engine cannot delay so long. */
  readonly delayMs: number;
}

export interface CommitGroup {
  /** Larger than that of every earlier group. */
  readonly sequence: number;
  readonly changes: readonly Change[];
  readonly alarms: readonly Alarm[];
}

/**
 * done      all groups are durable
 * fenced    another deck has a newer term; the groups up to `lastSequence` are durable, no later one ever will be
 * refused   the groups up to `lastSequence` are durable, the later ones are not
 * unknown   the store did not answer; ask `lastSequence()` until it does
 */
export type CommitOutcome =
  | { readonly kind: "done" }
  | { readonly kind: "fenced"; readonly lastSequence: number }
  | { readonly kind: "refused"; readonly lastSequence: number; readonly error: Error }
  | { readonly kind: "unknown"; readonly error: Error };

export interface Store {
  /** Writes and returns a term one higher than the last, and at least `atLeast`; from then on older terms are fenced. */
  takeTerm(atLeast?: number): Promise<number>;
  /** Every record, in key order, without the store's own. */
  load(): AsyncIterable<StoredRecord>;
  commit(groups: readonly CommitGroup[], term: number): Promise<CommitOutcome>;
  /** Sequence of the last durable group; 0 when there is none. Throws when the store does not answer. */
  lastSequence(): Promise<number>;
  /** At most one handler. A handler that throws gets the alarm again. */
  onAlarm(handler: (topic: string) => void | Promise<void>): void;
  close(): Promise<void>;
}

/** One value's largest serialised size that every store must take, bytes. */
export const VALUE_BYTES_MAX = 65_536;
