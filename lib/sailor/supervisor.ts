/**
 * One attempt on this machine. Level-triggered: whatever wakes it (an event, a change of what is wanted, a timer), it looks
 * at the container and does the next single thing, until there is nothing to do but wait.
 *
 * 1. Nothing is asked of the runtime before the journal holds the attempt.
 * 2. Once `started` is journalled, a container that is gone is lost; it is never made again.
 * 3. An outcome is written once and never changes; what runs after it (a call of a sailor that died on the way, somebody's
 *    hand) is stopped.
 */
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { BindingFiles } from "../contracts/binding_files.ts";
import type { ContainerObservation, ContainerSpec, Prober, Runtime } from "../contracts/runtime.ts";
import { RuntimeError } from "../contracts/runtime.ts";
import type { Observation } from "../core/attempt.ts";
import { containerName, NOTHING_OBSERVED } from "../core/attempt.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import type { AttemptCause, AttemptReport, StepResult } from "../core/outgoing.ts";
import type { RestartDecision } from "../core/restart.ts";
import { afterExit, afterUnhealthy } from "../core/restart.ts";
import type { ServiceAddresses } from "./bindings.ts";
import { BoundServices } from "./bound_services.ts";
import { containerSpec } from "./container_spec.ts";
import type { Gate } from "./gate.ts";
import type { HealthWatch } from "./health.ts";
import { watchHealth } from "./health.ts";
import { LOCAL } from "./journal.ts";
import type { Entry, Journal, Outcome } from "./journal.ts";
import { outputTail } from "./output_tail.ts";
import { Settling } from "./settling.ts";
import type { Slots } from "./slots.ts";
import { stepObstacle } from "./step_obstacle.ts";
import { isJournalled, readResult, unreadable } from "./step_result.ts";

/** Characters of what is told for people: engines may say much, a report and a journal record take little. */
const TEXT_MAX = 2_048;
/** A runtime that does not answer is looked at again after this, if it has not said before that it is back. */
const AWAY_RETRY_MS = 2_000;
/** An Engine that answers everything but this would keep an attempt's end back for ever. */
const RESULT_TRIES_MAX = 3;

export interface SupervisorOptions {
  readonly entry: Entry;
  readonly spec: TaskSpec;
  /** Values that came with its assignment; absent: none came yet. Never written down. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Where the services answer that it binds; absent: the deck has not said yet. */
  readonly services?: ServiceAddresses;
  /** Absent: this sailor keeps no such files. */
  readonly bindings?: BindingFiles;
  readonly runtime: Runtime;
  readonly journal: Journal;
  readonly prober: Prober;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How many may be created, started or read at once. */
  readonly slots: Slots;
  /** Something of what `report` says has changed. */
  readonly onChange: (supervisor: Supervisor) => void;
}

type Step = "again" | "wait" | "over";

export class Supervisor {
  readonly entry: Entry;
  readonly spec: TaskSpec;
  readonly runtime: Runtime;
  readonly name: string;
  /** Grows with each change of what is reported. */
  revision = 1;
  readonly #o: SupervisorOptions;
  #state: "preparing" | "running" | "stopping" = "preparing";
  #observed: Observation;
  #healthSinceMonoMs = 0;
  readonly #settling: Settling | undefined;
  #watch: HealthWatch | undefined;
  #watchedStartMs: number | null = null;
  /** When it is started again after an exit, and when it is restarted because it is unhealthy; null: not. */
  #startAtMonoMs: number | null = null;
  #healthRestartAtMonoMs: number | null = null;
  #cancelTimer: () => void = () => {};
  #pull: AbortController | undefined;
  /** The outcome is durable and may be told, with its result where the task wants one. */
  #over: boolean;
  #result: StepResult | undefined;
  #resultTries = 0;
  #secrets: Readonly<Record<string, string>> | undefined;
  readonly #bound: BoundServices | undefined;
  #working = false;
  #wanted = false;
  #closed = false;

