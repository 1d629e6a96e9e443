/** A loop and a deck on stores that do what a test says, in virtual time; and the sailor's end of a session, scripted. */
import assert from "node:assert/strict";
import type { MemoryDisk } from "../../lib/adapters/memory_store.ts";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import type { Clock } from "../../lib/contracts/clock.ts";
import type { Logger } from "../../lib/contracts/logger.ts";
import type { Random } from "../../lib/contracts/random.ts";
import type { CommitGroup, CommitOutcome, Store } from "../../lib/contracts/store.ts";
import { createMemory } from "../../lib/core/decide.ts";
import type { Send } from "../../lib/core/draft.ts";
import type { EventRecord } from "../../lib/core/event.ts";
import type { Input } from "../../lib/core/input.ts";
import { NO_LOCAL_USE } from "../../lib/core/mast.ts";
import type { AttemptReport, DeckMessage, Hello } from "../../lib/core/outgoing.ts";
import type { State } from "../../lib/core/state.ts";
import type { Loop } from "../../lib/deck/loop.ts";
import { startLoop } from "../../lib/deck/loop.ts";
import { buildStates, loadRecords } from "../../lib/deck/records.ts";
import { parseDeckMessage } from "../../lib/messages/session.ts";
import type { DeckMessage as WireMessage, SailorMessage } from "../../lib/messages/session.ts";
import { MIB, reportOf, SETTINGS, spec } from "../core/support.ts";
import type { LinkPair } from "../fixtures/link_pair.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";
import type { VirtualClock } from "../fixtures/virtual_clock.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";

export class RecordingLogger implements Logger {
  readonly warnings: string[] = [];
  readonly errors: string[] = [];
  debug() {}
  info() {}
  warn(message: string) {
    this.warnings.push(message);
  }
  error(message: string) {
    this.errors.push(message);
  }
}

export function countingRandom(prefix = "u"): Random {
  let n = 0;
  return { next: () => 0.5, uuid: () => `${prefix}-${++n}` };
}

/**
 * refuse      nothing is written
 * refuseRest  the first group is written, the others are not
 * lost        written, but the answer is lost
 * unwritten   not written, and the answer is lost
 * throws      not written, and the store breaks its promise to answer
 */
export type Fault = "refuse" | "refuseRest" | "lost" | "unwritten" | "throws";

/** A memory store whose commits wait, fail and lose answers as the test says. */
export class ScriptedStore implements Store {
  readonly commits: (readonly CommitGroup[])[] = [];
  /** What becomes of the next commits, one each. */
  readonly faults: Fault[] = [];
  /** What becomes of those after them. */
  always: Fault | null = null;
  /** `lastSequence` throws. */
  silent = false;
  readonly #inner: Store;
  #gate: Promise<void> = Promise.resolve();

  constructor(clock: VirtualClock, readonly disk: MemoryDisk = createMemoryDisk()) {
    this.#inner = openMemoryStore({ clock, disk });
  }

  /** Commits wait, having been asked for, until the result is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return resolve;
  }

  async commit(groups: readonly CommitGroup[], term: number): Promise<CommitOutcome> {
    this.commits.push(groups);
    await this.#gate;
    const fault = this.faults.shift() ?? this.always;
    const error = new Error("the disk is full");
    switch (fault) {
      case null:
        return await this.#inner.commit(groups, term);
      case "refuse":
        return { kind: "refused", lastSequence: this.disk.sequence, error };
      case "refuseRest":
        await this.#inner.commit(groups.slice(0, 1), term);
        return { kind: "refused", lastSequence: this.disk.sequence, error };
      case "lost":
        await this.#inner.commit(groups, term);
        return { kind: "unknown", error };
      case "unwritten":
        return { kind: "unknown", error };
      case "throws":
        throw error;
      default:
        return fault satisfies never;
    }
  }

  lastSequence(): Promise<number> {
    return this.silent ? Promise.reject(new Error("no answer")) : this.#inner.lastSequence();
  }

  takeTerm = () => this.#inner.takeTerm();
  load = () => this.#inner.load();
  onAlarm = (handler: (topic: string) => void | Promise<void>) => this.#inner.onAlarm(handler);
  close = () => this.#inner.close();

  /** Writes that carried something. */
  get written(): number {
    return this.commits.filter((groups) => groups.some((g) => g.changes.length > 0)).length;
  }
}

