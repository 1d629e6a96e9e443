/** Users of services: they apply good and bad revisions, scale, go back, restart, steer rollouts and forget. Some seeds have none. */
import { serviceDocument } from "../../../lib/core/documents/service.ts";
import type { ServiceDocument, ServiceSpec } from "../../../lib/core/documents/service.ts";
import { isRolloutFinal } from "../../../lib/core/service/records.ts";
import type { DeckApi } from "../../../lib/deck/api.ts";
import { ask } from "../asking.ts";
import type { Repeat } from "../asking.ts";
import { Dice } from "../dice.ts";
import type { World } from "../world.ts";

const NAMES = ["s0", "s1"];
const APPLIES_MAX = 12;
/** Those of a good revision go on; the others never stay. */
const GOOD = ["stays", "stays", "stays", "slowStop"] as const;
const BAD = ["crashes", "fails", "ends", "cannotStart"] as const;

/** How much of what a seed's users do concerns services; 0: nothing. */
export function serviceShare(seed: number): number {
  return new Dice(seed, "services").pick([0, 0, 0, 0.5, 1.5]);
}

export class ServiceUsers {
  readonly #dice: Dice;
  readonly #share: number;
  readonly #rush: number;
  #applies = 0;

  constructor(readonly world: World) {
    this.#dice = new Dice(world.seed, "serviceUsers");
    this.#share = serviceShare(world.seed);
    this.#rush = this.#dice.logarithmic(2_000, 20_000);
  }

  start(): void {
    if (this.#share > 0) this.#next();
  }

  /** Nobody is asked for any more: what is paused goes on, or ends by its deadline. */
  resumeAll(): void {
    for (const { service, state } of this.world.truth.services.rollouts.values()) {
      if (state === "paused") {
        this.#ask(`resume the rollout of ${service}`, (api) => api.changeRollout(service, "resume"));
      }
    }
  }

  removeAll(): void {
    for (const { name, removing } of this.world.truth.services.services.values()) {
      if (!removing) this.#ask(`remove service ${name}`, (api) => api.removeService(name));
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
    const name = dice.pick(NAMES);
    const what = dice.below(100);
    if (what < 45) return this.#apply(name);
    if (what < 60) {
      const replicas = dice.below(5);
      return this.#ask(`scale ${name} to ${replicas}`, (api) => api.scaleService(name, replicas), this.#wanted());
    }
    if (what < 68) return this.#ask(`roll ${name} back`, (api) => api.rollbackService(name, null));
    if (what < 74) return this.#ask(`restart ${name}`, (api) => api.restartService(name));
    if (what < 92) {
      const active = [...this.world.truth.services.rollouts.values()].find((each) =>
        each.service === name && !isRolloutFinal(each.state)
      );
      const verb = active?.state === "paused"
        ? "resume"
        : active?.state === "waiting"
        ? dice.pick(["promote", "promote", "abort"] as const)
        : dice.pick(["pause", "resume", "abort"] as const);
      return this.#ask(`${verb} the rollout of ${name}`, (api) => api.changeRollout(name, verb));
    }
    if (what < 95) return this.#ask(`remove service ${name}`, (api) => api.removeService(name), this.#wanted());
    this.#read(name);
  }

  #apply(name: string): void {
    if (this.#applies++ >= APPLIES_MAX) return;
    const spec = this.#spec(name);
    this.#ask(`apply service ${name} ${spec.task.image}`, (api) => api.applyService(spec), this.#wanted(), (reply) => {
      if (reply.kind === "applied" && !this.world.truth.services.services.has(name)) {
        this.world.invariants.fail("I3", `the apply of ${name} was acknowledged and is not durable`, [name]);
      }
    });
  }

  #spec(name: string): ServiceSpec {
    const dice = this.#dice;
    const strategy = dice.pick(["rolling", "rolling", "rolling", "canary", "blueGreen", "recreate"] as const);
    const order = dice.chance(0.4) ? "stop-first" : "start-first";
    const healthySeconds = dice.between(8, 40);
    const fixedPort = dice.chance(0.15) && strategy !== "blueGreen";
    const checked = dice.chance(0.4);
    const task: ServiceDocument["task"] = {
      image: `${dice.chance(0.75) ? dice.pick(GOOD) : dice.pick(BAD)}:1`,
      memory: dice.pick(["16MiB", "64MiB", "100MiB"]),
      cpu: 0.1,
      restart: dice.pick(["always", "always", "no", "on-failure:1"]),
      grace: dice.pick(["0s", "1s", "10s"]),
      ports: [fixedPort ? "9090:80" : "80"],
      env: { VERSION: `${dice.below(6)}` },
      ...(checked ? { health: { tcp: 80, interval: "2s", timeout: "1s", retries: 2 } } : {}),
    };
    const update = {
      strategy,
      ...(fixedPort ? {} : { order }),
      ...(order === "stop-first" && !fixedPort ? { maxUnavailable: dice.pick([1, 2, "50%"]) } : {}),
      maxParallel: dice.pick([1, 1, 2, "50%"]),
      minHealthyTime: dice.pick(["0s", "1s", "4s"]),
      healthyDeadline: `${healthySeconds}s`,
      progressDeadline: `${healthySeconds + dice.between(5, 60)}s`,
      promoteDeadline: `${dice.between(20, 200)}s`,
      autoPromote: dice.chance(0.5),
      autoRevert: dice.chance(0.7),
      shutdownDelay: dice.pick(["0s", "1s", "5s"]),
      monitor: dice.pick(["0s", "2s", "10s"]),
    };
    const isGlobal = name === "s1" && this.world.seed % 3 === 0;
    return serviceDocument.parse({
      name,
      ...(isGlobal ? { mode: "global" } : { replicas: dice.below(5) }),
      task,
      update,
    });
  }

  #read(name: string): void {
    const { deck } = this.world.decks.answering() ?? {};
    if (!deck) return;
    deck.api.listServices();
    deck.api.findService(name);
    deck.api.serviceHistory(name);
    const { addresses } = deck.api.serviceAddresses(name) ?? { addresses: [] };
    for (const { taskId } of addresses) {
      const sail = this.world.truth.sails.get(taskId);
      if (sail?.endedMs === null) continue;
      // A deck that has been replaced and has not noticed yet may say what was so before.
      if (deck.term !== this.world.deckDisk.memory.term) return;
      this.world.invariants.fail("I3", `${taskId} has ended and is on the address list of ${name}`, [taskId]);
    }
  }

  #wanted(): Repeat {
    let wanted = true;
    return { again: () => wanted, answered: () => void (wanted = false) };
  }

  #ask<T extends { readonly kind: string }>(
    what: string,
    question: (api: DeckApi) => Promise<T>,
    repeat?: Repeat,
    judge?: (reply: T) => void,
  ): void {
    ask({ world: this.world, dice: this.#dice }, what, question, judge, repeat);
  }
}
