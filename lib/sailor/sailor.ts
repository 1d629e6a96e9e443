/**
 * The sailor: runs the attempts that its deck lists, and tasks that are given to it directly, on this machine's runtimes.
 * Owns the supervisors, what is reported to whom, and how long ended containers are kept. Everything outside is passed in.
 */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Dialer, Link } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Machine } from "../contracts/machine.ts";
import type { Random } from "../contracts/random.ts";
import type { ContainerObservation, Prober, Runtime } from "../contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_OWNER } from "../contracts/runtime.ts";
import type { Store } from "../contracts/store.ts";
import { attemptId as idOfAttempt, NOTHING_OBSERVED } from "../core/attempt.ts";
import type { AttemptState, Observation } from "../core/attempt.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import type { Capacity, LocalUse, MachineStats } from "../core/mast.ts";
import { reservationOf } from "../core/rudder/filters.ts";
import type { OriginalFields } from "../core/sail.ts";
import type { Assignment, Hello } from "../messages/session.ts";
import { PROTOCOL_VERSION, SESSION_PATH, STREAM_PATH } from "../messages/session.ts";
import { awaitBind } from "../session/bound_link.ts";
import { keepStreamLink } from "../session/stream_dial.ts";
import { createStreamMux } from "../session/stream_mux.ts";
import type { Entry, EntryDocument, Journal } from "./journal.ts";
import { LOCAL, openJournal } from "./journal.ts";
import { keepEnded } from "./retention.ts";
import type { Session, SessionHost } from "./session.ts";
import { runSession } from "./session.ts";
import { serveStream } from "./serve_streams.ts";
import { createSlots } from "./slots.ts";
import { Supervisor } from "./supervisor.ts";

export interface SailorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The journal's; the sailor closes it. */
  readonly store: Store;
  readonly runtimes: readonly Runtime[];
  readonly prober: Prober;
  readonly machine: Machine;
  readonly identity: { readonly nodeId: string; readonly name: string };
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Kept from tasks. */
  readonly reserve: { readonly cpuCores: number; readonly memoryBytes: number };
  /** `host:port` of this sailor's own API as others reach it; null: none. */
  readonly address: string | null;
  /** Obey a deck of another cluster or an older term, and take on its list. */
  readonly adopt: boolean;
  /** Containers that are made or started at once. */
  readonly width?: number;
}

export interface LocalTask {
  readonly id: string | null;
  readonly spec: TaskSpec;
  readonly original: OriginalFields | null;
  readonly originalEventId: string | null;
}

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
  localSubmit(task: LocalTask): Promise<{ kind: "accepted"; id: string } | { kind: "conflict"; message: string }>;
  localStop(id: string): Promise<{ kind: "done" } | { kind: "notFound" } | { kind: "conflict"; message: string }>;
  tasks(): Iterable<SailorTask>;
  inspectRaw(sailId: string): Promise<unknown | undefined>;
  stats(): Promise<MachineStats>;
  notReady(): string | null;
  /** Containers live on. */
  stop(): Promise<void>;
}

const REDIAL_MIN_MS = 100;
const REDIAL_MAX_MS = 5_000;
const RETENTION_EVERY_MS = 60_000;
const SLOTS_DEFAULT = 8;

