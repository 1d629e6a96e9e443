/**
 * The deck: wires loop, sessions, streams and reads over one store, and offers them as `DeckApi`.
 * Owns starting (term, records, catching up), the pulse, and stopping. Everything from outside is passed in.
 */
import type { Clock } from "../contracts/clock.ts";
import type { Cron } from "../contracts/cron.ts";
import type { Verify } from "../contracts/keys.ts";
import type { Dialer } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Random } from "../contracts/random.ts";
import type { SecretBox } from "../contracts/secret_box.ts";
import type { Store } from "../contracts/store.ts";
import { createMemory } from "../core/decide.ts";
import type { EventKind, EventRecord } from "../core/event.ts";
import type { Settings } from "../core/input.ts";
import { createAddresses } from "./addresses.ts";
import { createApi } from "./api_of_deck.ts";
import type { DeckApi } from "./api.ts";
import { keepDialling } from "./dial.ts";
import { createFeed } from "./feed.ts";
import { createFigures } from "./figures.ts";
import { startLoop } from "./loop.ts";
import type { KeepBackup } from "../session/open_records.ts";
import { keepNoBackup, openRecords } from "../session/open_records.ts";
import { buildStates, changesOf, DECK_RECORDS } from "./records.ts";
import type { Schedules } from "./schedules.ts";
import { startSchedules } from "./schedules.ts";
import { openSecrets } from "./secrets.ts";
import { createSessions } from "./sessions.ts";
import { createStreamRelay } from "./streams.ts";

const SWEEP_EVERY_MS = 60_000;
const SCHEDULE_EVENTS: ReadonlySet<EventKind> = new Set(["workflowApplied", "workflowUnpaused"]);

export interface DeckOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly store: Store;
  readonly dialer: Dialer;
  /** Judges the proofs of nodes. */
  readonly verify: Verify;
  readonly cron: Cron;
  /** Absent: this deck keeps no secrets, and says so. */
  readonly secretBox?: SecretBox;
  /** `host:port` of sailors to dial, each with the token of its own listener, if it has one. */
  readonly workers: readonly { readonly address: string; readonly tls?: boolean; readonly token?: string }[];
  readonly settings: Omit<Settings, "clusterId" | "term">;
  readonly commit: string;
  /** Keeps the records as they were before a migration; a store in memory is never old. */
  readonly keepBackup?: KeepBackup;
  /** Called when another deck has taken over; this one has let go of everything. */
  readonly onFenced: () => void;
}

export interface Deck {
  readonly api: DeckApi;
  readonly term: number;
  readonly clusterId: string;
  stop(): Promise<void>;
}

/** Throws when the store cannot be read or written, or was written by a newer version. */
export async function createDeck(options: DeckOptions): Promise<Deck> {
  const { clock, random, logger, store } = options;
  const { term, sequence, records } = await openRecords(store, DECK_RECORDS, options.keepBackup ?? keepNoBackup);
  const { working, committed } = buildStates(changesOf(records));
  const clusterId = committed.cluster?.id ?? random.uuid();
  const settings: Settings = { ...options.settings, clusterId, term };
  const world = { state: working, settings, memory: createMemory() };
  const stopping = new AbortController();

  const secrets = await openSecrets({ box: options.secretBox, working, logger });
  const streams = createStreamRelay({ logger, clock, isOpen: (sessionId) => sessions.has(sessionId) });
  const sessions = createSessions({
    loop: () => loop,
    working,
    clusterId,
    verify: options.verify,
    secrets,
    addresses: () => addresses,
    term,
    clock,
    random,
    logger,
    // A stream link may be half dead, which nothing but its session would tell.
    onOver: (sessionId, reason) => streams.release(sessionId, reason),
  });
  const addresses = createAddresses({ committed, tell: (nodeId, message) => sessions.tell(nodeId, message) });
  const feed = createFeed();
  const figures = createFigures(committed, () => loop.depth(), () => loop.storeProblem());
  let schedules: Schedules | undefined = undefined;
  const loop = startLoop({
    world,
    committed,
    store,
    term,
    sequence,
    clock,
    random,
    logger,
    hooks: {
      onChanges: (changes) => addresses.onChanges(changes),
      onSends: (sends) => sessions.send(sends),
      onEvents: (events) => {
        for (const event of events) observePlacement(event);
        if (events.some(({ kind }) => SCHEDULE_EVENTS.has(kind))) schedules?.look();
        feed.publish(events);
      },
      onLost: (sessionId) => sessions.close(sessionId, "the deck could not keep what was said; start over"),
      onCommit: ({ drafts, durationMs }) => {
        figures.commit.observe(durationMs / 1000);
        figures.batch.observe(drafts);
      },
      onFenced: () => {
        sessions.closeAll("another deck has taken over");
        options.onFenced();
      },
    },
  });

  function observePlacement(event: EventRecord): void {
    if (event.kind !== "taskPlaced" || event.sailId === null) return;
    const sail = committed.sails.get(event.sailId);
    if (sail?.attempts === 1) figures.placement.observe((event.atMs - sail.createdMs) / 1000);
  }

  await loop.request({ kind: "start" });
  const { signal } = stopping;
  schedules = startSchedules({ committed, loop, clock, cron: options.cron, logger, signal });
  store.onAlarm((topic) => loop.request({ kind: "alarm", topic }));
  every(settings.heartbeatMs / 2, () => loop.post({ kind: "tick" }));
  every(settings.heartbeatMs, () => sessions.ping());
  every(SWEEP_EVERY_MS, () => loop.post({ kind: "sweep" }));
  for (const worker of options.workers) {
    keepDialling({ worker, dialer: options.dialer, sessions, streams, clock, random, logger, signal: stopping.signal });
  }

  function every(periodMs: number, task: () => void): void {
    let cancel = clock.after(periodMs, run);
    stopping.signal.addEventListener("abort", () => cancel(), { once: true });
    function run(): void {
      if (stopping.signal.aborted) return;
      task();
      cancel = clock.after(periodMs, run);
    }
  }

  const info = {
    version: settings.version,
    commit: options.commit,
    clusterId,
    term,
    scheduler: settings.scheduler,
    startedMs: clock.wallMs(),
  };
  return {
    api: createApi({
      ...{
        loop,
        committed,
        settings,
        sessions,
        streams,
        feed,
        figures,
        clock,
        random,
        info,
        schedules,
        secrets,
        addresses,
      },
      cron: options.cron,
    }),
    term,
    clusterId,
    async stop() {
      stopping.abort();
      await loop.stop();
      sessions.closeAll("the deck is stopping");
      streams.close();
      await store.close();
    },
  };
}