  constructor(options: SupervisorOptions) {
    this.#o = options;
    this.entry = options.entry;
    this.spec = options.spec;
    this.#secrets = options.secrets;
    this.#over = this.entry.outcome !== null && (this.entry.acknowledged || !this.#lacksResult());
    this.runtime = options.runtime;
    this.name = containerName(this.entry.owner, this.entry.sailId, this.entry.number);
    this.#observed = {
      ...NOTHING_OBSERVED,
      restarts: this.entry.restarts,
      healthRestarts: this.entry.healthRestarts,
      health: this.entry.givenUp ? "unhealthy" : this.spec.health ? "starting" : "none",
      healthOutput: this.entry.givenUp?.healthOutput ?? null,
      ...this.entry.outcome?.observed,
    };
    const { minHealthyMs, bind } = this.spec;
    if (bind) {
      const { attemptId } = this.entry;
      const { services, bindings: files, runtime: { kind } } = options;
      this.#bound = new BoundServices({ bind, attemptId, kind, files, services });
    }
    if (minHealthyMs !== undefined && !this.entry.outcome) {
      this.#settling = new Settling({
        minHealthyMs,
        adopted: this.entry.phase === "started",
        health: this.#observed.health,
        clock: options.clock,
        onSettled: () => this.#tell(this.#settled()),
      });
      this.#observed = { ...this.#observed, ...this.#settled() };
    }
    // Until its result is read again it is told as what it was.
    if (this.entry.outcome) this.#state = "running";
  }

  get report(): AttemptReport {
    const { attemptId, sailId, number, outcome } = this.entry;
    const base = { attemptId, sailId, number, revision: this.revision };
    if (outcome && this.#over) {
      const result = outcome.result ?? this.#result;
      const { state, cause, observed } = outcome;
      return { ...base, state, cause, observed, ...(result ? { result } : {}) };
    }
    const healthForMs = this.#o.clock.monoMs() - this.#healthSinceMonoMs;
    return { ...base, state: this.#state, cause: null, observed: { ...this.#observed, healthForMs } };
  }

  /** Looks, and does what is to be done. Calls while it works make it look once more. */
  wake(): void {
    this.#wanted = true;
    if (this.#working || this.#closed) return;
    this.#working = true;
    void this.#work();
  }

  /** After a restart of the sailor they come again with the deck's list. */
  giveSecrets(secrets: Readonly<Record<string, string>>): void {
    this.#secrets = secrets;
    this.wake();
  }

  /** They are another now, or come for the first time since this process began. */
  giveServices(services: ServiceAddresses): void {
    if (this.entry.outcome || !this.#bound?.give(services)) return;
    this.#bound.write().catch((error) => {
      const { attemptId } = this.entry;
      this.#o.logger.error("addresses of services cannot be written", { attemptId, error: (error as Error).message });
    });
    this.wake();
  }

  /** Wanted no more. Resolves once that is durable. */
  async stop(graceMs: number): Promise<void> {
    if (this.entry.outcome) return;
    if (this.entry.desired !== "stop") {
      this.entry.desired = "stop";
      this.entry.graceMs = graceMs;
      this.#pull?.abort();
    }
    // Also when it is told again: the first save may still be under way.
    await this.#o.journal.save(this.entry);
    this.wake();
  }

  /** Its end, if it has been told, need not be told again. */
  acknowledge(revision: number): void {
    const { entry } = this;
    // The answer to an earlier report may come while the end is on its way to the journal.
    if (!entry.outcome || !this.#over || revision !== this.revision || entry.acknowledged) return;
    const { result: _told, ...outcome } = entry.outcome;
    entry.outcome = outcome;
    this.#result = undefined;
    entry.acknowledged = true;
    void this.#o.journal.save(entry);
  }

  /** Tells its end once more: whoever asks has lost it. */
  repeat(): void {
    if (!this.#lacksResult()) return this.#o.onChange(this);
    this.#over = false;
    this.#state = "running";
    this.wake();
  }

  /** Lets go of it; the container goes on. */
  close(): void {
    this.#closed = true;
    this.#settling?.close();
    this.#watch?.stop();
    this.#cancelTimer();
    this.#pull?.abort();
  }

  async #work(): Promise<void> {
    while (this.#wanted && !this.#closed) {
      this.#wanted = false;
      this.#cancelTimer();
      try {
        while (await this.#step() === "again" && !this.#closed);
      } catch (error) {
        this.#afterError(error);
      }
    }
    this.#working = false;
  }

  #afterError(error: unknown): void {
    if (this.#closed) return;
    const known = error instanceof RuntimeError ? error : undefined;
    if (known?.code !== "unavailable") {
      this.#o.logger.error("an attempt could not be moved on", {
        attempt: this.entry.attemptId,
        error: String((error as Error).stack ?? error),
      });
    }
    if (!this.entry.outcome) this.#tell({ message: (error as Error).message });
    this.#timer(AWAY_RETRY_MS);
  }

  async #step(): Promise<Step> {
    const { entry } = this;
    if (entry.outcome) return this.#over ? await this.#keepDown() : await this.#readAgain();
    if (entry.phase === "accepted") return await this.#prepare();
    // What woke us until now is seen by this look.
    this.#wanted = false;
    return await this.#goOnFrom(await this.runtime.inspect(this.name));
  }

  async #goOnFrom(container: ContainerObservation | undefined): Promise<Step> {
    if (!container) return await this.#end("lost", "vanished", { message: "its container vanished" });
    this.#note(container);
    switch (container.status) {
      case "created":
        return await this.#fromCreated(container);
      case "running":
      case "restarting":
        return await this.#fromRunning(container);
      case "exited":
        return await this.#fromExited(container);
      default:
        return container.status satisfies never;
    }
  }

  /** It has ended, and what it left behind is not in the journal. */
  async #readAgain(): Promise<Step> {
    this.#result = await this.#readResult();
    if (this.#closed) return "wait";
    this.#over = true;
    this.#changed();
    return "again";
  }

  async #keepDown(): Promise<Step> {
    const container = await this.runtime.inspect(this.name);
    if (container?.status !== "running" && container?.status !== "restarting") return "over";
    this.#o.logger.warn("stopping a container that runs after its attempt has ended", { name: this.name });
    await this.runtime.stop(this.name, this.spec.graceMs);
    return "over";
  }

  /** Makes the container, pulling its image where that is wanted or needed. */
  async #prepare(): Promise<Step> {
    const { entry, spec, runtime } = this;
    if (entry.desired === "stop") {
      const container = await runtime.inspect(this.name);
      if (!container) return await this.#end("stopped", "stopped", {});
      await this.#journalStarted();
      return "again";
    }
    if (spec.secrets && !this.#secrets && entry.owner !== LOCAL) {
      this.#tell({ message: "waits for its secrets from the deck" });
      return "wait";
    }
    if (this.#bound?.isWaiting && entry.owner !== LOCAL) {
      this.#tell({ message: "waits for the addresses of its services from the deck" });
      return "wait";
    }
    let container: ContainerObservation | undefined;
    try {
      await this.#admitted();
      if (spec.pull === "always") await this.#pullImage();
      container = await this.#create();
    } catch (error) {
      if (this.#stopWanted()) return "again";
      if (!(error instanceof RuntimeError) || error.code === "unavailable") throw error;
      return await this.#end("failed", "notCreated", { message: error.message });
    }
    await this.#journalStarted();
    // As it was made a moment ago: no other look is needed.
    return container ? await this.#goOnFrom(container) : "again";
  }

  /** Undefined: a stop came before it was made. */
  async #create(): Promise<ContainerObservation | undefined> {
    const signal = new AbortController().signal;
    const create = () =>
      this.#o.slots.use(async () =>
        // Asked anew: since the first time links may have been turned, and a pull takes its time.
        await this.runtime.create(await this.#containerSpec(), signal)
      );
    try {
      return await create();
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code !== "noImage" || this.spec.pull === "never") throw error;
      await this.#pullImage();
      return this.#stopWanted() ? undefined : await create();
    }
  }

  async #containerSpec(): Promise<ContainerSpec> {
    const spec = await this.#admitted();
    return containerSpec(this.name, this.entry, spec, this.#secrets, await this.#bound?.place());
  }

  /** What to make of the task; throws when this machine's operator does not allow it. */
  async #admitted(): Promise<TaskSpec> {
    const { spec, runtime } = this;
    const obstacle = stepObstacle(spec);
    if (obstacle) throw new RuntimeError("invalid", obstacle);
    // A sailor without the runtime has no other to offer: an image is no program of the host.
    if (runtime.kind !== spec.runtime) throw new RuntimeError("invalid", `this sailor has no ${spec.runtime} runtime`);
    if (spec.secrets && this.entry.owner === LOCAL) {
      throw new RuntimeError("invalid", "secrets are kept by a deck: give the task to one");
    }
    if (spec.bind && this.entry.owner === LOCAL) {
      throw new RuntimeError("invalid", "services are a deck's: give a task that binds one to it");
    }
    const admission = await this.#o.gate(spec);
    if (admission.kind === "refused") throw new RuntimeError("invalid", admission.message);
    return admission.spec;
  }

  async #pullImage(): Promise<void> {
    this.#tell({ message: `pulling ${this.spec.image}` });
    this.#pull = new AbortController();
    await this.runtime.pull(this.spec.image, this.#pull.signal);
    this.#tell({ message: null });
  }

  /** Asked anew after each wait: a stop may have come meanwhile. */
  #stopWanted(): boolean {
    return this.entry.desired === "stop";
  }

  async #journalStarted(): Promise<void> {
    this.entry.phase = "started";
    await this.#o.journal.save(this.entry);
  }

  async #fromCreated(container: ContainerObservation): Promise<Step> {
    if (this.entry.desired === "stop") {
      // A start whose answer was lost may still be under way, and would run on when nobody looks any more.
      await this.runtime.remove(this.name);
      return await this.#end("stopped", "stopped", {});
    }
    if (container.error) return await this.#end("failed", "notCreated", { message: container.error });
    return await this.#start();
  }

  async #start(): Promise<Step> {
    try {
      await this.#o.slots.use(() => this.runtime.start(this.name), { goesOn: true });
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code === "unavailable" || error.code === "missing") throw error;
      return await this.#end("failed", "notCreated", { message: error.message });
    }
    return "again";
  }

  async #fromRunning(container: ContainerObservation): Promise<Step> {
    if (this.entry.desired === "stop") {
      this.#watch?.stop();
      this.#settling?.close();
      this.#become("stopping");
      if (!this.entry.stopSent) {
        this.entry.stopSent = true;
        await this.#o.journal.save(this.entry);
      }
      await this.runtime.stop(this.name, this.entry.graceMs);
      return "again";
    }
    if (this.entry.givenUp) {
      this.#watch?.stop();
      await this.#o.journal.save(this.entry);
      await this.runtime.stop(this.name, this.spec.graceMs);
      return "again";
    }
    this.#become("running");
    this.#startAtMonoMs = null;
    if (this.entry.healthRestarting) {
      // The restart never reached the runtime: a later exit is the container's own.
      this.entry.healthRestarting = false;
      await this.#o.journal.save(this.entry);
    }
    if (container.status === "restarting") {
      this.#watch?.stop();
      this.#watchedStartMs = null;
      return "wait";
    }
    this.#watchHealth(container);
    return this.#healthRestartAtMonoMs === null ? "wait" : await this.#restartUnhealthy();
  }

  /** A health restart that fell due; until then it goes on running. */
  async #restartUnhealthy(): Promise<Step> {
    const leftMs = this.#healthRestartAtMonoMs! - this.#o.clock.monoMs();
    if (leftMs > 0) {
      this.#timer(leftMs);
      return "wait";
    }
    this.#healthRestartAtMonoMs = null;
    this.entry.healthRestarts++;
    this.entry.healthRestarting = true;
    await this.#o.journal.save(this.entry);
    this.#watch?.stop();
    this.#watchedStartMs = null;
    this.#setHealth("starting", this.#observed.healthOutput);
    await this.runtime.restart(this.name, this.spec.graceMs);
    const after = await this.runtime.inspect(this.name);
    this.entry.healthRestarting = false;
    if (after) this.#countStart(after, 0);
    this.#tell({ healthRestarts: this.entry.healthRestarts });
    return "again";
  }

  async #fromExited(container: ContainerObservation): Promise<Step> {
    const { entry, spec } = this;
    this.#watch?.stop();
    this.#watchedStartMs = null;
    const exitCode = container.exitCode ?? 0;
    this.#healthRestartAtMonoMs = null;
    if (entry.stopSent) return await this.#end("stopped", "stopped", {});
    if (entry.givenUp) return await this.#end("failed", entry.givenUp.cause, {});
    if (container.startedMs === null && container.error) {
      return await this.#end("failed", "notCreated", { message: container.error });
    }
    const decision: RestartDecision = entry.healthRestarting
      ? { kind: "restart", delayMs: 0 }
      : afterExit(spec.restart, exitCode, entry.restarts);
    if (decision.kind === "over") {
      return await this.#end(exitCode === 0 ? "completed" : "failed", decision.cause, {});
    }
    // It would have gone on; what had ended for good before the stop came keeps its own end, above.
    if (entry.desired === "stop") return await this.#end("stopped", "stopped", {});
    // The Engine has let go of it (killed by hand, or a runtime without restarts): the sailor starts it.
    const now = this.#o.clock.monoMs();
    if (this.#startAtMonoMs === null) {
      this.#startAtMonoMs = now + decision.delayMs;
      this.#changed();
    }
    if (this.#startAtMonoMs > now) {
      this.#timer(this.#startAtMonoMs - now);
      return "wait";
    }
    this.#startAtMonoMs = null;
    return await this.#start();
  }

  /** Keeps what was seen; counts starts that nobody here asked for. */
  #note(container: ContainerObservation): void {
    this.#countStart(container, Math.max(1, madeRestarts(container) - this.entry.runtimeRestarts));
    this.#settling?.process(container.status === "running" ? container.startedMs : null);
    const seen = {
      containerId: container.id,
      containerName: container.name,
      ports: container.ports,
      restarts: this.entry.restarts,
      exitCode: container.exitCode ?? this.#observed.exitCode,
      oomKilled: container.oomKilled || this.#observed.oomKilled,
      startedMs: container.startedMs,
      finishedMs: container.finishedMs,
      message: container.error,
      ...this.#settled(),
    };
    // An exit is told together with what follows from it.
    if (container.status === "exited") this.#observed = cut({ ...this.#observed, ...seen });
    else this.#tell(seen);
  }

  #countStart(container: ContainerObservation, as: number): void {
    const { entry } = this;
    if (container.startedMs === null || container.startedMs === entry.lastStartedMs) return;
    // What ends at once may have been started again before the first look at it.
    const restarts = entry.lastStartedMs === null ? madeRestarts(container) : as;
    if (restarts > 0) {
      if (!entry.healthRestarting) entry.restarts += restarts;
      if (this.spec.health && !entry.givenUp) this.#setHealth("starting", this.#observed.healthOutput);
    }
    // What was held against the process before says nothing about this one.
    this.#healthRestartAtMonoMs = null;
    entry.healthRestarting = false;
    entry.lastStartedMs = container.startedMs;
    entry.runtimeRestarts = madeRestarts(container);
    void this.#o.journal.save(entry);
  }

  #watchHealth(container: ContainerObservation): void {
    const check = this.spec.health;
    if (!check || this.#watchedStartMs === container.startedMs) return;
    this.#watch?.stop();
    this.#watchedStartMs = container.startedMs;
    this.#watch = watchHealth({
      spec: this.spec,
      check,
      container,
      runtime: this.runtime,
      prober: this.#o.prober,
      clock: this.#o.clock,
      onChange: (state, output) => this.#onHealth(state, output),
    });
  }

  #onHealth(state: "healthy" | "unhealthy", output: string): void {
    this.#setHealth(state, state === "healthy" ? null : output);
    if (state === "healthy") {
      this.#healthRestartAtMonoMs = null;
      return;
    }
    const decision = afterUnhealthy(this.spec.restart, this.spec.maxRestarts, this.entry.healthRestarts);
    if (decision.kind === "over") {
      this.entry.givenUp = { cause: decision.cause, healthOutput: this.#observed.healthOutput };
    } else this.#healthRestartAtMonoMs = this.#o.clock.monoMs() + decision.delayMs;
    this.wake();
  }

  #setHealth(health: Observation["health"], healthOutput: string | null): void {
    if (health !== this.#observed.health) this.#healthSinceMonoMs = this.#o.clock.monoMs();
    this.#settling?.health(health);
    this.#tell({ health, healthOutput, ...this.#settled() });
  }

  /** Nothing while it cannot be told. */
  #settled(): Pick<Observation, "settled"> {
    const settled = this.#settling?.settled;
    return settled === undefined ? {} : { settled };
  }

  #become(state: "running" | "stopping"): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#changed();
  }

  #tell(change: Partial<Observation>): void {
    const next = cut({ ...this.#observed, ...change });
    if (JSON.stringify(next) === JSON.stringify(this.#observed)) return;
    this.#observed = next;
    // A container that merely exists is news only together with what becomes of it.
    if (this.#state !== "preparing" || change.message) this.#changed();
  }

  #changed(): void {
    this.revision++;
    this.#o.onChange(this);
  }

  async #end(state: Outcome["state"], cause: AttemptCause, change: Partial<Observation>): Promise<Step> {
    this.#watch?.stop();
    this.#settling?.close();
    const tail = state === "failed" && this.#observed.startedMs !== null
      ? await outputTail({ ...this.#o, name: this.name })
      : null;
    // Before the outcome is written: a crash in between leaves all to be done anew.
    const leaves = this.spec.step?.capture && state !== "lost" && this.#observed.startedMs !== null;
    const result = leaves ? await this.#readResult() : undefined;
    // Whoever comes after this process finds out by itself; a call that failed because it ends is no end of the attempt.
    if (this.#closed) return "wait";
    const observed = cut({ ...this.#observed, healthForMs: 0, outputTail: tail, ...change });
    const journalled = result && isJournalled(result) ? { result } : {};
    this.entry.outcome = { state, cause, observed, endedMs: this.#o.clock.wallMs(), ...journalled };
    this.#result = result;
    await this.#o.journal.save(this.entry);
    this.#over = true;
    this.#changed();
    return "over";
  }

  /** Its end is told together with what it left behind, and that is not here. */
  #lacksResult(): boolean {
    const { outcome } = this.entry;
    if (!outcome || this.spec.step?.capture !== true || outcome.result || this.#result) return false;
    return outcome.state !== "lost" && outcome.observed.startedMs !== null;
  }

  /** Throws "unavailable" as long as it is worth waiting for the runtime. */
  async #readResult(): Promise<StepResult> {
    const gone = () => unreadable("its container vanished before what it left behind could be read");
    if (!await this.runtime.inspect(this.name)) return gone();
    try {
      return await this.#o.slots.use(() => readResult({ ...this.#o, name: this.name }), { goesOn: true });
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      if (error.code === "missing") return gone();
      if (++this.#resultTries < RESULT_TRIES_MAX) throw error;
      return unreadable(error.message);
    }
  }

  #timer(delayMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#o.clock.after(delayMs, () => this.wake());
  }
}

function cut(observed: Observation): Observation {
  const short = (text: string | null) =>
    text !== null && text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} ...` : text;
  return { ...observed, message: short(observed.message), healthOutput: short(observed.healthOutput) };
}

/** Restarts that the runtime has carried out: while it waits for the next one, that is counted there already. */
function madeRestarts(container: ContainerObservation): number {
  return Math.max(0, container.runtimeRestarts - (container.status === "restarting" ? 1 : 0));
}
