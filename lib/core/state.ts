/**
 * The deck's records in memory and what is derived from them.
 * The deck keeps two: `committed`, which readers see, and `working`, which decisions see and change; a batch that the
 * store refuses is taken back by putting the committed records over the working ones.
 *
 * 1. Every index is a function of the records alone: applying a change and its inverse leaves no trace.
 * 2. Records are never changed in place.
 * 3. `live` is shared by both: it is what is known right now, and touches no store.
 */
import type { AttemptRecord, Reservation } from "./attempt.ts";
import { isFinal } from "./attempt.ts";
import type { EventRecord } from "./event.ts";
import type { MastRecord } from "./mast.ts";
import { LiveNodes } from "./mast.ts";
import { isSailFinal } from "./sail.ts";
import type { SailRecord, SailState, SpecRecord } from "./sail.ts";
import type { SecretRecord } from "./secret.ts";
import type { TokenRecord } from "./token.ts";
import type { Definition, Plan } from "./workflow/plan.ts";
import { definitionOf } from "./workflow/plan.ts";
import type { DefinitionRecord, OutputRecord, RunRecord, StepRecord, WorkflowRecord } from "./workflow/records.ts";
import { isRunFinal, isStepFinal } from "./workflow/records.ts";
import type { ReplicaMark, RevisionRecord, RolloutRecord, ServiceRecord } from "./service/records.ts";
import { isRolloutFinal } from "./service/records.ts";
import { RunIndex } from "./workflow/run_index.ts";

/** An answer that is kept so that the same Idempotency-Key gives it again. */
export interface IdempotencyRecord {
  readonly key: string;
  readonly digest: string;
  readonly createdMs: number;
}

export interface ClusterRecord {
  readonly id: string;
  readonly createdMs: number;
}

export interface Records {
  readonly sail: SailRecord;
  readonly spec: SpecRecord;
  readonly attempt: AttemptRecord;
  readonly mast: MastRecord;
  readonly event: EventRecord;
  readonly idempotency: IdempotencyRecord;
  readonly cluster: ClusterRecord;
  readonly token: TokenRecord;
  readonly secret: SecretRecord;
  readonly definition: DefinitionRecord;
  readonly workflow: WorkflowRecord;
  readonly run: RunRecord;
  readonly step: StepRecord;
  readonly output: OutputRecord;
  readonly service: ServiceRecord;
  readonly revision: RevisionRecord;
  readonly rollout: RolloutRecord;
}

export type RecordKind = keyof Records;

export type RecordChange = {
  readonly [K in RecordKind]: { readonly kind: K; readonly id: string; readonly value: Records[K] | undefined };
}[RecordKind];

/** What is reserved on one Engine, by all sailors that share it. Processor shares are counted in thousandths. */
export interface EngineBook {
  cpuMillis: number;
  memoryBytes: number;
  diskBytes: number;
  /** Host port, as `8080/tcp`, to the attempts that claim it; more than one would break I4. */
  readonly hostPorts: Map<string, Set<string>>;
}

/** A record with its kind and id. */
export interface StoredState {
  readonly kind: RecordKind;
  readonly id: string;
  readonly record: Records[RecordKind];
}

interface SnapshotPart {
  readonly kind: RecordKind;
  readonly ids: readonly string[];
  readonly records: readonly Records[RecordKind][];
}

function* eachOf(parts: readonly SnapshotPart[]): Generator<StoredState> {
  for (const { kind, ids, records } of parts) {
    for (const [i, id] of ids.entries()) yield { kind, id, record: records[i] };
  }
}

