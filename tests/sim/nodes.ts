/** A machine with a sailor: its disk, its Engine, and the lives of its sailor one after the other. */
import type { Dialer } from "../../lib/contracts/link.ts";
import type { Sailor } from "../../lib/sailor/sailor.ts";
import { createSailor } from "../../lib/sailor/sailor.ts";
import { testSigner } from "./keys.ts";
import { Dice } from "./dice.ts";
import { createDisk, openStore } from "./disk.ts";
import type { Engine } from "./engine.ts";
import { openRuntime } from "./engine.ts";
import type { WallClock } from "./life.ts";
import { Life } from "./life.ts";
import type { World } from "./world.ts";

const RESTART_MS_MAX = 30_000;
const STATS = {
  memory: {},
  disk: { all: 1, used: 0, free: 1, freeInodes: 1 },
  cpu: {},
  load: {},
  taskCount: 0,
};

export class Node {
  readonly address: string;
  readonly disk = createDisk();
  life: Life | undefined;
  sailor: Sailor | undefined;
  readonly #dice: Dice;
  #lives = 0;
  #booting = false;

  constructor(
    readonly world: World,
    readonly id: string,
    readonly engine: Engine,
    /** The deck dials it; else it dials the deck. */
    readonly dialled: boolean,
    readonly wall: WallClock,
  ) {
    this.address = `${id}:5556`;
    this.#dice = new Dice(world.seed, `node/${id}`);
  }

  /** The newest term that it has made durable. */
  get term(): number {
    const membership = this.disk.memory.records.get('["membership"]') as { highestTerm: number } | undefined;
    return membership?.highestTerm ?? 0;
  }

  boot(): void {
    const { world } = this;
    const { seed, schedule, weather, story } = world;
    const life = new Life({
      name: `${this.id}.${++this.#lives}`,
      schedule,
      weather,
      story,
      seed,
      wall: this.wall,
      crashPoint: "sailorCrashPoint",
      onError: (message, fields) => this.#onError(message, fields),
    });
    this.life = life;
    this.sailor = undefined;
    life.onDeath(() => this.bootLater());
    world.lives.push(life);
    story.tell(life.name, "starts");
    this.#create(life).then((sailor) => {
      if (!life.alive) return;
      this.sailor = sailor;
      story.tell(life.name, "is up");
      if (!this.dialled) sailor.join(this.#dialer(life), "ws://deck");
    }, (error) => life.die(`at its start: ${error.message}`));
  }

  kill(): void {
    this.life?.die("of a kill");
  }

  bootLater(): void {
    if (this.#booting) return;
    this.#booting = true;
    this.world.schedule.after(Math.ceil(this.#dice.logarithmic(50, RESTART_MS_MAX)), () => {
      this.#booting = false;
      if (!this.life?.alive) this.boot();
    });
  }

  async #create(life: Life): Promise<Sailor> {
    const { world, engine, id } = this;
    return await createSailor({
      clock: life.clock,
      random: life.random,
      logger: life.logger,
      store: openStore(life, this.disk, world.weather),
      runtimes: [openRuntime(life, engine, id, world)],
      prober: {
        probe: () =>
          life.call("probe", () => {
            const healthy = !world.weather.strikes("probeFails");
            return { healthy, output: healthy ? "" : "connection refused" };
          }),
      },
      machine: {
        stats: () => Promise.resolve(STATS),
        capacity: () => Promise.resolve({ cpuCores: 4, memoryBytes: engine.memoryBytes, diskBytes: 0 }),
        hostname: () => id,
      },
      identity: { nodeId: id, name: id, signer: testSigner(id) },
      version: "sim",
      labels: {},
      reserve: { cpuCores: 0, memoryBytes: 0 },
      address: this.dialled ? this.address : null,
      adopt: false,
    });
  }

  #dialer(life: Life): Dialer {
    return {
      dial: (url, options) =>
        this.world.dial(life, url, options.signal, () => {
          const target = this.world.decks.answering();
          if (!target?.deck || !this.world.network.reaches(this.id)) throw new Error("connection refused");
          const { deckLink, sailorLink } = this.world.network.connect({
            deckSide: target.life,
            sailorSide: life,
            nodeId: this.id,
          });
          target.deck.api.acceptSession(deckLink, "10.0.0.1");
          return sailorLink;
        }),
    };
  }

  #onError(message: string, fields: Record<string, unknown>): void {
    if (/a message of the deck could not be carried out|a session failed/.test(message)) {
      // A process that ends may say so of what it had under way.
      if (!/stopping/.test(String(fields.error))) this.world.invariants.fail("defect", `${message}: ${fields.error}`);
    }
  }
}
