/**
 * What a sailor answers to its deck: who it is, whom it obeys, how it takes in lists and increments, and what it reports.
 *
 * 1. Cluster and term are durable before anything of a deck's list is acted on.
 * 2. Attempts of other owners are never touched, whatever is or is not on the list.
 * 3. One session counts; a newer one takes its place with its welcome.
 */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Signer } from "../contracts/keys.ts";
import type { Link } from "../contracts/link.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Runtime } from "../contracts/runtime.ts";
import { NOTHING_OBSERVED } from "../core/attempt.ts";
import type { HostRuntime, RuntimeKind } from "../core/documents/task.ts";
import type { Capacity, MachineStats } from "../core/mast.ts";
import type { Assignment, AttemptReport, Hello, Welcome } from "../messages/session.ts";
import { PROTOCOL_VERSION } from "../messages/session.ts";
import { proofText } from "../session/node_proof.ts";
import type { Fleet } from "./fleet.ts";
import type { Journal } from "./journal.ts";
import { LOCAL, newEntry } from "./journal.ts";
import { firstPartOf } from "./report_parts.ts";
import type { Session, SessionHost } from "./session.ts";
import type { Supervisor } from "./supervisor.ts";
import { removeUnlisted } from "./unlisted.ts";

export interface DeckHostOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly journal: Journal;
  readonly fleet: () => Fleet;
  readonly runtimes: readonly Runtime[];
  /** What a hello says of this process and never changes. */
  readonly about: Pick<Hello, "version" | "nodeId" | "name" | "instance" | "address" | "labels" | "allows">;
  readonly signer: Signer;
  /** Whether this side dialled the link. */
  readonly isDialled: (link: Link) => boolean;
  readonly reserve: { readonly cpuCores: number; readonly memoryBytes: number };
  readonly adopt: boolean;
  readonly stats: () => Promise<MachineStats>;
  readonly onWelcome: (session: Session, sessionId: string) => void;
  readonly signal: AbortSignal;
}

export interface DeckHost extends SessionHost {
  /** Reports of one turn leave together. */
  changed(supervisor: Supervisor): void;
  /** A runtime went away or came back: the deck places by it. */
  runtimesChanged(): void;
  ended(session: { readonly link: unknown }): void;
}

const ENGINE_RETRY_MS = 1_000;