export class State {
  readonly sails = new Map<string, SailRecord>();
  readonly specs = new Map<string, SpecRecord>();
  readonly attempts = new Map<string, AttemptRecord>();
  readonly masts = new Map<string, MastRecord>();
  /** By sequence, oldest first. */
  readonly events = new Map<string, EventRecord>();
  readonly idempotency = new Map<string, IdempotencyRecord>();
  readonly tokens = new Map<string, TokenRecord>();
  /** Digest to the token's id. */
  readonly tokensByDigest = new Map<string, string>();
  cluster: ClusterRecord | undefined;
  readonly secrets = new Map<string, SecretRecord>();
  readonly definitions = new Map<string, DefinitionRecord>();
  readonly workflows = new Map<string, WorkflowRecord>();
  readonly runs = new Map<string, RunRecord>();
  readonly steps = new Map<string, StepRecord>();
  readonly outputs = new Map<string, OutputRecord>();
  readonly services = new Map<string, ServiceRecord>();
  readonly revisions = new Map<string, RevisionRecord>();
  readonly rollouts = new Map<string, RolloutRecord>();

  /** Name to the sail that lives under it. */
  readonly liveNames = new Map<string, string>();
  readonly sailsByName = new Map<string, Set<string>>();
  readonly attemptsBySail = new Map<string, Set<string>>();
  /** Attempts that are not final or still hold their reservation, by node. */
  readonly attemptsByNode = new Map<string, Set<string>>();
  /** Sails without a current attempt that want one, oldest first. */
  readonly pending = new Set<string>();
  /** Sails that have ended. */
  readonly ended = new Set<string>();
  readonly books = new Map<string, EngineBook>();
  readonly mastsByName = new Map<string, string>();
  /** Nodes that are down or being drained: their tasks may have to go elsewhere. */
  readonly unsettledMasts = new Set<string>();
  readonly eventsBySail = new Map<string, Set<string>>();
  readonly countByState = new Map<SailState, number>();
  newestEvent = 0;
  readonly stepsByRun = new Map<string, Set<string>>();
  readonly runsByWorkflow = new Map<string, Set<string>>();
  /** Runs that have not ended, oldest first. */
  readonly activeRuns = new Set<string>();
  readonly endedRuns = new Set<string>();
  /** Concurrency group to the runs in it that have not ended, oldest first. */
  readonly groups = new Map<string, Set<string>>();
  /** Tasks of services that have not ended, replicas only, oldest first. */
  readonly replicas = new Map<string, Set<string>>();
  /** Replicas that are to be stopped once their shutdown delay is over. */
  readonly retiring = new Set<string>();
  readonly revisionsByService = new Map<string, Set<string>>();
  readonly rolloutsByService = new Map<string, Set<string>>();
  /** Rollouts that have not ended. */
  readonly activeRollouts = new Set<string>();
  /** How many tasks on record, ended ones included, have a spec that is not theirs alone. */
  readonly specUses = new Map<string, number>();
  /** Runs and steps whose time may run out or come, as `run/ID` and `step/ID`. */
  readonly deadlines = new Set<string>();
  /** Made when first asked for, of runs that have not ended. */
  readonly #runIndexes = new Map<string, RunIndex>();

