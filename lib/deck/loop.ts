/**
 * The deck's loop: the single writer. Everything that happens is an input in one mailbox.
 * A turn takes every input waiting, decides each over the working state, commits all drafts in order, and only then
 * publishes: readers' state, sends, replies (I3).
 *
 * 1. Inputs are decided in the order of arrival; what follows from one comes directly after it.
 * 2. When the store refuses, the drafts from there on are taken back, nobody is told anything, writes are refused with
 *    a sentence, and the loop tries the store again with growing pauses.
 * 3. Once fenced, it never writes again.
 */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Random } from "../contracts/random.ts";
import type { CommitGroup, CommitOutcome, Store } from "../contracts/store.ts";
import type { World } from "../core/decide.ts";
import { decide } from "../core/decide.ts";
import type { Draft, Send } from "../core/draft.ts";
import type { EventRecord } from "../core/event.ts";
import type { Input } from "../core/input.ts";
import type { RecordChange, State } from "../core/state.ts";
import { changesToStore } from "./records.ts";

/** Drafts of one turn at most; what follows waits for the next. */
const DRAFTS_PER_TURN = 2_000;
const RETRY_BASE_MS = 250;
const RETRY_MAX_MS = 5_000;
const NOTHING_DURABLE = -1;

export class StoreUnavailable extends Error {}

export interface LoopHooks {
  /** Readers see them already. */
  readonly onChanges: (changes: readonly RecordChange[]) => void;
  readonly onSends: (sends: readonly Send[]) => void;
  readonly onEvents: (events: readonly EventRecord[]) => void;
  /** An input of a sailor's session could not be kept: the session must start over with full truth. */
  readonly onLost: (sessionId: string) => void;
  readonly onCommit: (figures: { readonly drafts: number; readonly durationMs: number }) => void;
  /** The deck has been fenced and must end. */
  readonly onFenced: () => void;
}

export interface Loop {
  /** Resolves with the decision's reply once it is durable; rejects with StoreUnavailable, nothing changed. */
  request<T>(input: Input): Promise<T>;
  post(input: Input): void;
  depth(): number;
  /** Of the last group whose changes readers see. */
  publishedSequence(): number;
  /** Null: the store takes writes; else why not. */
  storeProblem(): string | null;
  /** Ends after the turn that is under way. */
  stop(): Promise<void>;
}

interface Waiting {
  readonly input: Input;
  readonly reply?: { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void };
}

export interface LoopOptions {
  readonly world: World;
  readonly committed: State;
  readonly store: Store;
  readonly term: number;
  readonly sequence: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly hooks: LoopHooks;
}

