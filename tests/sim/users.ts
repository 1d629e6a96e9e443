/**
 * Users of the cluster: they submit, stop, read, drain and resume, and repeat what they had no answer to. What the deck
 * answers is judged at the moment when the answer leaves it.
 */
import type { TaskDocument, TaskSpec } from "../../lib/core/documents/task.ts";
import { taskDocument } from "../../lib/core/documents/task.ts";
import { isSailFinal } from "../../lib/core/sail.ts";
import type { DeckApi } from "../../lib/deck/api.ts";
import type { Repeat } from "./asking.ts";
import { ask } from "./asking.ts";
import type { DeckLife } from "./decks.ts";
import { Dice } from "./dice.ts";
import { NATURES } from "./engine.ts";
import { workflowShare } from "./workflow/users.ts";
import type { World } from "./world.ts";

interface Task {
  readonly id: string;
  readonly spec: TaskSpec;
  /** Asked again until it is answered. */
  readonly wants: Set<"submit" | "stop">;
}

const RESUME_IN_FLIGHT_MS = 120_000;

export class Users {
  readonly #tasks: Task[] = [];
  readonly #drained = new Set<string>();
  readonly #resumedMs = new Map<string, number>();
  readonly #dice: Dice;
  readonly #rush: number;

  constructor(readonly world: World) {
    this.#dice = new Dice(world.seed, "users");
    // Where workflows are most of what is wanted, other tasks are few.
    this.#rush = this.#dice.logarithmic(800, 20_000) * Math.max(1, 3 * workflowShare(world.seed));
  }

  get taskCount(): number {
    return this.#tasks.length;
  }

  start(): void {
    this.#next();
  }

  /** Nothing is wanted any more; asked for until it is so. */
  stopAll(): void {
    for (const task of this.#tasks) {
      task.wants.delete("submit");
      const sail = this.world.truth.sails.get(task.id);
      if (sail?.desired === "run" && !isSailFinal(sail.state)) this.#stop(task);
    }
  }

  /** Nodes take tasks again. */
  resumeAll(): void {
    for (const { id, eligibility } of this.world.truth.masts.values()) {
      if (eligibility !== "eligible") this.#ask(`resume ${id}`, (api) => api.resume(id));
    }
  }