  readonly #maps: { readonly [K in Exclude<RecordKind, "cluster">]: ReadonlyMap<string, Records[K]> } = {
    mast: this.masts,
    spec: this.specs,
    sail: this.sails,
    attempt: this.attempts,
    event: this.events,
    idempotency: this.idempotency,
    token: this.tokens,
    secret: this.secrets,
    definition: this.definitions,
    workflow: this.workflows,
    run: this.runs,
    step: this.steps,
    output: this.outputs,
    service: this.services,
    revision: this.revisions,
    rollout: this.rollouts,
  };
  /** Undefined: nodes came, went or were renamed since it was asked for. */
  #mastOrder: readonly string[] | undefined;
  #fitVersion = 0;

  constructor(readonly live: LiveNodes = new LiveNodes()) {}

  /** Ids of all nodes in the order of their names; the same array until nodes come, go or are renamed. */
  get mastOrder(): readonly string[] {
    return this.#mastOrder ??= [...this.mastsByName.keys()].sort().map((name) => this.mastsByName.get(name)!);
  }

  /** Grows with whatever decides where tasks fit: nodes, what is booked on them, and what is known of them right now. */
  get fitVersion(): number {
    return this.#fitVersion + this.live.version;
  }

  apply(change: RecordChange): void {
    switch (change.kind) {
      case "sail":
        return this.#applySail(change.id, change.value);
      case "spec":
        return put(this.specs, change.id, change.value);
      case "attempt":
        return this.#applyAttempt(change.id, change.value);
      case "mast":
        return this.#applyMast(change.id, change.value);
      case "event":
        return this.#applyEvent(change.id, change.value);
      case "idempotency":
        return put(this.idempotency, change.id, change.value);
      case "token":
        return this.#applyToken(change.id, change.value);
      case "secret":
        return put(this.secrets, change.id, change.value);
      case "definition":
        return put(this.definitions, change.id, change.value);
      case "workflow":
        return put(this.workflows, change.id, change.value);
      case "run":
        return this.#applyRun(change.id, change.value);
      case "step":
        return this.#applyStep(change.id, change.value);
      case "output":
        return put(this.outputs, change.id, change.value);
      case "service":
        return put(this.services, change.id, change.value);
      case "revision":
        return this.#applyRevision(change.id, change.value);
      case "rollout":
        return this.#applyRollout(change.id, change.value);
      case "cluster":
        this.cluster = change.value;
        return;
      default:
        return change satisfies never;
    }
  }

  /** The record as it stands, typed by its kind. */
  get<K extends RecordKind>(kind: K, id: string): Records[K] | undefined {
    if (kind === "cluster") return this.cluster as Records[K] | undefined;
    return (this.#maps[kind as Exclude<RecordKind, "cluster">] as ReadonlyMap<string, Records[K]>).get(id);
  }

  /** Every record as it stands now, by reference: later changes do not show. Nothing is made for each until it is asked for. */
  snapshot(): Iterable<StoredState> {
    const parts = Object.entries(this.#maps).map(([kind, map]): SnapshotPart => ({
      kind: kind as RecordKind,
      ids: [...map.keys()],
      records: [...map.values()],
    }));
    if (this.cluster) parts.unshift({ kind: "cluster", ids: ["cluster"], records: [this.cluster] });
    return eachOf(parts);
  }

  /** Undefined while a piece of it is missing. */
  definition(hash: string): Definition | undefined {
    const first = this.definitions.get(hash);
    return first && definitionOf(first, () => this.#piecesOf(hash));
  }

  definitionText(hash: string): string | undefined {
    return this.#piecesOf(hash)?.map(({ text }) => text).join("");
  }

  #piecesOf(hash: string): DefinitionRecord[] | undefined {
    const first = this.definitions.get(hash);
    if (!first) return undefined;
    const pieces = [first];
    for (let piece = 1; piece < first.pieces; piece++) {
      const next = this.definitions.get(`${hash}#${piece}`);
      if (!next) return undefined;
      pieces.push(next);
    }
    return pieces;
  }

  /** Of a run that is on record; its definition is kept as long as it is. */
  plan(run: RunRecord): Plan {
    const plan = this.definition(run.definition)?.plan(run.document);
    if (!plan) throw new Error(`run ${run.id} has lost its definition ${run.definition}`);
    return plan;
  }

  runIndex(run: RunRecord): RunIndex {
    let index = this.#runIndexes.get(run.id);
    if (!index) {
      const records = [...this.stepsByRun.get(run.id) ?? []].map((id) => this.steps.get(id)!);
      index = new RunIndex(this.plan(run), records.filter(({ instance }) => instance === null));
      this.#runIndexes.set(run.id, index);
    }
    return index;
  }

  book(engineId: string): EngineBook {
    let book = this.books.get(engineId);
    if (!book) {
      book = { cpuMillis: 0, memoryBytes: 0, diskBytes: 0, hostPorts: new Map() };
      this.books.set(engineId, book);
    }
    return book;
  }

  #applySail(id: string, value: SailRecord | undefined): void {
    const before = this.sails.get(id);
    this.#applyReplica(id, before, value);
    if (before) {
      dropFrom(this.sailsByName, before.name, id);
      if (this.liveNames.get(before.name) === id) this.liveNames.delete(before.name);
      this.countByState.set(before.state, this.countByState.get(before.state)! - 1);
    }
    put(this.sails, id, value);
    if (value) {
      addTo(this.sailsByName, value.name, id);
      // Two replicas may bear a name at the same time: one that goes, and one that comes back to its slot.
      if (!isSailFinal(value.state) && !value.replica) this.liveNames.set(value.name, id);
      this.countByState.set(value.state, (this.countByState.get(value.state) ?? 0) + 1);
    }
    keep(this.pending, id, value?.state === "pending" && value.desired === "run");
    keep(this.ended, id, value !== undefined && isSailFinal(value.state));
  }

  #applyReplica(id: string, before: SailRecord | undefined, value: SailRecord | undefined): void {
    const specBefore = before && before.specId !== id ? before.specId : undefined;
    const specAfter = value && value.specId !== id ? value.specId : undefined;
    if (specBefore !== specAfter) {
      if (specBefore !== undefined) count(this.specUses, specBefore, -1);
      if (specAfter !== undefined) count(this.specUses, specAfter, 1);
    }
    const mark = (value ?? before)?.replica;
    if (!mark) return;
    const isLive = value !== undefined && !isSailFinal(value.state);
    if (!isLive) dropFrom(this.replicas, mark.service, id);
    else if (!before || isSailFinal(before.state)) addTo(this.replicas, mark.service, id);
    keep(this.retiring, id, isLive && mark.retireAtMs !== null && value.desired === "run");
  }

  /** Of a replica that has not ended. */
  markOf(id: string): ReplicaMark {
    return this.sails.get(id)!.replica!;
  }

  #applyRevision(id: string, value: RevisionRecord | undefined): void {
    const { service } = (value ?? this.revisions.get(id))!;
    put(this.revisions, id, value);
    if (value) addTo(this.revisionsByService, service, id);
    else dropFrom(this.revisionsByService, service, id);
  }

  #applyRollout(id: string, value: RolloutRecord | undefined): void {
    const { service } = (value ?? this.rollouts.get(id))!;
    put(this.rollouts, id, value);
    if (value) addTo(this.rolloutsByService, service, id);
    else dropFrom(this.rolloutsByService, service, id);
    keep(this.activeRollouts, id, value !== undefined && !isRolloutFinal(value.state));
  }

  #applyAttempt(id: string, value: AttemptRecord | undefined): void {
    const before = this.attempts.get(id);
    if (before?.holding !== value?.holding) this.#fitVersion++;
    if (before) {
      if (before.holding) release(this.book(before.engineId), before.reservation, id);
      if (listed(before) && !(value && listed(value) && value.nodeId === before.nodeId)) {
        dropFrom(this.attemptsByNode, before.nodeId, id);
      }
      if (!value) dropFrom(this.attemptsBySail, before.sailId, id);
    }
    put(this.attempts, id, value);
    if (!value) return;
    addTo(this.attemptsBySail, value.sailId, id);
    if (listed(value)) addTo(this.attemptsByNode, value.nodeId, id);
    if (value.holding) reserve(this.book(value.engineId), value.reservation, id);
  }

  #applyMast(id: string, value: MastRecord | undefined): void {
    const before = this.masts.get(id);
    this.#fitVersion++;
    if (before?.name !== value?.name) this.#mastOrder = undefined;
    keep(this.unsettledMasts, id, value !== undefined && (value.status === "down" || value.eligibility === "draining"));
    if (before && this.mastsByName.get(before.name) === id) this.mastsByName.delete(before.name);
    put(this.masts, id, value);
    if (value) this.mastsByName.set(value.name, id);
  }

  #applyToken(id: string, value: TokenRecord | undefined): void {
    const before = this.tokens.get(id);
    if (before) this.tokensByDigest.delete(before.digest);
    put(this.tokens, id, value);
    if (value) this.tokensByDigest.set(value.digest, id);
  }

  #applyRun(id: string, value: RunRecord | undefined): void {
    const before = this.runs.get(id);
    const isActive = value !== undefined && !isRunFinal(value.state);
    put(this.runs, id, value);
    if (before && before.workflow !== value?.workflow) dropFrom(this.runsByWorkflow, before.workflow, id);
    if (value && before?.workflow !== value.workflow) addTo(this.runsByWorkflow, value.workflow, id);
    keep(this.activeRuns, id, isActive);
    keep(this.endedRuns, id, value !== undefined && !isActive);
    keep(this.deadlines, `run/${id}`, isActive && value.deadlineMs !== null);
    if (before?.group && !(isActive && before.group === value.group)) dropFrom(this.groups, before.group, id);
    if (isActive && value.group) addTo(this.groups, value.group, id);
    if (!isActive) this.#runIndexes.delete(id);
  }

  #applyStep(id: string, value: StepRecord | undefined): void {
    const before = this.steps.get(id);
    const { runId, instance } = (value ?? before)!;
    put(this.steps, id, value);
    if (!value) dropFrom(this.stepsByRun, runId, id);
    else if (!before) addTo(this.stepsByRun, runId, id);
    const hasTime = value !== undefined && (value.deadlineMs !== null || value.dueMs !== null);
    keep(this.deadlines, `step/${id}`, hasTime && !isStepFinal(value.state));
    if (instance === null) this.#runIndexes.get(runId)?.change(before, value);
  }

  #applyEvent(id: string, value: EventRecord | undefined): void {
    const before = this.events.get(id);
    if (before?.sailId) dropFrom(this.eventsBySail, before.sailId, id);
    put(this.events, id, value);
    if (value) {
      if (value.sailId) addTo(this.eventsBySail, value.sailId, id);
      if (value.sequence > this.newestEvent) this.newestEvent = value.sequence;
    }
  }
}