export function createDeckHost(options: DeckHostOptions): DeckHost {
  const { clock, logger, journal, runtimes, signal } = options;
  const dirty = new Set<Supervisor>();
  let session: Session | null = null;
  /** Of the current list. */
  let removing = new AbortController();
  let engineKnown: { engineId: string; capacity: Capacity } | undefined;
  let asking: Promise<{ engineId: string; capacity: Capacity }> | undefined;
  signal.addEventListener("abort", () => removing.abort());

  const ofCluster = (s: Supervisor) => s.entry.owner === journal.membership.clusterId;
  const untold = (s: Supervisor) => s.entry.outcome === null || !s.entry.acknowledged;
  const inventory = () => [...options.fleet().all()].filter(ofCluster).filter(untold).map((s) => s.report);

  function changed(supervisor: Supervisor): void {
    if (supervisor.entry.owner === LOCAL) return;
    if (dirty.size === 0) queueMicrotask(flush);
    dirty.add(supervisor);
  }

  function flush(): void {
    const reports = [...dirty].filter(ofCluster).map((s) => s.report);
    dirty.clear();
    session?.report(reports);
  }

  /** A deck that dials again and again while the Engine is away waits for one answer, not for one a dial. */
  function engine(): Promise<{ engineId: string; capacity: Capacity }> {
    return asking ??= askEngine().finally(() => asking = undefined);
  }

  /** What the Engine said last is good enough while it is away: the deck still hears of everything else. */
  async function askEngine(): Promise<{ engineId: string; capacity: Capacity }> {
    const source = runtimes.find((r) => r.kind === "docker") ?? runtimes.find((r) => isOfHost(r.kind)) ?? runtimes[0];
    while (!signal.aborted) {
      // An Engine that hangs would keep the hello back for longer than a deck waits for one.
      if (engineKnown && options.fleet().lost().has(source)) return engineKnown;
      try {
        const { engineId, capacity } = await source.info();
        return engineKnown = {
          engineId,
          capacity: {
            cpuCores: Math.max(0, capacity.cpuCores - options.reserve.cpuCores),
            memoryBytes: Math.max(0, capacity.memoryBytes - options.reserve.memoryBytes),
            diskBytes: capacity.diskBytes,
          },
        };
      } catch (error) {
        if (engineKnown) return engineKnown;
        logger.warn("waiting for the runtime", { runtime: source.kind, reason: (error as Error).message });
        await pause(clock, ENGINE_RETRY_MS, signal);
      }
    }
    throw new Error("the sailor is stopping");
  }

  async function statsOrNull(): Promise<MachineStats | null> {
    try {
      return await options.stats();
    } catch (error) {
      logger.warn("the machine's figures cannot be read", { error: (error as Error).message });
      return null;
    }
  }

  /** `taking`: the session that the assignment came by; its answers go there. */
  async function take(assignment: Assignment, taking: Session): Promise<void> {
    const { attemptId, spec } = assignment;
    const fleet = options.fleet();
    while (fleet.adding(attemptId)) await fleet.adding(attemptId);
    const known = fleet.get(attemptId);
    if (known && !ofCluster(known)) return taking.report([clash(assignment, known)]);
    if (known) {
      if (assignment.desired === "stop") await known.stop(assignment.graceMs);
      else {
        if (assignment.secrets) known.giveSecrets(assignment.secrets);
        if (assignment.services) known.giveServices(assignment.services);
      }
      // The deck asks about one that has ended: it has lost what it was told.
      if (known.entry.outcome) known.repeat();
      return;
    }
    const { sailId, number, desired, graceMs } = assignment;
    const owner = journal.membership.clusterId!;
    const createdMs = clock.wallMs();
    const entry = newEntry({ attemptId, sailId, number, owner, createdMs, desired, graceMs, acknowledged: false });
    if (!runtimes.some((r) => r.kind === spec.runtime)) {
      entry.outcome = {
        state: "failed",
        cause: "notCreated",
        endedMs: createdMs,
        observed: { ...NOTHING_OBSERVED, message: `this sailor has no ${spec.runtime} runtime` },
      };
    } // The journal does not know it, but the deck was told of it: a container that is still there is adopted, none is made.
    else if (assignment.known) entry.phase = "started";
    const supervisor = await fleet.add(entry, { spec, original: null, originalEventId: null }, assignment);
    if (entry.outcome) changed(supervisor);
  }

  const runtimesAway = () => [...options.fleet().lost()].map((runtime) => runtime.kind).filter(isOfHost);
  const abilities = ["steps", "secrets", "services", ...runtimes.some((r) => r.kind === "http") ? ["http"] : []];

  return {
    changed,
    runtimesChanged: () => session?.beat(),
    ended({ link }) {
      if (session?.link !== link) return;
      session = null;
      removing.abort();
    },
    async hello(): Promise<Hello> {
      const { engineId, capacity } = await engine();
      const stats = await statsOrNull();
      return {
        kind: "hello",
        protocol: PROTOCOL_VERSION,
        ...options.about,
        publicKey: options.signer.publicKey,
        clusterId: journal.membership.clusterId,
        highestTerm: journal.membership.highestTerm,
        engineId,
        runtimes: runtimes.map((r) => r.kind).filter(isOfHost),
        capacity,
        // What does not fit is told right after the welcome.
        attempts: firstPartOf(inventory()),
        local: options.fleet().localUse(),
        stats,
        runtimesAway: runtimesAway(),
        abilities,
      };
    },
    prove({ clusterId, nonce }, link) {
      const { nodeId, instance } = options.about;
      const dialledBy = options.isDialled(link) ? "sailor" : "deck";
      return options.signer.sign(proofText({ clusterId, nodeId, instance, nonce, dialledBy }));
    },
    judge(welcome: Welcome) {
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
      // Before anything is waited for: of two welcomes at once, the later one's session is the one that stays.
      session?.close("a newer session took its place");
      session = next;
      removing.abort();
      removing = new AbortController();
      const { clusterId, term } = welcome;
      await journal.setMembership({ clusterId, highestTerm: term });
      const fleet = options.fleet();
      const listed = new Set(welcome.assignments.map((a) => a.attemptId));
      const isKnown = (id: string) => listed.has(id) || fleet.has(id);
      // Listed attempts are taken in without waiting: their way to the Engine is not to be longer than it must.
      for (const runtime of runtimes) {
        void removeUnlisted({ runtime, clusterId, isKnown, clock, logger, signal: removing.signal });
      }
      const unlisted = [...fleet.all()].filter((s) => ofCluster(s) && !listed.has(s.entry.attemptId));
      const foreign = options.adopt ? [...fleet.all()].filter((s) => s.entry.owner !== LOCAL && !ofCluster(s)) : [];
      // The cluster that this sailor was taken from will never acknowledge their ends.
      for (const s of foreign) {
        s.entry.acknowledged = true;
        void journal.save(s.entry);
      }
      await Promise.all([
        ...welcome.assignments.map((a) => take(a, next)),
        ...[...unlisted, ...foreign].map((s) => s.stop(s.spec.graceMs)),
      ]);
      options.onWelcome(next, welcome.sessionId);
      // What changed between hello and welcome was told to nobody.
      next.report(inventory());
    },
    async assign(message, from) {
      const dropped = message.drop.map((id) => options.fleet().get(id)).filter((s) => s !== undefined);
      await Promise.all([
        ...message.assignments.map((a) => take(a, from)),
        ...dropped.filter(ofCluster).map((s) => s.stop(s.spec.graceMs)),
      ]);
    },
    acknowledged(reports) {
      for (const { attemptId, revision } of reports) {
        const supervisor = options.fleet().get(attemptId);
        if (supervisor && ofCluster(supervisor)) supervisor.acknowledge(revision);
      }
    },
    servicesChanged(services) {
      for (const supervisor of options.fleet().all()) if (ofCluster(supervisor)) supervisor.giveServices(services);
    },
    async heartbeat() {
      const stats = await statsOrNull();
      return { kind: "heartbeat", local: options.fleet().localUse(), stats, runtimesAway: runtimesAway() };
    },
  };
}

/** Those that a node names; that requests can be made is an ability. */
function isOfHost(kind: RuntimeKind): kind is HostRuntime {
  return kind !== "http";
}

/** Ids may be chosen by users: two owners may have taken the same one, and the first keeps it. */
function clash({ attemptId, sailId, number }: Assignment, { entry }: Supervisor): AttemptReport {
  const holder = entry.owner === LOCAL ? "a task that was given to this sailor directly" : "a task of another cluster";
  const observed = { ...NOTHING_OBSERVED, message: `the id ${sailId} is in use on this node by ${holder}` };
  return { attemptId, sailId, number, revision: 1, state: "failed", cause: "notCreated", observed };
}
