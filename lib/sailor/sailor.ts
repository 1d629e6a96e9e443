/**
 * The sailor: runs the attempts that its deck lists, and tasks that are given to it directly, on this machine's runtimes.
 * Owns its lifetime, its sessions and the tasks of its own API; attempts are fleet.ts, the deck's wishes deck_host.ts.
 * Everything outside is passed in.
 */
import type { BindingFiles } from "../contracts/binding_files.ts";
import type { Clock } from "../contracts/clock.ts";
import type { Dialer, Link } from "../contracts/link.ts";
import type { Signer } from "../contracts/keys.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Machine } from "../contracts/machine.ts";
import type { Random } from "../contracts/random.ts";
import type { Prober, Runtime } from "../contracts/runtime.ts";
import type { Store } from "../contracts/store.ts";
import { VALUE_BYTES_MAX } from "../contracts/store.ts";
import { attemptId as idOfAttempt } from "../core/attempt.ts";
import type { Bounds } from "../core/bounds.ts";
import { NOTHING_ALLOWED } from "../core/bounds.ts";
import type { AttemptState, Observation } from "../core/attempt.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import type { MachineStats } from "../core/mast.ts";
import type { OriginalFields } from "../core/sail.ts";
import { createStreamMux } from "../session/stream_mux.ts";
import type { KeepBackup } from "../session/open_records.ts";
import { createDeckHost } from "./deck_host.ts";
import { Fleet } from "./fleet.ts";
import { createGate } from "./gate.ts";
import { keepJoined, keepStreams } from "./join.ts";
import { LOCAL, newEntry, openJournal } from "./journal.ts";
import { serveStream } from "./serve_streams.ts";
import { runSession } from "./session.ts";
import { createStreamAdmission } from "./stream_admission.ts";
import type { Supervisor } from "./supervisor.ts";

export interface SailorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The journal's; the sailor closes it. */
  readonly store: Store;
  readonly runtimes: readonly Runtime[];
  readonly prober: Prober;
  readonly machine: Machine;
  readonly identity: { readonly nodeId: string; readonly name: string; readonly signer: Signer };
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Kept from tasks. */
  readonly reserve: { readonly cpuCores: number; readonly memoryBytes: number };
  /** `host:port` of this sailor's own API as others reach it; null: none. */
  readonly address: string | null;
  /** Obey a deck of another cluster or an older term, and take on its list. */
  readonly adopt: boolean;
  /** Keeps the journal as it was before a migration; one in memory is never old. */
  readonly keepBackup?: KeepBackup;
  /** Containers that are made or started at once. */
  readonly width?: number;
  /** What tasks may do to this machine, and how its paths are looked at. Absent: nothing. */
  readonly ground?: Ground;
  /** Where tasks find the addresses of services that they bind. Absent: such tasks are refused. */
  readonly bindings?: BindingFiles;
}

export interface Ground {
  readonly bounds: Bounds;
  /** Of Engines that lie on this machine. */
  readonly sockets: readonly string[];
  /** Where a path leads; throws a sentence when that cannot be told. */
  readonly realPathOf: (path: string) => Promise<string>;
}

export interface LocalTask {
  readonly id: string | null;
  readonly spec: TaskSpec;
  readonly original: OriginalFields | null;
  readonly originalEventId: string | null;
}

/** `unavailable`: the sailor is stopping, and it is not known whether the journal has it. */
export type LocalSubmitReply =
  | { readonly kind: "accepted"; readonly id: string }
  | { readonly kind: "conflict"; readonly message: string }
  | { readonly kind: "unavailable"; readonly message: string };

export type LocalStopReply =
  | { readonly kind: "done" }
  | { readonly kind: "notFound" }
  | { readonly kind: "conflict"; readonly message: string }
  | { readonly kind: "unavailable"; readonly message: string };

export interface SailorTask {
  readonly id: string;
  readonly state: AttemptState;
  readonly spec: TaskSpec;
  readonly original: OriginalFields | null;
  readonly observed: Observation;
}

