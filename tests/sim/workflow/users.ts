/**
 * Users of workflows: they start, apply, pause, approve, reject and forget, cancel, resume, run again and read. Some seeds
 * have none of them, some little else.
 */
import type { Scalar } from "../../../lib/core/documents/workflow.ts";
import type { RunRecord } from "../../../lib/core/workflow/records.ts";
import { isRunFinal } from "../../../lib/core/workflow/records.ts";
import type { DeckApi } from "../../../lib/deck/api.ts";
import type { StartReply } from "../../../lib/deck/workflow_api.ts";
import { ask } from "../asking.ts";
import type { Repeat } from "../asking.ts";
import { Dice } from "../dice.ts";
import type { World } from "../world.ts";
import { drawSource, scheduled } from "./documents.ts";
import type { Source } from "./documents.ts";

const NAMES = ["w0", "w1", "w2"];
const STARTS_MAX = 25;
const APPLIES_MAX = 6;

/** How much of what a seed's users do concerns workflows; 0: nothing. */
export function workflowShare(seed: number): number {
  return new Dice(seed, "workflows").pick([0, 0, 0.3, 1, 3]);
}

export class WorkflowUsers {
  readonly #sources: Source[] = [];
  readonly #dice: Dice;
  readonly #share: number;
  readonly #rush: number;
  #starts = 0;
  #applies = 0;
  #keys = 0;

  constructor(readonly world: World) {
    this.#dice = new Dice(world.seed, "workflowUsers");
    this.#share = workflowShare(world.seed);
    this.#rush = this.#dice.logarithmic(800, 10_000);
  }

