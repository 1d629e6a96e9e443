/** A sailor on a fake engine, a memory disk and virtual time, and a deck that says what the test makes it say. */
import assert from "node:assert/strict";
import { createMemoryDisk, openMemoryStore } from "../../../lib/adapters/memory_store.ts";
import type { CommitFault } from "../../../lib/adapters/memory_store.ts";
import type { Clock } from "../../../lib/contracts/clock.ts";
import type { Dialer, Link } from "../../../lib/contracts/link.ts";
import type { Logger } from "../../../lib/contracts/logger.ts";
import type { ProbeResult, ProbeTarget } from "../../../lib/contracts/runtime.ts";
import type { AttemptState } from "../../../lib/core/attempt.ts";
import { attemptId, containerName } from "../../../lib/core/attempt.ts";
import type { TaskDocument, TaskSpec } from "../../../lib/core/documents/task.ts";
import { taskDocument } from "../../../lib/core/documents/task.ts";
import type { MachineStats } from "../../../lib/core/mast.ts";
import type { Assignment, AttemptReport, DeckMessage, Hello, SailorMessage } from "../../../lib/messages/session.ts";
import { parseSailorMessage } from "../../../lib/messages/session.ts";
import type { Sailor, SailorOptions } from "../../../lib/sailor/sailor.ts";
import { createSailor } from "../../../lib/sailor/sailor.ts";
import { testSigner } from "../../sim/keys.ts";
import type { LinkPair } from "../../fixtures/link_pair.ts";
import { createLinkPair } from "../../fixtures/link_pair.ts";
import { createVirtualClock } from "../../fixtures/virtual_clock.ts";
import { FakeEngine } from "./fake_runtime.ts";

export const CLUSTER = "cluster-1";
export const NODE = "node-1";
export const HEARTBEAT_MS = 2_000;
export const TIMEOUT_MS = 10_000;

const STATS: MachineStats = {
  memory: {},
  disk: { all: 1, used: 0, free: 1, freeInodes: 1 },
  cpu: {},
  load: {},
  taskCount: 0,
};

export function spec(document: Partial<TaskDocument> = {}): TaskSpec {
  return taskDocument.parse({ name: "web", image: "web:1", ...document });
}

export function assignment(
  sailId: string,
  change: Partial<Assignment> & { readonly task?: Partial<TaskDocument> } = {},
): Assignment {
  const { task, ...rest } = change;
  const number = rest.number ?? 1;
  return {
    attemptId: attemptId(sailId, number),
    sailId,
    number,
    desired: "run",
    graceMs: 10_000,
    known: false,
    spec: spec(task),
    ...rest,
  };
}

export const nameOf = (sailId: string, owner = CLUSTER, number = 1) => containerName(owner, sailId, number);

export class RecordingLogger implements Logger {
  readonly errors: string[] = [];
  readonly warned: string[] = [];
  debug() {}
  info() {}
  warn(message: string, fields?: Record<string, unknown>) {
    this.warned.push(`${message} ${JSON.stringify(fields ?? {})}`);
  }
  error(message: string, fields?: Record<string, unknown>) {
    this.errors.push(`${message} ${JSON.stringify(fields ?? {})}`);
  }
}

export class Rig {
  readonly clock = createVirtualClock();
  readonly engine: FakeEngine;
  readonly logger = new RecordingLogger();
  disk = createMemoryDisk();
  sailor!: Sailor;
  deck!: ScriptedDeck;
  fault: () => CommitFault = () => "none";
  probe: (target: ProbeTarget) => ProbeResult = () => ({ healthy: true, output: "" });
  readonly probed: ProbeTarget[] = [];
  commits = 0;
  #process: ProcessClock | undefined;
  #chance = 0;
  #uuid = 0;

  constructor(kind: "docker" | "process" = "docker") {
    this.engine = new FakeEngine(this.clock, kind);
  }

