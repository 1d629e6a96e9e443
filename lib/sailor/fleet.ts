/**
 * All attempts of this sailor, whoever gave them: one supervisor each, from the moment its entry is durable until its container
 * is removed. Owns what wakes them (events of the runtimes) and what ends their stay (retention).
 */
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Prober, Runtime } from "../contracts/runtime.ts";
import type { BindingFiles } from "../contracts/binding_files.ts";
import type { Assignment } from "../core/outgoing.ts";
import type { LocalUse } from "../core/mast.ts";
import { reservationOf } from "../core/rudder/filters.ts";
import type { Entry, EntryDocument, Journal } from "./journal.ts";
import { LOCAL } from "./journal.ts";
import type { Gate } from "./gate.ts";
import { keepEnded } from "./retention.ts";
import { createSlots } from "./slots.ts";
import { Supervisor } from "./supervisor.ts";

export interface FleetOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly journal: Journal;
  readonly runtimes: readonly Runtime[];
  readonly prober: Prober;
  readonly gate: Gate;
  readonly width: number;
  /** Absent: tasks that bind services are refused. */
  readonly bindings?: BindingFiles;
  readonly signal: AbortSignal;
  /** What a supervisor reports has changed. */
  readonly onChange: (supervisor: Supervisor) => void;
  /** A runtime went away or came back. */
  readonly onRuntimes: () => void;
}

/** What comes with an assignment and is never written down. */
export type Given = Pick<Assignment, "secrets" | "services">;

const RETENTION_EVERY_MS = 60_000;

export class Fleet {
  readonly #o: FleetOptions;
  readonly #slots;
  readonly #supervisors = new Map<string, Supervisor>();
  readonly #byContainer = new Map<string, Supervisor>();
  /** Entries on their way into the journal, by attempt id. */
  readonly #adding = new Map<string, Promise<unknown>>();
  readonly #away: Set<Runtime>;
  /** Those of them that answered once. */
  readonly #lost = new Set<Runtime>();
  #cancelRetention = () => {};

  /** Goes on with what the journal holds. */
  constructor(options: FleetOptions) {
    this.#o = options;
    this.#slots = createSlots(options.width);
    this.#away = new Set(options.runtimes);
    for (const { entry, document } of options.journal.entries.values()) this.#supervise(entry, document);
    for (const runtime of options.runtimes) void this.#followEvents(runtime);
    this.#scheduleRetention();
  }

  get(attemptId: string): Supervisor | undefined {
    return this.#supervisors.get(attemptId);
  }

  /** Also true while it is being journalled. */
  has(attemptId: string): boolean {
    return this.#supervisors.has(attemptId) || this.#adding.has(attemptId);
  }

  /** While it is being journalled, resolves when that is over. Wait for it before asking `get` whether an id is free. */
  adding(attemptId: string): Promise<unknown> | undefined {
    return this.#adding.get(attemptId);
  }

  all(): IterableIterator<Supervisor> {
    return this.#supervisors.values();
  }

  /** Journals it, then goes on with it. The caller has made sure that it is new. */
  async add(entry: Entry, document: EntryDocument, given: Given = {}): Promise<Supervisor> {
    const added = this.#o.journal.add(entry, document);
    this.#adding.set(entry.attemptId, added.catch(() => {}));
    try {
      await added;
    } finally {
      this.#adding.delete(entry.attemptId);
    }
    return this.#supervise(entry, document, given);
  }

  /** The newest attempt of a task. */
  ofSail(sailId: string): Supervisor | undefined {
    let newest: Supervisor | undefined;
    for (const s of this.#supervisors.values()) {
      if (s.entry.sailId === sailId && (!newest || s.entry.number > newest.entry.number)) newest = s;
    }
    return newest;
  }

  liveCount(): number {
    return [...this.all()].filter((s) => s.entry.outcome === null).length;
  }

  localUse(): LocalUse {
    const local = [...this.all()].filter((s) => s.entry.owner === LOCAL && s.entry.outcome === null);
    const reservations = local.map((s) => reservationOf(s.spec));
    const sum = (pick: (r: (typeof reservations)[number]) => number) => reservations.reduce((n, r) => n + pick(r), 0);
    return {
      cpuCores: sum((r) => r.cpuCores),
      memoryBytes: sum((r) => r.memoryBytes),
      diskBytes: sum((r) => r.diskBytes),
      hostPorts: reservations.flatMap((r) => r.hostPorts),
      taskCount: local.length,
    };
  }

  /** Runtimes that do not answer. */
  away(): ReadonlySet<Runtime> {
    return this.#away;
  }

  /** Runtimes that did answer and do no more. One that has just been asked for the first time is none of them. */
  lost(): ReadonlySet<Runtime> {
    return this.#lost;
  }

  /** Lets go of all; their containers go on. */
  close(): void {
    this.#cancelRetention();
    for (const supervisor of this.all()) supervisor.close();
  }

  #supervise(entry: Entry, document: EntryDocument, { secrets, services }: Given = {}): Supervisor {
    const { runtimes, journal, prober, gate, clock, logger, bindings, onChange } = this.#o;
    const supervisor = new Supervisor({
      entry,
      spec: document.spec,
      ...(secrets ? { secrets } : {}),
      ...(services ? { services } : {}),
      ...(bindings ? { bindings } : {}),
      runtime: runtimes.find((r) => r.kind === document.spec.runtime) ?? runtimes[0],
      journal,
      prober,
      gate,
      clock,
      logger,
      slots: this.#slots,
      onChange,
    });
    this.#supervisors.set(entry.attemptId, supervisor);
    this.#byContainer.set(supervisor.name, supervisor);
    supervisor.wake();
    return supervisor;
  }

  async #followEvents(runtime: Runtime): Promise<void> {
    for await (const event of runtime.events(this.#o.signal)) {
      if (event.kind === "container") {
        this.#byContainer.get(event.name)?.wake();
      } else if (event.kind === "lost") {
        this.#away.add(runtime);
        this.#lost.add(runtime);
        this.#o.onRuntimes();
        this.#o.logger.warn("the runtime is away", { runtime: runtime.kind, reason: event.reason });
      } else {
        this.#away.delete(runtime);
        if (this.#lost.delete(runtime)) this.#o.onRuntimes();
        for (const supervisor of this.all()) {
          if (supervisor.runtime === runtime) supervisor.wake();
        }
      }
    }
  }

  #scheduleRetention(): void {
    const { clock, logger, signal } = this.#o;
    this.#cancelRetention = clock.after(RETENTION_EVERY_MS, async () => {
      await keepEnded([...this.all()], clock.wallMs(), (s) => this.#forget(s), logger);
      if (!signal.aborted) this.#scheduleRetention();
    });
  }

  async #forget(supervisor: Supervisor): Promise<void> {
    await supervisor.runtime.remove(supervisor.name);
    if (supervisor.spec.bind) await this.#o.bindings?.remove(supervisor.entry.attemptId);
    this.#supervisors.delete(supervisor.entry.attemptId);
    this.#byContainer.delete(supervisor.name);
    await this.#o.journal.remove(supervisor.entry.attemptId);
  }
}
