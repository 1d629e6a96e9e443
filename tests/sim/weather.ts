/**
 * Which faults a seed has and how often: some seeds are calm, some have one kind of fault, some all.
 * `without` takes kinds away, so that a story can be told with the faults that it needs and no others.
 */
import { Dice } from "./dice.ts";

/** Those that come at a time of their own: the mean pause between two of them, milliseconds of virtual time. */
const TIMED = {
  deckDies: [8_000, 120_000],
  sailorDies: [4_000, 120_000],
  deckTwin: [20_000, 200_000],
  linkCut: [3_000, 60_000],
  partition: [8_000, 120_000],
  engineAway: [10_000, 120_000],
  engineRestart: [15_000, 150_000],
  containerEnds: [3_000, 40_000],
  storeOutage: [10_000, 120_000],
  clockJump: [5_000, 100_000],
  release: [2_000, 20_000],
} as const;

/** Those that may befall each call, message or write: the odds. */
const ODDS = {
  deckCrashPoint: [0.0003, 0.02],
  sailorCrashPoint: [0.0003, 0.02],
  slowCall: [0.002, 0.2],
  frameLost: [0.0005, 0.05],
  frameTwice: [0.0005, 0.05],
  frameLate: [0.005, 0.2],
  frameAhead: [0.0005, 0.05],
  commitRefused: [0.002, 0.1],
  commitPartial: [0.002, 0.1],
  commitAnswerLost: [0.002, 0.1],
  commitLost: [0.002, 0.1],
  alarmTwice: [0.01, 0.3],
  createFails: [0.005, 0.1],
  createHangs: [0.005, 0.15],
  startFails: [0.005, 0.1],
  probeFails: [0.01, 0.4],
} as const;

export type TimedFault = keyof typeof TIMED;
export type OddFault = keyof typeof ODDS;
export type Fault = TimedFault | OddFault;

export const TIMED_FAULTS = Object.keys(TIMED) as TimedFault[];
export const FAULTS: readonly Fault[] = [...TIMED_FAULTS, ...Object.keys(ODDS) as OddFault[]];

export class Weather {
  /** Faults have stopped: from here on everything must come right. */
  over = false;
  readonly happened = new Map<Fault, number>();
  readonly #means = new Map<Fault, number>();
  readonly #dice = new Map<Fault, Dice>();

  constructor(seed: number, without: ReadonlySet<string> = new Set()) {
    const draw = new Dice(seed, "weather");
    const share = draw.pick([0, 0.15, 0.4, 0.4, 0.7, 1]);
    for (
      const [kind, [least, most]] of [...Object.entries(TIMED), ...Object.entries(ODDS)] as [Fault, readonly number[]][]
    ) {
      this.#dice.set(kind, new Dice(seed, `fault/${kind}`));
      const there = draw.chance(share);
      const rate = draw.logarithmic(least, most);
      if (there && !without.has(kind)) this.#means.set(kind, rate);
    }
    // What hangs must be let go of now and then, whatever the weather.
    if (!this.#means.has("release")) this.#means.set("release", 15_000);
  }

  kinds(): Fault[] {
    return [...this.#means.keys()];
  }

  dice(kind: Fault): Dice {
    return this.#dice.get(kind)!;
  }

  /** Mean pause of a timed fault; undefined: it never happens. */
  meanMs(kind: TimedFault): number | undefined {
    return this.#means.get(kind);
  }

  /** Whether it befalls this one. */
  strikes(kind: OddFault): boolean {
    const odds = this.#means.get(kind);
    if (odds === undefined || this.over || !this.#dice.get(kind)!.chance(odds)) return false;
    this.count(kind);
    return true;
  }

  count(kind: Fault): void {
    this.happened.set(kind, (this.happened.get(kind) ?? 0) + 1);
  }
}