export interface Sailor {
  readonly nodeId: string;
  acceptSession(link: Link): void;
  acceptStreams(link: Link): void;
  /** Keeps a session with the deck at `url` (ws or http) until the sailor stops. */
  join(dialer: Dialer, url: string, token?: string): void;
  localSubmit(task: LocalTask): Promise<LocalSubmitReply>;
  localStop(id: string): Promise<LocalStopReply>;
  tasks(): Iterable<SailorTask>;
  inspectRaw(sailId: string): Promise<unknown | undefined>;
  stats(): Promise<MachineStats>;
  notReady(): string | null;
  /** Containers live on. */
  stop(): Promise<void>;
}

/** Measured on two cores: 8 make 2 % fewer containers a second, 6 make 8 % fewer, and 16 no more. */
const SLOTS_DEFAULT = 12;
const NO_GROUND: Ground = { bounds: NOTHING_ALLOWED, sockets: [], realPathOf: (path) => Promise.resolve(path) };
/** A record's key and the store's own bookkeeping. */
const RECORD_OVERHEAD_BYTES = 1_024;

/** Reads the journal, finds its containers again and goes on with them. Waits for no Engine: one that is away is looked for. */
export async function createSailor(options: SailorOptions): Promise<Sailor> {
  const { clock, random, logger, runtimes, machine, identity, ground = NO_GROUND } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const { store, keepBackup } = options;
  const journal = await openJournal({ store, clock, logger, signal, ...(keepBackup ? { keepBackup } : {}) });
  const links = new Set<Link>();
  /** Session ids by the link that they came over. */
  const welcomed = new Map<Link, string>();
  const streams = createStreamAdmission({ clock, serve: serveStreams });
  /** Of the links that this side dialled. */
  const dials = new Map<Link, { dialer: Dialer; url: string; token: string | undefined; over: AbortController }>();
  if (options.adopt) await journal.setMembership({ clusterId: null, highestTerm: 0 });

  const host = createDeckHost({
    clock,
    logger,
    journal,
    fleet: () => fleet,
    runtimes,
    about: {
      version: options.version,
      nodeId: identity.nodeId,
      name: identity.name,
      instance: random.uuid(),
      address: options.address,
      labels: { ...options.labels },
      allows: { binds: [...ground.bounds.binds], hostNetwork: ground.bounds.hostNetwork },
    },
    signer: identity.signer,
    isDialled: (link) => dials.has(link),
    reserve: options.reserve,
    adopt: options.adopt,
    stats,
    onWelcome: ({ link }, sessionId) => {
      welcomed.set(link, sessionId);
      streams.opened(sessionId);
      const dialled = dials.get(link);
      if (!dialled) return;
      const { dialer, url, token, over } = dialled;
      keepStreams({ dialer, url, token, sessionId, clock, signal: over.signal, serve: serveStreams });
    },
    signal,
  });
  const fleet = new Fleet({
    clock,
    logger,
    journal,
    runtimes,
    prober: options.prober,
    gate: createGate({ node: identity.name, ...ground }),
    width: options.width ?? SLOTS_DEFAULT,
    ...(options.bindings ? { bindings: options.bindings } : {}),
    signal,
    onChange: host.changed,
    onRuntimes: host.runtimesChanged,
  });

  async function stats(): Promise<MachineStats> {
    return { ...await machine.stats(), taskCount: fleet.liveCount() };
  }

  async function run(link: Link): Promise<void> {
    links.add(link);
    if (signal.aborted) link.close("the sailor is stopping");
    try {
      const reason = await runSession({ link, host, clock, logger });
      if (!signal.aborted) logger.info("a session ended", { reason });
    } finally {
      links.delete(link);
      if (welcomed.has(link)) streams.closed(welcomed.get(link)!);
      welcomed.delete(link);
      host.ended({ link });
      dials.get(link)?.over.abort();
      dials.delete(link);
    }
  }

  function serveStreams(link: Link): void {
    createStreamMux(link, (request, stream) => serveStream(containerOf, request, stream));
  }

  function containerOf(attemptId: string): { runtime: Runtime; name: string } | undefined {
    const supervisor = fleet.get(attemptId);
    return supervisor && { runtime: supervisor.runtime, name: supervisor.name };
  }

  /** The same task once more: it lives, or the same event of the original was sent again. */
  function isSameTask(existing: Supervisor, task: LocalTask): boolean {
    if (existing.entry.owner !== LOCAL || JSON.stringify(existing.spec) !== JSON.stringify(task.spec)) return false;
    const { document } = journal.entries.get(existing.entry.attemptId)!;
    return existing.entry.outcome === null || document.originalEventId === task.originalEventId;
  }

  return {
    nodeId: identity.nodeId,
    acceptSession(link) {
      run(link).catch((error) => logger.error("a session failed", { error: String(error.stack ?? error) }));
    },
    acceptStreams(link) {
      streams.accept(link);
    },
    join(dialer, url, token) {
      void keepJoined({
        dialer,
        url,
        token,
        clock,
        random,
        logger,
        signal,
        run: (link) => {
          dials.set(link, { dialer, url, token, over: new AbortController() });
          return run(link);
        },
      });
    },
    async localSubmit(task) {
      const id = task.id ?? random.uuid();
      const attemptId = idOfAttempt(id, 1);
      while (fleet.adding(attemptId)) await fleet.adding(attemptId);
      const existing = fleet.ofSail(id);
      if (existing) {
        return isSameTask(existing, task) ? { kind: "accepted", id } : {
          kind: "conflict",
          message: `the id ${id} is in use on this sailor; stop that task or use a new id`,
        };
      }
      const { spec, original, originalEventId } = task;
      const document = { spec, original, originalEventId };
      const bytes = new TextEncoder().encode(JSON.stringify(document)).length;
      if (bytes > VALUE_BYTES_MAX - RECORD_OVERHEAD_BYTES) {
        return { kind: "conflict", message: `cannot keep task ${spec.name}: its document takes ${bytes} bytes` };
      }
      const entry = newEntry({
        attemptId,
        sailId: id,
        number: 1,
        owner: LOCAL,
        createdMs: clock.wallMs(),
        desired: "run",
        graceMs: spec.graceMs,
        acknowledged: true,
      });
      try {
        await fleet.add(entry, document);
      } catch (error) {
        return { kind: "unavailable", message: (error as Error).message };
      }
      return { kind: "accepted", id };
    },
    async localStop(id) {
      const supervisor = fleet.ofSail(id);
      if (!supervisor) return { kind: "notFound" };
      if (supervisor.entry.owner !== LOCAL) {
        return { kind: "conflict", message: `the task ${id} belongs to a deck; stop it there` };
      }
      try {
        await supervisor.stop(supervisor.spec.graceMs);
      } catch (error) {
        return { kind: "unavailable", message: (error as Error).message };
      }
      return { kind: "done" };
    },
    *tasks() {
      for (const s of fleet.all()) {
        const { state, observed } = s.report;
        const original = journal.entries.get(s.entry.attemptId)?.document.original ?? null;
        yield { id: s.entry.sailId, state, spec: s.spec, original, observed };
      }
    },
    async inspectRaw(sailId) {
      const supervisor = fleet.ofSail(sailId);
      if (!supervisor) return undefined;
      const names = (supervisor.spec.secrets ?? []).map(({ name }) => name);
      return redacted(await supervisor.runtime.inspectRaw(supervisor.name), new Set(names));
    },
    stats,
    notReady() {
      const away = [...fleet.away()].map((r) => r.kind);
      return away.length === 0 ? null : `the ${away.join(" and ")} runtime does not answer`;
    },
    async stop() {
      stopping.abort();
      for (const link of [...links]) link.close("the sailor is stopping");
      fleet.close();
      for (const runtime of runtimes) await runtime.close();
      await options.store.close();
    },
  };
}

/** A runtime's document shows the environment: what is in there from secrets is left out. */
function redacted(document: unknown, names: ReadonlySet<string>): unknown {
  if (names.size === 0) return document;
  if (typeof document === "string") {
    const name = document.slice(0, Math.max(0, document.indexOf("=")));
    return names.has(name) ? `${name}=***` : document;
  }
  if (Array.isArray(document)) return document.map((each) => redacted(each, names));
  if (typeof document !== "object" || document === null) return document;
  return Object.fromEntries(
    Object.entries(document).map(([key, value]) => [key, names.has(key) ? "***" : redacted(value, names)]),
  );
}