  #next(): void {
    this.world.schedule.after(this.#dice.wait(this.#rush), () => {
      if (this.world.weather.over) return;
      this.#act();
      this.#next();
    });
  }

  #act(): void {
    const dice = this.#dice;
    const { schedule } = this.world;
    const some = () => this.#tasks.length === 0 ? undefined : dice.pick(this.#tasks);
    const what = dice.below(100);
    if (what < 40 && this.#tasks.length < 40) return this.#submit(this.#newTask());
    if (what < 45) return this.#submitBatch();
    if (what < 62) {
      const task = some();
      return task && this.#stop(task);
    }
    if (what < 70) {
      const task = some();
      // Once more, as it was or changed: the same task, or a conflict.
      return task && this.#submit(dice.chance(0.7) ? task : { ...task, spec: this.#spec(task.spec.name) });
    }
    if (what < 88) return this.#read();
    const node = dice.pick(this.world.nodes).id;
    if (what < 89) return this.#ask(`remove ${node}`, (api) => api.removeNode(node));
    if (what < 94 && dice.chance(0.5)) {
      this.#drained.add(node);
      return this.#ask(`drain ${node}`, (api) => api.drain(node), (reply, target) => {
        // Unless a resume came with it, or the deck has been replaced without having noticed.
        const undone = schedule.nowMs - (this.#resumedMs.get(node) ?? -Infinity) < RESUME_IN_FLIGHT_MS;
        if (reply.kind === "done" && !undone && this.#isCurrent(target)) this.world.invariants.drainAcknowledged(node);
      });
    }
    for (const drained of this.#drained) {
      this.#resumedMs.set(drained, schedule.nowMs);
      this.#ask(`resume ${drained}`, (api) => api.resume(drained));
    }
    this.#drained.clear();
  }

  #isCurrent({ deck }: DeckLife): boolean {
    return deck?.term === this.world.deckDisk.memory.term;
  }

  #newTask(): Task {
    const id = `t${this.#tasks.length}`;
    // Names are taken by somebody else now and then.
    const name = this.#dice.chance(0.1) ? `t${this.#dice.below(this.#tasks.length + 1)}` : id;
    const task = { id, spec: this.#spec(name), wants: new Set<"submit" | "stop">() };
    this.#tasks.push(task);
    return task;
  }

  #spec(name: string): TaskSpec {
    const dice = this.#dice;
    const nature = dice.chance(0.5) ? "stays" : dice.pick(NATURES);
    const document: TaskDocument = {
      name,
      image: `${nature}:1`,
      memory: dice.pick(["16MiB", "64MiB", "100MiB", "200MiB"]),
      cpu: dice.pick([0.1, 0.5, 1]),
      restart: dice.pick(["no", "no", "always", "unless-stopped", "on-failure", "on-failure:1"]),
      reschedule: dice.pick(["lost", "lost", true, true, false]),
      grace: dice.pick(["0s", "1s", "10s"]),
      ports: dice.chance(0.3) ? [`${8080 + dice.below(2)}:80`] : [],
    };
    const health = dice.chance(0.1) ? { health: { tcp: 80, interval: "5s", timeout: "1s", retries: 2 } } : {};
    return taskDocument.parse({ ...document, ...(document.ports!.length > 0 ? health : {}) });
  }

  #submit(task: Task): void {
    const { id, spec } = task;
    task.wants.add("submit");
    this.#ask(
      `submit ${id} ${spec.image}`,
      (api) => api.submit({ id, spec, original: null, originalEventId: null }),
      (reply) => {
        if (reply.kind === "accepted") this.world.invariants.submitAcknowledged(id, reply.created);
      },
      { again: () => task.wants.has("submit"), answered: () => task.wants.delete("submit") },
    );
  }

  #submitBatch(): void {
    const tasks = Array.from({ length: this.#dice.between(1, 4) }, () => this.#newTask());
    for (const task of tasks) task.wants.add("submit");
    const key = `key-${tasks[0].id}`;
    const ids = tasks.map(({ id }) => id);
    this.#ask(
      `batch ${ids.join(" ")}`,
      (api) => api.submitBatch({ key, digest: key, ids, specs: tasks.map(({ spec }) => spec) }),
      (reply) => {
        if (reply.kind !== "done") return;
        for (const { id, error } of reply.items) {
          if (error === null) this.world.invariants.submitAcknowledged(id, false);
        }
      },
      {
        again: () => tasks.some((task) => task.wants.has("submit")),
        answered: () => tasks.forEach((task) => task.wants.delete("submit")),
      },
    );
  }

  #stop(task: Task): void {
    task.wants.add("stop");
    const graceMs = this.#dice.chance(0.3) ? 0 : null;
    this.#ask(
      `stop ${task.id}`,
      (api) => api.stop(task.id, graceMs),
      (reply, target) => {
        if (reply.kind === "done") this.world.invariants.stopAcknowledged(task.id);
        // A deck that has been replaced and has not noticed yet may say what was so before.
        if (reply.kind === "notFound" && this.#isCurrent(target) && this.world.invariants.accepted.has(task.id)) {
          this.world.invariants.fail("I1", `${task.id} was acknowledged and is not found`, [task.id]);
        }
      },
      { again: () => task.wants.has("stop"), answered: () => task.wants.delete("stop") },
    );
  }

  #read(): void {
    const { decks, invariants, story } = this.world;
    const { deck, life } = decks.answering() ?? {};
    if (!deck) return;
    story.tell("user", `reads at ${life!.name}`);
    invariants.read(deck.api.originalTasks());
  }

  #ask<T extends { readonly kind: string }>(
    what: string,
    question: (api: DeckApi) => Promise<T>,
    judge?: (reply: T, target: DeckLife) => void,
    repeat?: Repeat,
  ): void {
    ask({ world: this.world, dice: this.#dice }, what, question, judge, repeat);
  }
}
