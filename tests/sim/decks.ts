/** The lives of a deck on one data directory, one after the other; now and then two at once, of which the older is fenced. */
import { testCron } from "./cron.ts";
import type { Dialer } from "../../lib/contracts/link.ts";
import type { Deck } from "../../lib/deck/deck.ts";
import { createDeck } from "../../lib/deck/deck.ts";
import { testVerify } from "./keys.ts";
import { Dice } from "./dice.ts";
import type { Disk } from "./disk.ts";
import { openStore } from "./disk.ts";
import { Life } from "./life.ts";
import type { World } from "./world.ts";

export interface DeckLife {
  readonly life: Life;
  /** Undefined until it has started. */
  deck: Deck | undefined;
}

const RESTART_MS_MAX = 20_000;
const TWIN_LIVES_MS_MAX = 40_000;

export class Decks {
  readonly lives: DeckLife[] = [];
  readonly wall = { offsetMs: 1_700_000_000_000 };
  readonly #dice: Dice;
  #booting = false;

  constructor(readonly world: World, readonly disk: Disk) {
    this.#dice = new Dice(world.seed, "decks");
  }

  /** One that answers; while there are two, either. */
  answering(): DeckLife | undefined {
    const there = this.lives.filter(({ life, deck }) => life.alive && deck);
    return there.length < 2 ? there[0] : this.#dice.pick(there);
  }

  newest(): DeckLife | undefined {
    return this.lives.findLast(({ life }) => life.alive);
  }

  boot(): void {
    const { world } = this;
    const { seed, schedule, weather, story } = world;
    const life = new Life({
      name: `deck${this.lives.length + 1}`,
      schedule,
      weather,
      story,
      seed,
      wall: this.wall,
      crashPoint: "deckCrashPoint",
      onError: (message, fields) => this.#onError(message, fields),
    });
    const own: DeckLife = { life, deck: undefined };
    this.lives.push(own);
    life.onDeath(() => this.#bootLater());
    world.lives.push(life);
    story.tell(life.name, "starts");
    this.#create(life).then((deck) => {
      if (!life.alive) return;
      own.deck = deck;
      story.tell(life.name, `is up, term ${deck.term}`);
    }, (error) => life.die(`at its start: ${error.message}`));
  }

  kill(): void {
    this.newest()?.life.die("of a kill");
  }

  /** A second one starts on the same data while the first lives on for a while. */
  bootTwin(): void {
    const old = this.newest();
    if (!old?.deck) return;
    this.boot();
    this.world.schedule.after(this.#dice.between(1, TWIN_LIVES_MS_MAX), () => old.life.die("as the older of two"));
  }

  /** Only the newest goes on, and there is one. */
  settle(): void {
    const newest = this.newest();
    for (const { life } of this.lives) if (life !== newest?.life) life.die("as faults end");
    if (!newest) this.#bootLater();
  }

  #bootLater(): void {
    if (this.#booting) return;
    this.#booting = true;
    const delayMs = Math.ceil(this.#dice.logarithmic(50, RESTART_MS_MAX));
    this.world.schedule.after(delayMs, () => {
      this.#booting = false;
      if (!this.newest()) this.boot();
    });
  }

  async #create(life: Life): Promise<Deck> {
    const { world } = this;
    return await createDeck({
      clock: life.clock,
      random: life.random,
      logger: life.logger,
      store: openStore(life, this.disk, world.weather),
      dialer: this.#dialer(life),
      verify: testVerify,
      cron: testCron,
      workers: world.nodes.filter((node) => node.dialled).map((node) => ({ address: node.address })),
      settings: world.settings,
      commit: "sim",
      onFenced: () => life.die("because it is fenced"),
    });
  }

  #dialer(life: Life): Dialer {
    return {
      dial: (url, options) =>
        this.world.dial(life, url, options.signal, (nodeAddress) => {
          const node = this.world.nodes.find(({ address }) => address === nodeAddress);
          const sailor = node?.life?.alive ? node.sailor : undefined;
          if (!node || !sailor || !this.world.network.reaches(node.id)) throw new Error("connection refused");
          const { deckLink, sailorLink } = this.world.network.connect({
            deckSide: life,
            sailorSide: node.life!,
            nodeId: node.id,
          });
          sailor.acceptSession(sailorLink);
          return deckLink;
        }),
    };
  }

  #onError(message: string, fields: Record<string, unknown>): void {
    if (message === "an input could not be decided") {
      this.world.invariants.fail("defect", `${message}: ${fields.kind}: ${fields.error}`);
    }
  }
}
