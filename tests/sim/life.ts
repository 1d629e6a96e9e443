/**
 * One life of a process. Everything that leaves it goes through here, and each such call is a place where it may die: before
 * the effect, or after it with the answer lost. What a dead one still awaits never comes; what it still does has no effect.
 */
import type { Clock } from "../../lib/contracts/clock.ts";
import type { Logger } from "../../lib/contracts/logger.ts";
import type { Random } from "../../lib/contracts/random.ts";
import { Dice } from "./dice.ts";
import type { Schedule } from "./schedule.ts";
import type { Story } from "./story.ts";
import type { OddFault, Weather } from "./weather.ts";

/** A machine's wall clock, which may jump; all lives on the machine see it. */
export interface WallClock {
  offsetMs: number;
}

export interface LifeOptions {
  readonly name: string;
  readonly schedule: Schedule;
  readonly weather: Weather;
  readonly story: Story;
  readonly seed: number;
  readonly wall: WallClock;
  readonly crashPoint: Extract<OddFault, "deckCrashPoint" | "sailorCrashPoint">;
  /** A line of the log of level error. */
  readonly onError: (message: string, fields: Record<string, unknown>) => void;
}

export interface CallOptions {
  /** What was asked for is out of the process' hands: it may happen though the process dies meanwhile. Told when it does. */
  readonly onGhost?: () => void;
}

const SLOW_MS_MAX = 9_000;

export class Life {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  alive = true;
  crashPoints = 0;
  readonly #o: LifeOptions;
  readonly #latency: Dice;
  readonly #onDeath: (() => void)[] = [];

  constructor(options: LifeOptions) {
    this.#o = options;
    this.name = options.name;
    const { schedule, wall } = options;
    this.#latency = new Dice(options.seed, `latency/${options.name}`);
    this.clock = {
      wallMs: () => wall.offsetMs + schedule.nowMs,
      monoMs: () => schedule.nowMs,
      after: (delayMs, task) => this.alive ? schedule.after(delayMs, () => this.alive && task()) : () => {},
    };
    const chance = new Dice(options.seed, `random/${options.name}`);
    let uuids = 0;
    this.random = { next: () => chance.next(), uuid: () => `${options.name}-u${++uuids}` };
    const say = (message: string, fields: Record<string, unknown> = {}) => {
      if (this.alive) options.story.tell(this.name, `says: ${message} ${JSON.stringify(fields)}`);
    };
    this.logger = {
      debug: () => {},
      info: say,
      warn: say,
      error: (message, fields = {}) => {
        say(message, fields);
        if (this.alive) options.onError(message, fields);
      },
    };
  }

  onDeath(task: () => void): void {
    this.#onDeath.push(task);
  }

  die(how: string): void {
    if (!this.alive) return;
    this.#o.story.tell(this.name, `dies ${how}`);
    this.alive = false;
    for (const task of this.#onDeath) task();
  }

  /** A call that has its effect at once and no answer. False: the caller is dead, so that it must have none. */
  touch(what: string): boolean {
    if (!this.alive) return false;
    this.crashPoints++;
    if (!this.#o.weather.strikes(this.#o.crashPoint)) return true;
    this.die(`at ${what}`);
    return false;
  }

  /** A call with an answer. */
  call<T>(what: string, effect: () => T | Promise<T>, { onGhost }: CallOptions = {}): Promise<T> {
    if (!this.alive) return never();
    const { schedule, weather } = this.#o;
    this.crashPoints += 2;
    const dies = weather.strikes(this.#o.crashPoint);
    const before = dies && weather.dice(this.#o.crashPoint).chance(0.5);
    if (before) {
      this.die(`before ${what}`);
      return never();
    }
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void) => {
        if (!this.alive) return;
        if (dies) return this.die(`after ${what}`);
        if (!weather.strikes("slowCall")) return settle();
        schedule.after(this.#slowMs(), () => this.alive && settle());
      };
      schedule.after(this.#delayMs(), () => {
        if (!this.alive) {
          if (!onGhost || this.#latency.chance(0.5)) return;
          onGhost();
        }
        new Promise<T>((done) => done(effect())).then(
          (value) => {
            // It hung, and was carried out when nobody waited for it any more.
            if (!this.alive) onGhost?.();
            answer(() => resolve(value));
          },
          (error) => answer(() => reject(error)),
        );
      });
    });
  }

  #delayMs(): number {
    if (this.#o.weather.strikes("slowCall")) return this.#slowMs();
    return this.#latency.below(4);
  }

  #slowMs(): number {
    return Math.ceil(this.#o.weather.dice("slowCall").logarithmic(10, SLOW_MS_MAX));
  }
}

export function never<T>(): Promise<T> {
  return new Promise<T>(() => {});
}