export interface LoopRig {
  readonly clock: VirtualClock;
  readonly store: ScriptedStore;
  readonly logger: RecordingLogger;
  readonly loop: Loop;
  readonly working: State;
  readonly committed: State;
  readonly sends: Send[];
  readonly events: EventRecord[];
  readonly lost: string[];
  readonly fenced: () => number;
  /** What the hooks saw, in order. */
  readonly order: string[];
  request<T>(input: Input): Asked<T>;
  end(): Promise<void>;
}

/** A request and what became of it so far. */
export interface Asked<T> {
  readonly promise: Promise<T>;
  readonly outcome: () => "waiting" | "done" | "failed";
  readonly value: () => T | undefined;
  readonly error: () => Error | undefined;
}

export async function loopRig(disk?: MemoryDisk): Promise<LoopRig> {
  const clock = createVirtualClock();
  const store = new ScriptedStore(clock, disk);
  const logger = new RecordingLogger();
  const term = await store.takeTerm();
  const { working, committed } = buildStates(await loadRecords(store));
  const sends: Send[] = [];
  const events: EventRecord[] = [];
  const lost: string[] = [];
  const order: string[] = [];
  let fenced = 0;
  const loop = startLoop({
    world: { state: working, settings: { ...SETTINGS, term }, memory: createMemory() },
    committed,
    store,
    term,
    sequence: await store.lastSequence(),
    clock,
    random: countingRandom(),
    logger,
    hooks: {
      onChanges: () => {},
      onSends: (some) => {
        if (some.length > 0) order.push(`sends, ${committed.sails.size} tasks readable`);
        sends.push(...some);
      },
      onEvents: (some) => void events.push(...some),
      onLost: (sessionId) => void lost.push(sessionId),
      onCommit: () => {},
      onFenced: () => void fenced++,
    },
  });
  return {
    clock,
    store,
    logger,
    loop,
    working,
    committed,
    sends,
    events,
    lost,
    order,
    fenced: () => fenced,
    request: <T>(input: Input) => {
      let outcome: "waiting" | "done" | "failed" = "waiting";
      let value: T | undefined;
      let error: Error | undefined;
      const promise = loop.request<T>(input);
      promise.then((v) => {
        order.push("reply");
        [outcome, value] = ["done", v];
      }, (e) => [outcome, error] = ["failed", e]);
      return { promise, outcome: () => outcome, value: () => value, error: () => error };
    },
    async end() {
      await loop.stop();
      await clock.settle();
      assert.equal(clock.pending(), 0, "timers are left behind");
    },
  };
}

export const submit = (id: string): Extract<Input, { kind: "submit" }> => ({
  kind: "submit",
  sailId: id,
  spec: spec({ name: id }),
  original: null,
  originalEventId: null,
});

export function helloOf(nodeId: string, change: Partial<Hello> = {}): Hello {
  return {
    kind: "hello",
    protocol: 1,
    version: "test",
    nodeId,
    name: nodeId,
    instance: `i-${nodeId}`,
    clusterId: null,
    highestTerm: 0,
    address: null,
    engineId: `e-${nodeId}`,
    runtimes: ["docker"],
    capacity: { cpuCores: 64, memoryBytes: 64 * 1024 * MIB, diskBytes: 100 * 2 ** 30 },
    labels: {},
    attempts: [],
    local: NO_LOCAL_USE,
    stats: null,
    ...change,
  };
}

export const hello = (nodeId: string, change: Partial<Hello> = {}): Extract<Input, { kind: "hello" }> => ({
  kind: "hello",
  sessionId: `s-${nodeId}`,
  hello: helloOf(nodeId, change),
  staticAddress: null,
  remoteIp: "127.0.0.1",
});

export const reports = (nodeId: string, ...list: AttemptReport[]): Extract<Input, { kind: "reports" }> => ({
  kind: "reports",
  sessionId: `s-${nodeId}`,
  nodeId,
  reports: list,
  hello: null,
});

