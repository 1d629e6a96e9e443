/**
 * What the sailor must still know after a crash: its cluster, and every attempt from before the first call to the Engine
 * until its container is removed. Writes of one turn are one commit; a store that refuses is tried again until it takes them.
 */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Change, CommitGroup, Store } from "../contracts/store.ts";
import type { AttemptState, Observation } from "../core/attempt.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import type { AttemptCause, StepResult } from "../core/outgoing.ts";
import type { OriginalFields } from "../core/sail.ts";
import type { KeepBackup } from "../session/open_records.ts";
import { keepNoBackup, openRecords } from "../session/open_records.ts";
import { JOURNAL_RECORDS, JOURNAL_VERSION } from "./journal_records.ts";

export const LOCAL = "local";

export interface Outcome {
  readonly state: Extract<AttemptState, "completed" | "failed" | "stopped" | "lost">;
  readonly cause: AttemptCause;
  readonly observed: Observation;
  readonly endedMs: number;
  /** Of a workflow's step, until its end is acknowledged; absent when it is large: then its container has it. */
  readonly result?: StepResult;
}

/**
 * accepted  journalled; the Engine may or may not have made its container
 * started   from here on it is adopted or lost, never made again
 */
export interface Entry {
  readonly attemptId: string;
  readonly sailId: string;
  readonly number: number;
  /** The cluster's id, or `local`. */
  readonly owner: string;
  readonly createdMs: number;
  phase: "accepted" | "started";
  desired: "run" | "stop";
  graceMs: number;
  restarts: number;
  healthRestarts: number;
  /** The start that was counted last. */
  lastStartedMs: number | null;
  runtimeRestarts: number;
  /** It was seen running after its stop was asked for: however it ends now, it was stopped. */
  stopSent: boolean;
  /** A health restart is under way: found exited, it is started and not over. */
  healthRestarting: boolean;
  /** It never became healthy; from here on it is stopped and then failed. */
  givenUp: { readonly cause: AttemptCause; readonly healthOutput: string | null } | null;
  outcome: Outcome | null;
  acknowledged: boolean;
}

/** What an attempt is at its beginning. */
export function newEntry(
  given: Pick<
    Entry,
    "attemptId" | "sailId" | "number" | "owner" | "createdMs" | "desired" | "graceMs" | "acknowledged"
  >,
): Entry {
  return {
    ...given,
    phase: "accepted",
    restarts: 0,
    healthRestarts: 0,
    lastStartedMs: null,
    runtimeRestarts: 0,
    stopSent: false,
    healthRestarting: false,
    givenUp: null,
    outcome: null,
  };
}

/** Never changes, and is large: a record of its own. */
export interface EntryDocument {
  readonly spec: TaskSpec;
  readonly original: OriginalFields | null;
  readonly originalEventId: string | null;
}

export interface Membership {
  readonly clusterId: string | null;
  readonly highestTerm: number;
}

export interface Journal {
  readonly membership: Membership;
  readonly entries: ReadonlyMap<string, { readonly entry: Entry; readonly document: EntryDocument }>;
  /** All writes reject when the sailor stops before they are durable. */
  setMembership(membership: Membership): Promise<void>;
  add(entry: Entry, document: EntryDocument): Promise<void>;
  /** Resolves once the entry as it stands now is durable. */
  save(entry: Entry): Promise<void>;
  remove(attemptId: string): Promise<void>;
}

const RETRY_MS = 1_000;

export async function openJournal(
  options: {
    readonly store: Store;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly signal: AbortSignal;
    /** Of a journal of an older version; one in memory is never old. */
    readonly keepBackup?: KeepBackup;
  },
): Promise<Journal> {
  const { store, clock, logger, signal } = options;
  const opened = await openRecords(store, JOURNAL_RECORDS, options.keepBackup ?? keepNoBackup);
  const { term } = opened;
  const entries = new Map<string, { entry: Entry; document: EntryDocument }>();
  const documents = new Map<string, EntryDocument>();
  const found: Entry[] = [];
  let membership: Membership = { clusterId: null, highestTerm: 0 };
  for (const { kind, id, record } of opened.records) {
    if (kind === "membership") membership = record as Membership;
    else if (kind === "document") documents.set(String(id), record as EntryDocument);
    else found.push({ ...newEntry(record as Entry), ...record as Entry });
  }
  for (const entry of found) entries.set(entry.attemptId, { entry, document: documents.get(entry.attemptId)! });

  let { sequence } = opened;
  let waiting: { changes: Change[]; done: () => void; failed: (error: Error) => void }[] = [];
  let writing = false;

  function write(changes: Change[]): Promise<void> {
    return new Promise((done, failed) => {
      waiting.push({ changes, done, failed });
      if (!writing) {
        writing = true;
        void drain();
      }
    });
  }

  async function drain(): Promise<void> {
    // One turn later: what many attempts write at the same time goes into one commit.
    await Promise.resolve();
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const groups: CommitGroup[] = batch.map(({ changes }) => ({ sequence: ++sequence, changes, alarms: [] }));
      const durable = await commit(groups);
      for (const { done, failed } of batch) {
        if (durable) done();
        else failed(new Error("the sailor is stopping"));
      }
    }
    writing = false;
  }

  /** False: the sailor stops, and it is not known whether they are durable. */
  async function commit(groups: readonly CommitGroup[]): Promise<boolean> {
    let left = groups;
    while (left.length > 0) {
      if (signal.aborted) return false;
      const outcome = await store.commit(left, term).catch((error) => ({ kind: "unknown" as const, error }));
      if (outcome.kind === "done") return true;
      const problem = outcome.kind === "fenced" ? "another sailor uses this data" : outcome.error.message;
      logger.error("the journal cannot be written; nothing is started until it can", { problem });
      await pause(clock, RETRY_MS, signal);
      const last = await store.lastSequence().catch(() => 0);
      left = left.filter((group) => group.sequence > last);
    }
    return true;
  }

  /** For writes that nobody waits for: those that are waited for reject by themselves. */
  const quietly = (written: Promise<void>): Promise<void> => {
    written.catch(() => {});
    return written;
  };
  const put = (kind: string, id: string, record: unknown): Change =>
    JOURNAL_RECORDS.write({ kind, id, version: JOURNAL_VERSION, record });
  const putEntry = (entry: Entry): Change => put("entry", entry.attemptId, structuredClone(entry));
  return {
    get membership() {
      return membership;
    },
    entries,
    setMembership(next) {
      membership = next;
      return write([put("membership", "", next)]);
    },
    add(entry, document) {
      entries.set(entry.attemptId, { entry, document });
      return write([putEntry(entry), put("document", entry.attemptId, document)]);
    },
    save: (entry) => quietly(write([putEntry(entry)])),
    remove(attemptId) {
      entries.delete(attemptId);
      return write([
        { kind: "delete", key: ["entry", attemptId] },
        { kind: "delete", key: ["document", attemptId] },
      ]);
    },
  };
}
