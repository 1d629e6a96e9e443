/**
 * One attempt on this machine. Level-triggered: whatever wakes it (an event, a change of what is wanted, a timer), it looks
 * at the container and does the next single thing, until there is nothing to do but wait.
 *
 * 1. Nothing is asked of the runtime before the journal holds the attempt.
 * 2. Once `started` is journalled, a container that is gone is lost; it is never made again.
 * 3. An outcome is written once and never changes.
 */
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { ContainerObservation, ContainerSpec, Prober, Runtime } from "../contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_NAME, LABEL_OWNER, LABEL_SAIL, RuntimeError } from "../contracts/runtime.ts";
import type { Observation } from "../core/attempt.ts";
import { containerName, NOTHING_OBSERVED } from "../core/attempt.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import type { AttemptCause, AttemptReport } from "../core/outgoing.ts";
import type { RestartDecision } from "../core/restart.ts";
import { afterExit, afterUnhealthy } from "../core/restart.ts";
import type { HealthWatch } from "./health.ts";
import { watchHealth } from "./health.ts";
import type { Entry, Journal, Outcome } from "./journal.ts";
import { outputTail } from "./output_tail.ts";
import type { Slots } from "./slots.ts";

/** A runtime that does not answer is looked at again after this, if it has not said before that it is back. */
const AWAY_RETRY_MS = 2_000;

export interface SupervisorOptions {
  readonly entry: Entry;
  readonly spec: TaskSpec;
  readonly runtime: Runtime;
  readonly journal: Journal;
  readonly prober: Prober;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How many may be created or started at once. */
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
  #watch: HealthWatch | undefined;
  #watchedStartMs: number | null = null;
  #restartAtMonoMs: number | null = null;
  #giveUp: AttemptCause | null = null;
  #cancelTimer: () => void = () => {};
  #pull: AbortController | undefined;
  #working = false;
  #wanted = false;
  #closed = false;