/** Everything that a state holds and derives, in an order that does not depend on how it came about. */
export function snapshot(state: State): Record<string, unknown> {
  const byKey = <T>(map: ReadonlyMap<string, T>) => [...map].sort(([a], [b]) => a < b ? -1 : 1);
  const sets = (map: ReadonlyMap<string, ReadonlySet<string>>) => byKey(map).map(([k, ids]) => [k, [...ids].sort()]);
  const books = byKey(state.books).map(([id, book]) => [
    id,
    book.cpuMillis,
    book.memoryBytes,
    book.diskBytes,
    sets(book.hostPorts),
  ]);
  return {
    sails: byKey(state.sails),
    specs: byKey(state.specs),
    attempts: byKey(state.attempts),
    masts: byKey(state.masts),
    events: byKey(state.events),
    idempotency: byKey(state.idempotency),
    cluster: state.cluster,
    newestEvent: state.newestEvent,
    liveNames: byKey(state.liveNames),
    sailsByName: sets(state.sailsByName),
    attemptsBySail: sets(state.attemptsBySail),
    attemptsByNode: sets(state.attemptsByNode),
    pending: [...state.pending].sort(),
    ended: [...state.ended].sort(),
    // A book is opened by whoever looks into it; an empty one is none.
    books: books.filter(([, cpu, memory, disk]) => cpu !== 0 || memory !== 0 || disk !== 0),
    mastsByName: byKey(state.mastsByName),
    unsettledMasts: [...state.unsettledMasts].sort(),
    mastOrder: state.mastOrder,
    eventsBySail: sets(state.eventsBySail),
    countByState: byKey(state.countByState).filter(([, count]) => count !== 0),
  };
}

/** The sailor's end of one session. */
export class ScriptedSailor {
  readonly pair: LinkPair = createLinkPair();
  readonly messages: WireMessage[] = [];
  readonly kinds: string[] = [];

  constructor(readonly nodeId: string) {
    this.pair.near.onClose(() => {});
    this.pair.near.onFrame((frame) => {
      const parsed = parseDeckMessage(frame);
      assert.equal(parsed.kind, "message", `the sailor cannot read ${frame}: ${JSON.stringify(parsed)}`);
      const { message } = parsed as { message: WireMessage };
      this.messages.push(message);
      if (message.kind !== "ping") this.kinds.push(message.kind);
      else this.send({ kind: "heartbeat", local: NO_LOCAL_USE, stats: null });
    });
  }

  /** What the deck is given. */
  get link() {
    return this.pair.far;
  }

  send(message: SailorMessage): void {
    this.pair.near.send(JSON.stringify(message));
  }

  hello(change: Partial<Hello> = {}): void {
    this.send(helloOf(this.nodeId, change) as SailorMessage);
  }

  report(
    attemptId: string,
    state: Parameters<typeof reportOf>[1],
    more: Parameters<typeof reportOf>[2] & { revision?: number } = {},
  ): void {
    this.send({ kind: "reports", reports: [{ ...reportOf(attemptId, state, more), revision: more.revision ?? 1 }] });
  }

  of<K extends WireMessage["kind"]>(kind: K): Extract<WireMessage, { kind: K }>[] {
    return this.messages.filter((m): m is Extract<WireMessage, { kind: K }> => m.kind === kind);
  }

  get welcome(): Extract<DeckMessage, { kind: "welcome" }> {
    const [welcome] = this.of("welcome");
    assert.ok(welcome, `no welcome came, but ${this.kinds} (closed: ${this.closedWith})`);
    return welcome;
  }

  get closedWith(): string | null {
    return this.pair.closedWith();
  }
}

/** A clock whose timers die together, as those of a process do. */
export function mortal(base: Clock): { clock: Clock; die: () => void } {
  const cancels = new Set<() => void>();
  let dead = false;
  const clock: Clock = {
    wallMs: base.wallMs,
    monoMs: base.monoMs,
    after(delayMs, task) {
      if (dead) return () => {};
      const cancel = base.after(delayMs, task);
      cancels.add(cancel);
      return cancel;
    },
  };
  const die = () => {
    dead = true;
    for (const cancel of cancels) cancel();
  };
  return { clock, die };
}