/** Reads the journal, finds its containers again and goes on with them. Waits for no Engine: one that is away is looked for. */
export async function createSailor(options: SailorOptions): Promise<Sailor> {
  const { clock, random, logger, runtimes, machine, identity } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const journal: Journal = await openJournal({ store: options.store, clock, logger, signal });
  const instance = random.uuid();
  const supervisors = new Map<string, Supervisor>();
  const byContainer = new Map<string, Supervisor>();
  const slots = createSlots(options.width ?? SLOTS_DEFAULT);
  const dirty = new Set<Supervisor>();
  const away = new Set<Runtime>(runtimes);
  /** Of the links that this side dialled. */
  const dials = new Map<Link, { dialer: Dialer; url: string; token: string | undefined; over: AbortController }>();
  let session: Session | null = null;
  let cancelRetention = () => {};
  if (options.adopt) await journal.setMembership({ clusterId: null, highestTerm: 0 });

  for (const { entry, document } of journal.entries.values()) supervise(entry, document);
  for (const runtime of runtimes) void followEvents(runtime);
  scheduleRetention();

  function supervise(entry: Entry, document: EntryDocument): Supervisor {
    const runtime = runtimes.find((r) => r.kind === document.spec.runtime) ?? runtimes[0];
    const supervisor = new Supervisor({
      entry,
      spec: document.spec,
      runtime,
      journal,
      prober: options.prober,
      clock,
      logger,
      slots,
      onChange: changed,
    });
    supervisors.set(entry.attemptId, supervisor);
    byContainer.set(supervisor.name, supervisor);
    supervisor.wake();
    return supervisor;
  }

  /** Reports of one turn leave together. */
  function changed(supervisor: Supervisor): void {
    if (supervisor.entry.owner === LOCAL) return;
    if (dirty.size === 0) queueMicrotask(flush);
    dirty.add(supervisor);
  }

  function flush(): void {
    const reports = [...dirty].filter((s) => s.entry.owner === journal.membership.clusterId).map((s) => s.report);
    dirty.clear();
    session?.report(reports);
  }

  async function followEvents(runtime: Runtime): Promise<void> {
    for await (const event of runtime.events(signal)) {
      if (event.kind === "container") byContainer.get(event.name)?.wake();
      else if (event.kind === "lost") {
        away.add(runtime);
        logger.warn("the runtime is away", { runtime: runtime.kind, reason: event.reason });
      } else {
        away.delete(runtime);
        for (const supervisor of supervisors.values()) if (supervisor.runtime === runtime) supervisor.wake();
      }
    }
  }

  async function forget(supervisor: Supervisor): Promise<void> {
    await supervisor.runtime.remove(supervisor.name);
    supervisors.delete(supervisor.entry.attemptId);
    byContainer.delete(supervisor.name);
    await journal.remove(supervisor.entry.attemptId);
  }

  function scheduleRetention(): void {
    cancelRetention = clock.after(RETENTION_EVERY_MS, async () => {
      await keepEnded([...supervisors.values()], clock.wallMs(), forget, logger);
      if (!signal.aborted) scheduleRetention();
    });
  }

  const host: SessionHost = {
    async hello(): Promise<Hello> {
      const { engineId, capacity } = await engine();
      return {
        kind: "hello",
        protocol: PROTOCOL_VERSION,
        version: options.version,
        nodeId: identity.nodeId,
        name: identity.name,
        instance,
        clusterId: journal.membership.clusterId,
        highestTerm: journal.membership.highestTerm,
        address: options.address,
        engineId,
        runtimes: runtimes.map((r) => r.kind),
        capacity,
        labels: { ...options.labels },
        attempts: [...supervisors.values()].filter(ofCluster).filter(untold).map((s) => s.report),
        local: localUse(),
        stats: await stats(),
      };
    },
    judge(welcome) {
      const { clusterId, highestTerm } = journal.membership;
      if (clusterId === null) return undefined;
      if (clusterId !== welcome.clusterId) {
        return {
          code: "foreignCluster",
          message: `this sailor belongs to cluster ${clusterId.slice(0, 8)}, not ${welcome.clusterId.slice(0, 8)}; ` +
            "start it with --adopt to let the new deck take it over",
        };
      }
      if (welcome.term < highestTerm) {
        return {
          code: "staleTerm",
          message: `this sailor has obeyed a newer deck (term ${highestTerm}, not ${welcome.term}); ` +
            "start it with --adopt if the older one is right",
        };
      }
      return undefined;
    },
    async welcomed(welcome, next) {
      session?.close("a newer session took its place");
      await journal.setMembership({ clusterId: welcome.clusterId, highestTerm: welcome.term });
      session = next;
      const listed = new Set(welcome.assignments.map((a) => a.attemptId));
      const unlisted = [...supervisors.values()].filter((s) =>
        !listed.has(s.entry.attemptId) && (options.adopt ? s.entry.owner !== LOCAL : ofCluster(s))
      );
      // Listed attempts are taken in without waiting: their way to the Engine is not to be longer than it must.
      void stopUnlistedContainers(welcome.clusterId, listed);
      await Promise.all([...welcome.assignments.map(assign), ...unlisted.map((s) => s.stop(s.spec.graceMs))]);
      openStreams(next.link, welcome.sessionId);
      // What changed between hello and welcome was told to nobody.
      session.report([...supervisors.values()].filter(ofCluster).filter(untold).map((s) => s.report));
    },
    async assign(message) {
      const dropped = message.drop.map((id) => supervisors.get(id)).filter((s) => s !== undefined);
      await Promise.all([...message.assignments.map(assign), ...dropped.map((s) => s.stop(s.spec.graceMs))]);
    },
    acknowledged(reports) {
      for (const { attemptId, revision } of reports) {
        const supervisor = supervisors.get(attemptId);
        if (!supervisor?.entry.outcome || supervisor.revision !== revision || supervisor.entry.acknowledged) continue;
        supervisor.entry.acknowledged = true;
        void journal.save(supervisor.entry);
      }
    },
    async heartbeat() {
      return { kind: "heartbeat", local: localUse(), stats: await stats() };
    },
  };

  const ofCluster = (s: Supervisor) => s.entry.owner === journal.membership.clusterId;
  const untold = (s: Supervisor) => s.entry.outcome === null || !s.entry.acknowledged;

  async function assign(assignment: Assignment): Promise<void> {
    const { attemptId, spec } = assignment;
    const known = supervisors.get(attemptId);
    if (known) {
      if (assignment.desired === "stop") await known.stop(assignment.graceMs);
      // The deck asks about one that has ended: it has lost what it was told.
      if (known.entry.outcome) changed(known);
      return;
    }
    const entry: Entry = {
      attemptId,
      sailId: assignment.sailId,
      number: assignment.number,
      owner: journal.membership.clusterId!,
      createdMs: clock.wallMs(),
      phase: "accepted",
      desired: assignment.desired,
      graceMs: assignment.graceMs,
      restarts: 0,
      healthRestarts: 0,
      lastStartedMs: null,
      runtimeRestarts: 0,
      outcome: null,
      acknowledged: false,
    };
    if (!runtimes.some((r) => r.kind === spec.runtime)) {
      entry.outcome = {
        state: "failed",
        cause: "notCreated",
        endedMs: clock.wallMs(),
        observed: { ...NOTHING_OBSERVED, message: `this sailor has no ${spec.runtime} runtime` },
      };
    } // The journal does not know it, but the deck was told of it: a container that is still there is adopted, none is made.
    else if (assignment.known) entry.phase = "started";
    await journal.add(entry, { spec, original: null, originalEventId: null });
    const supervisor = supervise(entry, { spec, original: null, originalEventId: null });
    if (entry.outcome) changed(supervisor);
  }

  /** Containers of this cluster that neither the journal nor the deck knows. */
  async function stopUnlistedContainers(clusterId: string, listed: ReadonlySet<string>): Promise<void> {
    for (const runtime of runtimes) {
      let found: ContainerObservation[];
      try {
        found = await runtime.list();
      } catch (error) {
        logger.warn("containers could not be listed", { error: (error as Error).message });
        continue;
      }
      for (const { labels, name } of found) {
        const id = labels[LABEL_ATTEMPT];
        if (labels[LABEL_OWNER] !== clusterId || id === undefined || listed.has(id) || supervisors.has(id)) continue;
        logger.warn("removing a container that nobody knows", { name });
        await runtime.stop(name, 10_000);
        await runtime.remove(name);
      }
    }
  }

  async function engine(): Promise<{ engineId: string; capacity: Capacity }> {
    const docker = runtimes.find((r) => r.kind === "docker");
    const source = docker ?? runtimes[0];
    while (!signal.aborted) {
      try {
        const { engineId, capacity } = await source.info();
        return {
          engineId,
          capacity: {
            cpuCores: Math.max(0, capacity.cpuCores - options.reserve.cpuCores),
            memoryBytes: Math.max(0, capacity.memoryBytes - options.reserve.memoryBytes),
            diskBytes: capacity.diskBytes,
          },
        };
      } catch (error) {
        logger.warn("waiting for the runtime", { runtime: source.kind, reason: (error as Error).message });
        await pause(clock, 1_000, signal);
      }
    }
    throw new Error("the sailor is stopping");
  }

  function localUse(): LocalUse {
    const local = [...supervisors.values()].filter((s) => s.entry.owner === LOCAL && s.entry.outcome === null);
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

  async function stats(): Promise<MachineStats> {
    const live = [...supervisors.values()].filter((s) => s.entry.outcome === null).length;
    return { ...await machine.stats(), taskCount: live };
  }

  function ofSail(sailId: string): Supervisor | undefined {
    let newest: Supervisor | undefined;
    for (const s of supervisors.values()) {
      if (s.entry.sailId === sailId && (!newest || s.entry.number > newest.entry.number)) newest = s;
    }
    return newest;
  }

  return {
    nodeId: identity.nodeId,
    acceptSession(link) {
      void runSession({ link, host, clock, logger }).then((reason) => ended(link, reason));
    },
    acceptStreams(link) {
      awaitBind(link, (_sessionId, bound) => serveStreams(bound));
    },
    join(dialer, url, token) {
      void keepJoined(dialer, url, token);
    },
    async localSubmit(task) {
      const id = task.id ?? random.uuid();
      const existing = ofSail(id);
      if (existing) {
        const same = JSON.stringify(existing.spec) === JSON.stringify(task.spec) && existing.entry.owner === LOCAL &&
          (existing.entry.outcome === null ||
            journal.entries.get(existing.entry.attemptId)!.document.originalEventId === task.originalEventId);
        if (same) return { kind: "accepted", id };
        return { kind: "conflict", message: `the id ${id} is in use on this sailor; stop that task or use a new id` };
      }
      const entry: Entry = {
        attemptId: idOfAttempt(id, 1),
        sailId: id,
        number: 1,
        owner: LOCAL,
        createdMs: clock.wallMs(),
        phase: "accepted",
        desired: "run",
        graceMs: task.spec.graceMs,
        restarts: 0,
        healthRestarts: 0,
        lastStartedMs: null,
        runtimeRestarts: 0,
        outcome: null,
        acknowledged: true,
      };
      const document = { spec: task.spec, original: task.original, originalEventId: task.originalEventId };
      await journal.add(entry, document);
      supervise(entry, document);
      return { kind: "accepted", id };
    },
    async localStop(id) {
      const supervisor = ofSail(id);
      if (!supervisor) return { kind: "notFound" };
      if (supervisor.entry.owner !== LOCAL) {
        return { kind: "conflict", message: `the task ${id} belongs to a deck; stop it there` };
      }
      await supervisor.stop(supervisor.spec.graceMs);
      return { kind: "done" };
    },
    *tasks() {
      for (const s of supervisors.values()) {
        const { state, observed } = s.report;
        const original = journal.entries.get(s.entry.attemptId)?.document.original ?? null;
        yield { id: s.entry.sailId, state, spec: s.spec, original, observed };
      }
    },
    async inspectRaw(sailId) {
      const supervisor = ofSail(sailId);
      return supervisor && await supervisor.runtime.inspectRaw(supervisor.name);
    },
    stats,
    notReady: () =>
      away.size === 0 ? null : `the ${[...away].map((r) => r.kind).join(" and ")} runtime does not answer`,
    async stop() {
      stopping.abort();
      cancelRetention();
      session?.close("the sailor is stopping");
      for (const supervisor of supervisors.values()) supervisor.close();
      for (const runtime of runtimes) await runtime.close();
      await options.store.close();
    },
  };

  function serveStreams(link: Link): void {
    createStreamMux(link, (request, stream) => serveStream(containerOf, request, stream));
  }

  function containerOf(attemptId: string): { runtime: Runtime; name: string } | undefined {
    const supervisor = supervisors.get(attemptId);
    return supervisor && { runtime: supervisor.runtime, name: supervisor.name };
  }

  /** Whoever dialled the session dials its streams too. */
  function openStreams(link: Link, sessionId: string): void {
    const dialled = dials.get(link);
    if (!dialled) return;
    void keepStreamLink({
      dialer: dialled.dialer,
      url: new URL(STREAM_PATH, dialled.url).href,
      token: dialled.token,
      sessionId,
      clock,
      signal: dialled.over.signal,
      onLink: (streamLink) =>
        new Promise((resolve) => {
          serveStreams({
            ...streamLink,
            onClose: (handler) =>
              streamLink.onClose((reason) => {
                handler(reason);
                resolve();
              }),
          });
        }),
    });
  }

  function ended(link: Link, reason: string): void {
    if (session?.link === link) session = null;
    dials.get(link)?.over.abort();
    dials.delete(link);
    if (!signal.aborted) logger.info("a session ended", { reason });
  }

  async function keepJoined(dialer: Dialer, url: string, token: string | undefined): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const startedMs = clock.monoMs();
      try {
        const link = await dialer.dial(new URL(SESSION_PATH, url).href, { token, signal });
        dials.set(link, { dialer, url, token, over: new AbortController() });
        ended(link, await runSession({ link, host, clock, logger }));
        if (clock.monoMs() - startedMs > REDIAL_MAX_MS) failures = 0;
      } catch (error) {
        if (failures === 0 && !signal.aborted) {
          logger.warn("the deck does not answer", { reason: (error as Error).message });
        }
      }
      const delayMs = Math.min(REDIAL_MAX_MS, REDIAL_MIN_MS * 2 ** Math.min(failures++, 10));
      await pause(clock, delayMs * (0.5 + random.next() / 2), signal);
    }
  }
}