  constructor(options: SupervisorOptions) {
    this.#o = options;
    this.entry = options.entry;
    this.spec = options.spec;
    this.runtime = options.runtime;
    this.name = containerName(this.entry.owner, this.entry.sailId, this.entry.number);
    this.#observed = {
      ...NOTHING_OBSERVED,
      restarts: this.entry.restarts,
      healthRestarts: this.entry.healthRestarts,
      health: this.spec.health ? "starting" : "none",
    };
  }

  get report(): AttemptReport {
    const { attemptId, sailId, number, outcome } = this.entry;
    const base = { attemptId, sailId, number, revision: this.revision };
    if (outcome) return { ...base, state: outcome.state, cause: outcome.cause, observed: outcome.observed };
    const healthForMs = this.#o.clock.monoMs() - this.#healthSinceMonoMs;
    return { ...base, state: this.#state, cause: null, observed: { ...this.#observed, healthForMs } };
  }

  /** Looks, and does what is to be done. Calls while it works make it look once more. */
  wake(): void {
    this.#wanted = true;
    if (this.#working || this.#closed || this.entry.outcome) return;
    this.#working = true;
    void this.#work();
  }

  /** Wanted no more. Resolves once that is durable. */
  async stop(graceMs: number): Promise<void> {
    if (this.entry.outcome || this.entry.desired === "stop") return;
    this.entry.desired = "stop";
    this.entry.graceMs = graceMs;
    this.#pull?.abort();
    await this.#o.journal.save(this.entry);
    this.wake();
  }

  /** Lets go of it; the container goes on. */
  close(): void {
    this.#closed = true;
    this.#watch?.stop();
    this.#cancelTimer();
    this.#pull?.abort();
  }

  async #work(): Promise<void> {
    while (this.#wanted && !this.#closed && !this.entry.outcome) {
      this.#wanted = false;
      this.#cancelTimer();
      try {
        while (await this.#step() === "again" && !this.#closed);
      } catch (error) {
        await this.#afterError(error);
      }
    }
    this.#working = false;
  }

  async #afterError(error: unknown): Promise<void> {
    if (this.#closed) return;
    const known = error instanceof RuntimeError ? error : undefined;
    if (known?.code !== "unavailable") {
      this.#o.logger.error("an attempt could not be moved on", {
        attempt: this.entry.attemptId,
        error: String((error as Error).stack ?? error),
      });
    }
    this.#tell({ message: (error as Error).message });
    this.#timer(AWAY_RETRY_MS);
    await Promise.resolve();
  }

  async #step(): Promise<Step> {
    const { entry } = this;
    if (entry.phase === "accepted") return await this.#prepare();
    const container = await this.runtime.inspect(this.name);
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

  /** Makes the container, pulling its image where that is wanted or needed. */
  async #prepare(): Promise<Step> {
    const { entry, spec, runtime } = this;
    if (entry.desired === "stop") {
      const container = await runtime.inspect(this.name);
      if (!container) return await this.#end("stopped", "stopped", {});
      await this.#journalStarted();
      return "again";
    }
    try {
      if (spec.pull === "always") await this.#pullImage();
      await this.#create();
    } catch (error) {
      if (this.#stopWanted()) return "again";
      if (!(error instanceof RuntimeError) || error.code === "unavailable") throw error;
      return await this.#end("failed", "notCreated", { message: error.message });
    }
    await this.#journalStarted();
    return "again";
  }

  async #create(): Promise<void> {
    const signal = new AbortController().signal;
    const create = () => this.#o.slots.use(() => this.runtime.create(this.#containerSpec(), signal));
    try {
      await create();
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code !== "noImage" || this.spec.pull === "never") throw error;
      await this.#pullImage();
      if (!this.#stopWanted()) await create();
    }
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

  #containerSpec(): ContainerSpec {
    const { spec, entry } = this;
    const labels = {
      ...spec.labels,
      [LABEL_OWNER]: entry.owner,
      [LABEL_SAIL]: entry.sailId,
      [LABEL_ATTEMPT]: entry.attemptId,
      [LABEL_NAME]: spec.name,
    };
    const { image, entrypoint, cmd, env, cpuCores, memoryBytes, ports, volumes, restart } = spec;
    const { stopSignal, user, workdir, network, files } = spec;
    return {
      name: this.name,
      labels,
      image,
      entrypoint,
      cmd,
      env,
      cpuCores,
      memoryBytes,
      ports,
      volumes,
      restart,
      stopSignal,
      user,
      workdir,
      network,
      files,
    };
  }

  async #journalStarted(): Promise<void> {
    this.entry.phase = "started";
    await this.#o.journal.save(this.entry);
  }

  async #fromCreated(container: ContainerObservation): Promise<Step> {
    if (this.entry.desired === "stop") return await this.#end("stopped", "stopped", {});
    if (container.error) return await this.#end("failed", "notCreated", { message: container.error });
    return await this.#start();
  }

  async #start(): Promise<Step> {
    try {
      await this.#o.slots.use(() => this.runtime.start(this.name));
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code === "unavailable" || error.code === "missing") throw error;
      return await this.#end("failed", "notCreated", { message: error.message });
    }
    return "again";
  }

  async #fromRunning(container: ContainerObservation): Promise<Step> {
    if (this.entry.desired === "stop") {
      this.#watch?.stop();
      this.#become("stopping");
      await this.runtime.stop(this.name, this.entry.graceMs);
      return "again";
    }
    if (this.#giveUp) {
      this.#watch?.stop();
      await this.runtime.stop(this.name, this.spec.graceMs);
      return "again";
    }
    this.#become("running");
    if (container.status === "restarting") {
      this.#watch?.stop();
      this.#watchedStartMs = null;
      return "wait";
    }
    if (this.#restartAtMonoMs !== null) return await this.#restartUnhealthy();
    this.#watchHealth(container);
    return "wait";
  }

  /** A health restart that fell due; until then it goes on running. */
  async #restartUnhealthy(): Promise<Step> {
    const leftMs = this.#restartAtMonoMs! - this.#o.clock.monoMs();
    if (leftMs > 0) {
      this.#timer(leftMs);
      return "wait";
    }
    this.#restartAtMonoMs = null;
    this.entry.healthRestarts++;
    await this.#o.journal.save(this.entry);
    this.#watch?.stop();
    this.#watchedStartMs = null;
    this.#setHealth("starting", this.#observed.healthOutput);
    await this.runtime.restart(this.name, this.spec.graceMs);
    const after = await this.runtime.inspect(this.name);
    if (after) this.#countStart(after, 0);
    this.#tell({ healthRestarts: this.entry.healthRestarts });
    return "again";
  }

  async #fromExited(container: ContainerObservation): Promise<Step> {
    const { entry, spec } = this;
    this.#watch?.stop();
    this.#watchedStartMs = null;
    const exitCode = container.exitCode ?? 0;
    if (this.#giveUp) return await this.#end("failed", this.#giveUp, {});
    if (entry.desired === "stop") {
      const stopped = this.#state === "stopping" || exitCode !== 0 || spec.restart.kind !== "no";
      return await this.#end(stopped ? "stopped" : "completed", stopped ? "stopped" : "exited", {});
    }
    if (container.startedMs === null && container.error) {
      return await this.#end("failed", "notCreated", { message: container.error });
    }
    const decision: RestartDecision = afterExit(spec.restart, exitCode, entry.restarts);
    if (decision.kind === "over") {
      return await this.#end(exitCode === 0 ? "completed" : "failed", decision.cause, {});
    }
    // The Engine has let go of it (killed by hand, or a runtime without restarts): the sailor starts it.
    const now = this.#o.clock.monoMs();
    this.#restartAtMonoMs ??= now + decision.delayMs;
    if (this.#restartAtMonoMs > now) {
      this.#timer(this.#restartAtMonoMs - now);
      return "wait";
    }
    this.#restartAtMonoMs = null;
    return await this.#start();
  }

  /** Keeps what was seen; counts starts that nobody here asked for. */
  #note(container: ContainerObservation): void {
    this.#countStart(container, Math.max(1, container.runtimeRestarts - this.entry.runtimeRestarts));
    this.#tell({
      containerId: container.id,
      containerName: container.name,
      ports: container.ports,
      restarts: this.entry.restarts,
      exitCode: container.exitCode ?? this.#observed.exitCode,
      oomKilled: container.oomKilled || this.#observed.oomKilled,
      startedMs: container.startedMs,
      finishedMs: container.finishedMs,
      message: container.error,
    });
  }

  #countStart(container: ContainerObservation, as: number): void {
    const { entry } = this;
    if (container.startedMs === null || container.startedMs === entry.lastStartedMs) return;
    if (entry.lastStartedMs !== null && as > 0) {
      entry.restarts += as;
      if (this.spec.health) this.#setHealth("starting", this.#observed.healthOutput);
    }
    entry.lastStartedMs = container.startedMs;
    entry.runtimeRestarts = container.runtimeRestarts;
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
    if (state === "healthy") return;
    const decision = afterUnhealthy(this.spec.restart, this.spec.maxRestarts, this.entry.healthRestarts);
    if (decision.kind === "over") this.#giveUp = decision.cause;
    else this.#restartAtMonoMs = this.#o.clock.monoMs() + decision.delayMs;
    this.wake();
  }

  #setHealth(health: Observation["health"], healthOutput: string | null): void {
    if (health !== this.#observed.health) this.#healthSinceMonoMs = this.#o.clock.monoMs();
    this.#tell({ health, healthOutput });
  }

  #become(state: "running" | "stopping"): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#changed();
  }

  #tell(change: Partial<Observation>): void {
    const next = { ...this.#observed, ...change };
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
    const tail = state === "failed" && this.#observed.startedMs !== null
      ? await outputTail(this.runtime, this.name, this.#o.logger)
      : null;
    const observed = { ...this.#observed, healthForMs: 0, outputTail: tail, ...change };
    this.entry.outcome = { state, cause, observed, endedMs: this.#o.clock.wallMs() };
    await this.#o.journal.save(this.entry);
    this.#changed();
    return "over";
  }

  #timer(delayMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#o.clock.after(delayMs, () => this.wake());
  }
}