  start(): void {
    if (this.#share > 0) this.#next();
  }

  /** Nothing begins by itself any more; asked for until it is so. */
  pauseAll(): void {
    for (const { name, paused } of this.world.truth.workflows.workflows.values()) {
      if (!paused) this.#ask(`pause ${name}`, (api) => api.pauseWorkflow(name, true));
    }
  }

  #next(): void {
    const { schedule, weather } = this.world;
    schedule.after(this.#dice.wait(this.#rush / this.#share), () => {
      if (weather.over) return;
      this.#act();
      this.#next();
    });
  }

  #act(): void {
    const dice = this.#dice;
    const records = this.world.truth.workflows;
    const run = records.runs.size === 0 ? undefined : dice.pick([...records.runs.values()]);
    const what = dice.below(100);
    if (what < 34) return this.#start();
    if (what < 42) return this.#apply();
    if (what < 60) return this.#answerApproval();
    if (what < 68) return run && this.#cancel(run);
    if (what < 76) return run && this.#again(run);
    if (what < 82) {
      const [name, paused] = [dice.pick(NAMES), dice.chance(0.4)];
      return this.#ask(`${paused ? "pause" : "unpause"} ${name}`, (api) => api.pauseWorkflow(name, paused));
    }
    if (what < 84) {
      const name = dice.pick(NAMES);
      return this.#ask(`remove ${name}`, (api) => api.removeWorkflow(name));
    }
    if (what < 90) return this.#stopTask();
    this.#read(run);
  }

  #source(name: string): Source {
    if (this.#sources.length > 0 && this.#dice.chance(0.3)) return this.#dice.pick(this.#sources);
    const source = drawSource(this.#dice, name, NAMES);
    this.#sources.push(source);
    return source;
  }

  #start(): void {
    if (this.#starts++ >= STARTS_MAX) return;
    const dice = this.#dice;
    const named = dice.chance(0.3);
    const name = dice.pick(NAMES);
    const source = named ? { name } : this.#source(`f${this.#sources.length}`);
    const params: Record<string, Scalar> = dice.chance(0.5) ? { n: dice.between(1, 3) } : {};
    const only = dice.chance(0.08) ? "s0" : null;
    const key = `key-${this.#keys++}`;
    const about = named ? name : (source as Source).workflow.name;
    const kept = this.#wanted();
    this.#ask(
      `start ${about} as ${key}`,
      (api) => api.startRun({ source, params, only, key }),
      (reply) => this.#started(reply, `start of ${about}`),
      kept,
    );
  }

  #started(reply: StartReply, what: string): void {
    const { invariants } = this.world;
    if (reply.kind === "started") invariants.workflows.startAcknowledged(reply.run.id);
    if (reply.kind === "invalid") {
      const [problem] = reply.problems;
      invariants.fail("defect", `the ${what} is invalid: ${problem.path.join(".")}: ${problem.detail}`);
    }
  }

  #apply(): void {
    if (this.#applies++ >= APPLIES_MAX) return;
    const dice = this.#dice;
    const name = dice.pick(NAMES);
    const drawn = drawSource(dice, name, NAMES.filter((other) => other > name));
    const source = dice.chance(0.5) ? scheduled(dice, drawn) : drawn;
    this.#ask(
      `apply ${name}`,
      (api) => api.applyWorkflow(source),
      (reply) => {
        const { invariants } = this.world;
        if (reply.kind === "applied") invariants.workflows.applyAcknowledged(name, reply.workflow.hash);
        if (reply.kind === "invalid") {
          const [problem] = reply.problems;
          invariants.fail("defect", `${name} is invalid: ${problem.path.join(".")}: ${problem.detail}`);
        }
      },
      this.#wanted(),
    );
  }

  /** Some are never answered. */
  #answerApproval(): void {
    const dice = this.#dice;
    const waiting = [...this.world.truth.workflows.steps.values()].filter(({ state, approval }) =>
      state === "waiting" && approval !== null
    );
    if (waiting.length === 0) return;
    const { runId, step, instance } = dice.pick(waiting);
    const approved = dice.chance(0.7);
    const inputs: Record<string, Scalar> = {};
    this.#ask(
      `${approved ? "approve" : "reject"} ${step} of ${runId}`,
      (api) => api.decideApproval({ runId, step, instance, approved, inputs, reason: approved ? null : "no" }),
      (reply) => {
        if (reply.kind === "done") this.world.invariants.workflows.approvalAcknowledged(runId, step, instance);
      },
      this.#wanted(),
    );
  }

  #cancel({ id, state, createdMs }: RunRecord): void {
    const now = state === "finalizing" && createdMs % 2 === 0;
    this.#ask(`cancel ${id}`, (api) => api.cancelRun(id, now), (reply, { deck }) => {
      const { invariants, deckDisk } = this.world;
      if (reply.kind === "done") invariants.workflows.cancelAcknowledged(id);
      // A deck that has been replaced and has not noticed yet may say what was so before.
      const isCurrent = deck?.term === deckDisk.memory.term;
      if (reply.kind === "notFound" && isCurrent && invariants.workflows.accepted.has(id)) {
        invariants.fail("I1", `${id} was acknowledged and is not found`, [id]);
      }
    }, this.#wanted());
  }

  #again({ id, state }: RunRecord): void {
    if (!isRunFinal(state) || this.#starts++ >= STARTS_MAX) return;
    const dice = this.#dice;
    const started = (reply: StartReply) => this.#started(reply, `next run after ${id}`);
    if (dice.chance(0.4)) return this.#ask(`rerun ${id}`, (api) => api.rerun(id), started);
    const from = dice.chance(0.3) ? "s0" : null;
    this.#ask(`resume ${id}`, (api) => api.resumeRun({ runId: id, from, params: {} }) as Promise<StartReply>, started);
  }

  /** Somebody stops the task of a step by hand. */
  #stopTask(): void {
    const tasks = [...this.world.truth.sails.values()].filter(({ stepId, endedMs }) =>
      stepId !== undefined && endedMs === null
    );
    if (tasks.length === 0) return;
    const { id } = this.#dice.pick(tasks);
    this.#ask(`stop ${id}`, (api) => api.stop(id, null));
  }

  #read(run: RunRecord | undefined): void {
    const { decks, invariants, story } = this.world;
    const { deck, life } = decks.answering() ?? {};
    if (!deck) return;
    story.tell("user", `reads runs at ${life!.name}`);
    invariants.workflows.read(deck.api.listRuns({}, 100, null)!.items);
    if (run) deck.api.findRun(run.id);
    deck.api.listWorkflows();
  }

  #wanted(): Repeat {
    let wanted = true;
    return { again: () => wanted, answered: () => void (wanted = false) };
  }

  #ask<T extends { readonly kind: string }>(
    what: string,
    question: (api: DeckApi) => Promise<T>,
    judge?: Parameters<typeof ask<T>>[3],
    repeat?: Repeat,
  ): void {
    ask({ world: this.world, dice: this.#dice }, what, question, judge, repeat);
  }
}