/** Whether an attempt is of concern to its node: not over, or not known to be gone. */
function listed(attempt: AttemptRecord): boolean {
  return attempt.holding || !isFinal(attempt.state);
}

/** Thousandths of a core, so that sums are exact. */
export function cpuMillisOf(cpuCores: number): number {
  return Math.ceil(cpuCores * 1000 - 1e-6);
}

function reserve(book: EngineBook, reservation: Reservation, attemptId: string): void {
  book.cpuMillis += cpuMillisOf(reservation.cpuCores);
  book.memoryBytes += reservation.memoryBytes;
  book.diskBytes += reservation.diskBytes;
  for (const port of reservation.hostPorts) addTo(book.hostPorts, port, attemptId);
}

function release(book: EngineBook, reservation: Reservation, attemptId: string): void {
  book.cpuMillis -= cpuMillisOf(reservation.cpuCores);
  book.memoryBytes -= reservation.memoryBytes;
  book.diskBytes -= reservation.diskBytes;
  for (const port of reservation.hostPorts) dropFrom(book.hostPorts, port, attemptId);
}

function put<V>(map: Map<string, V>, id: string, value: V | undefined): void {
  if (value === undefined) map.delete(id);
  else map.set(id, value);
}

function keep(set: Set<string>, id: string, member: boolean): void {
  if (member) set.add(id);
  else set.delete(id);
}

function count(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next === 0) counts.delete(key);
  else counts.set(key, next);
}

function addTo(index: Map<string, Set<string>>, key: string, id: string): void {
  const ids = index.get(key);
  if (ids) ids.add(id);
  else index.set(key, new Set([id]));
}

function dropFrom(index: Map<string, Set<string>>, key: string, id: string): void {
  const ids = index.get(key);
  if (ids?.delete(id) && ids.size === 0) index.delete(key);
}