export function startLoop(options: LoopOptions): Loop {
  const { world, committed, store, clock, random, logger, hooks } = options;
  const mailbox: Waiting[] = [];
  const stopping = new AbortController();
  let sequence = options.sequence;
  let published = options.sequence;
  let problem: string | null = null;
  let failures = 0;
  let probeDue = false;
  let cancelProbe: (() => void) | undefined;
  let wake: () => void = () => {};

  const finished = run();
  return {
    request: <T>(input: Input) =>
      new Promise<T>((resolve, reject) => {
        if (problem !== null || stopping.signal.aborted) {
          return reject(new StoreUnavailable(problem ?? "the deck is stopping"));
        }
        mailbox.push({ input, reply: { resolve: (value) => resolve(value as T), reject } });
        wake();
      }),
    post(input) {
      if (stopping.signal.aborted) return;
      mailbox.push({ input });
      wake();
    },
    depth: () => mailbox.length,
    publishedSequence: () => published,
    storeProblem: () => problem,
    async stop() {
      stopping.abort();
      wake();
      await finished;
    },
  };

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      if (mailbox.length === 0 && !probeDue) await new Promise<void>((resolve) => wake = resolve);
      // In line with the turns: while the outcome of one is sought, nothing else may move the store's last sequence.
      if (probeDue) await probe();
      else if (mailbox.length > 0) await turn(mailbox.splice(0));
    }
    cancelProbe?.();
    for (const { reply } of mailbox.splice(0)) reply?.reject(new StoreUnavailable(problem ?? "the deck is stopping"));
  }

  async function turn(batch: Waiting[]): Promise<void> {
    const decided: { waiting: Waiting; draft: Draft }[] = [];
    const queue = batch.reverse();
    while (queue.length > 0 && decided.length < DRAFTS_PER_TURN) {
      const waiting = queue.pop()!;
      const draft = decideOne(waiting);
      if (!draft) continue;
      decided.push({ waiting, draft });
      for (const input of draft.follow.reverse()) queue.push({ input });
    }
    if (queue.length > 0) mailbox.unshift(...queue.reverse());
    const groups: CommitGroup[] = [];
    const sequences: number[] = [];
    for (const { draft } of decided) {
      if (draft.changes.length > 0 || draft.alarms.length > 0) {
        groups.push({ sequence: ++sequence, changes: changesToStore(draft.changes), alarms: draft.alarms });
      }
      sequences.push(sequence);
    }
    const durable = groups.length === 0 ? sequence : await commit(groups);
    const firstLost = sequences.findIndex((needed) => needed > durable);
    const count = firstLost < 0 ? decided.length : firstLost;
    published = Math.max(published, durable);
    publish(decided.slice(0, count));
    if (count < decided.length) takeBack(decided.slice(count));
  }

  function decideOne(waiting: Waiting): Draft | undefined {
    const context = { wallMs: clock.wallMs(), monoMs: clock.monoMs(), chance: random.next() };
    try {
      return decide(world, waiting.input, context);
    } catch (error) {
      logger.error("an input could not be decided", {
        kind: waiting.input.kind,
        error: String((error as Error).stack),
      });
      if ("sessionId" in waiting.input) hooks.onLost(waiting.input.sessionId);
      waiting.reply?.reject(error as Error);
      return undefined;
    }
  }

  /** The sequence up to which everything is durable. */
  async function commit(groups: readonly CommitGroup[]): Promise<number> {
    const startedMs = clock.monoMs();
    const outcome = await write(groups);
    hooks.onCommit({ drafts: groups.length, durationMs: clock.monoMs() - startedMs });
    if (outcome.kind === "done") return sequence;
    return await afterFailure(outcome, groups[0].sequence);
  }

  /** A store that throws has not answered. */
  async function write(groups: readonly CommitGroup[]): Promise<CommitOutcome> {
    try {
      return await store.commit(groups, options.term);
    } catch (error) {
      return { kind: "unknown", error: error as Error };
    }
  }

  async function afterFailure(outcome: Exclude<CommitOutcome, { kind: "done" }>, first: number): Promise<number> {
    if (outcome.kind === "fenced") {
      fence();
      // The last sequence may be the other deck's by now, so it proves nothing; whoever asked asks that one again.
      return NOTHING_DURABLE;
    }
    problem = `the store takes no writes: ${outcome.error.message}`;
    logger.error("the store refused a write", { error: outcome.error.message });
    scheduleProbe();
    if (outcome.kind === "refused") return outcome.lastSequence;
    while (!stopping.signal.aborted) {
      const last = await askLastSequence();
      if (last !== undefined && last < first) return last;
      // What is so far along may be another deck's: a write of our own after the reading shows that it was ours.
      const proof = last === undefined ? outcome : await write([{ sequence: ++sequence, changes: [], alarms: [] }]);
      if (proof.kind === "done") return last!;
      if (proof.kind === "fenced") {
        fence();
        return NOTHING_DURABLE;
      }
      await pause(clock, RETRY_MAX_MS, stopping.signal);
    }
    return NOTHING_DURABLE;
  }

  async function askLastSequence(): Promise<number | undefined> {
    try {
      return await store.lastSequence();
    } catch (error) {
      logger.error("the store does not answer", { error: (error as Error).message });
      return undefined;
    }
  }

  function fence(): void {
    problem = "another deck has taken over this data";
    logger.error("fenced: another deck has a newer term; this one ends");
    stopping.abort();
    hooks.onFenced();
  }

  /** At most one is under way: writes of sessions and ticks go on failing meanwhile. */
  function scheduleProbe(): void {
    if (cancelProbe) return;
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** Math.min(failures++, 10));
    cancelProbe = clock.after(delayMs, () => {
      cancelProbe = undefined;
      probeDue = true;
      wake();
    });
  }

  /** Writes nothing but the next sequence number, to see whether the store takes writes again. */
  async function probe(): Promise<void> {
    probeDue = false;
    const outcome = await write([{ sequence: ++sequence, changes: [], alarms: [] }]);
    if (outcome.kind === "fenced") return fence();
    if (outcome.kind !== "done") return scheduleProbe();
    problem = null;
    failures = 0;
    world.memory.lastTickMonoMs = -1;
    logger.info("the store takes writes again");
    mailbox.push({ input: { kind: "catchUp" } });
  }

  function publish(done: readonly { waiting: Waiting; draft: Draft }[]): void {
    const events: EventRecord[] = [];
    const sends: Send[] = [];
    const changes: RecordChange[] = [];
    for (const { draft } of done) {
      for (const change of draft.changes) {
        committed.apply(change);
        changes.push(change);
        if (change.kind === "event" && change.value) events.push(change.value);
      }
      sends.push(...draft.sends);
    }
    hooks.onSends(sends);
    hooks.onChanges(changes);
    for (const { waiting, draft } of done) waiting.reply?.resolve(draft.reply);
    if (events.length > 0) hooks.onEvents(events);
  }

  function takeBack(lost: readonly { waiting: Waiting; draft: Draft }[]): void {
    for (const { draft } of [...lost].reverse()) draft.undo();
    // The records are as they were; the event counter only ever grows, and events are numbered without gaps.
    world.state.newestEvent = committed.newestEvent;
    for (const { waiting } of lost) {
      waiting.reply?.reject(new StoreUnavailable(problem ?? "the store refused the write"));
      if ("sessionId" in waiting.input) hooks.onLost(waiting.input.sessionId);
    }
  }
}