  /** Starts the sailor; call again for one that comes after a crash of the last. */
  async boot(options: Partial<SailorOptions> = {}): Promise<void> {
    const { logger } = this;
    const clock = this.#process = new ProcessClock(this.clock);
    this.sailor = await createSailor({
      clock,
      random: { next: () => this.#chance = (this.#chance + 0.37) % 1, uuid: () => `uuid-${++this.#uuid}` },
      logger,
      store: openMemoryStore({
        clock,
        disk: this.disk,
        fault: () => {
          this.commits++;
          return this.fault();
        },
      }),
      runtimes: [this.engine.runtime(NODE)],
      prober: {
        probe: (target) => {
          this.probed.push(target);
          return Promise.resolve(this.probe(target));
        },
      },
      machine: {
        stats: () => Promise.resolve(STATS),
        capacity: () => Promise.resolve({ cpuCores: 4, memoryBytes: 8 * 2 ** 30, diskBytes: 0 }),
        hostname: () => "host-a",
      },
      identity: { nodeId: NODE, name: "host-a", signer: testSigner(NODE) },
      version: "test",
      labels: { zone: "eu" },
      reserve: { cpuCores: 1, memoryBytes: 2 ** 30 },
      address: null,
      adopt: false,
      ...options,
    });
    await this.clock.settle();
  }

  /**
   * The process dies: nothing that it still does reaches the disk, its sessions break. What the engine runs goes on.
   * (The memory disk is copied, so that the dead sailor writes to one that nobody reads.)
   */
  async crash(): Promise<void> {
    this.disk = {
      ...this.disk,
      records: new Map(structuredClone([...this.disk.records])),
      alarms: new Map(this.disk.alarms),
    };
    this.deck?.pair.cut();
    this.engine.forgetClients();
    this.#process?.die();
    await this.clock.settle();
  }

  /** A deck dials in. */
  async connect(options: { acknowledges?: boolean } = {}): Promise<ScriptedDeck> {
    this.deck = new ScriptedDeck(options.acknowledges ?? true);
    this.sailor.acceptSession(this.deck.pair.near);
    await this.clock.settle();
    return this.deck;
  }

  /** Boot, connect, and a welcome with this list. */
  async begin(assignments: readonly Assignment[] = [], options: Partial<SailorOptions> = {}): Promise<ScriptedDeck> {
    await this.boot(options);
    const deck = await this.connect();
    deck.welcome(assignments);
    await this.clock.settle();
    return deck;
  }

  task(sailId: string) {
    return [...this.sailor.tasks()].find((t) => t.id === sailId);
  }

  /** Ends the sailor; nothing it has set may be left behind. */
  async end(): Promise<void> {
    await this.sailor.stop();
    await this.clock.settle();
    await this.clock.advance(120_000);
    assert.equal(this.clock.pending(), 0, "timers are left behind");
    assert.deepEqual(this.logger.errors, []);
  }
}

/** The timers of one process: they die with it. */
class ProcessClock implements Clock {
  readonly #cancels = new Set<() => void>();
  #dead = false;

  constructor(readonly base: Clock) {}

  wallMs = () => this.base.wallMs();
  monoMs = () => this.base.monoMs();

  after(delayMs: number, task: () => void): () => void {
    if (this.#dead) return () => {};
    const cancelBase = this.base.after(delayMs, () => {
      this.#cancels.delete(cancelBase);
      task();
    });
    this.#cancels.add(cancelBase);
    return () => {
      cancelBase();
      this.#cancels.delete(cancelBase);
    };
  }

  die(): void {
    this.#dead = true;
    for (const cancel of this.#cancels) cancel();
  }
}

export class ScriptedDeck {
  readonly pair: LinkPair = createLinkPair();
  readonly messages: SailorMessage[] = [];
  readonly #acknowledges: boolean;
  readonly #link: Link;
  #sequence = 0;

  constructor(acknowledges: boolean) {
    this.#acknowledges = acknowledges;
    this.#link = this.pair.far;
    this.#link.onClose(() => {});
    this.#link.onFrame((frame) => {
      const parsed = parseSailorMessage(frame);
      assert.equal(parsed.kind, "message", `the deck cannot read ${frame}: ${JSON.stringify(parsed)}`);
      const { message } = parsed as { message: SailorMessage };
      this.messages.push(message);
      if (message.kind === "reports" && this.#acknowledges) this.acknowledge(message.reports);
    });
  }

  send(message: DeckMessage): void {
    this.#link.send(JSON.stringify(message));
  }

  welcome(assignments: readonly Assignment[] = [], change: Partial<Extract<DeckMessage, { kind: "welcome" }>> = {}) {
    this.send({
      kind: "welcome",
      protocol: 1,
      version: "test",
      clusterId: CLUSTER,
      term: 1,
      sessionId: "session",
      heartbeatMs: HEARTBEAT_MS,
      timeoutMs: TIMEOUT_MS,
      assignments: [...assignments],
      ...change,
    });
  }

  assign(assignments: readonly Assignment[], change: { drop?: string[]; sequence?: number } = {}): void {
    const sequence = change.sequence ?? this.#sequence + 1;
    this.#sequence = sequence;
    this.send({ kind: "assign", term: 1, sequence, assignments: [...assignments], drop: change.drop ?? [] });
  }

  acknowledge(reports: readonly AttemptReport[]): void {
    const told = reports.map(({ attemptId, revision }) => ({ attemptId, revision }));
    this.send({ kind: "acknowledge", reports: told });
  }

  get hello(): Hello {
    return this.messages.find((m) => m.kind === "hello")!;
  }

  of<K extends SailorMessage["kind"]>(kind: K): Extract<SailorMessage, { kind: K }>[] {
    return this.messages.filter((m): m is Extract<SailorMessage, { kind: K }> => m.kind === kind);
  }

  reports(sailId?: string): AttemptReport[] {
    const all = this.of("reports").flatMap((m) => m.reports);
    return sailId === undefined ? all : all.filter((r) => r.sailId === sailId);
  }

  /** The states that were reported, repetitions left out. */
  states(sailId: string): AttemptState[] {
    return this.reports(sailId).map((r) => r.state).filter((state, i, all) => state !== all[i - 1]);
  }

  last(sailId: string): AttemptReport {
    const report = this.reports(sailId).at(-1);
    assert.ok(report, `nothing was reported of ${sailId}`);
    return report;
  }

  get closedWith(): string | null {
    return this.pair.closedWith();
  }
}

/** A dialer that hands the far end of each link to `answer`. */
export function scriptedDialer(answer: (url: string) => ScriptedDeck | undefined): Dialer {
  return {
    dial(url) {
      const deck = answer(url);
      return deck ? Promise.resolve(deck.pair.near) : Promise.reject(new Error("connection refused"));
    },
  };
}
