/**
 * How long a replica has been healthy without a break, on this machine's monotonic clock. Owns the count alone: what is
 * seen of process and health comes from its supervisor, what follows is the deck's.
 */
import type { Clock } from "../contracts/clock.ts";
import type { HealthState } from "../core/attempt.ts";

export class Settling {
  /** Undefined: this sailor found it running, and has seen neither enough of it nor a break. */
  #settled: boolean | undefined;
  #process: number | null = null;
  #health: HealthState;
  #counting = false;
  #closed = false;
  #cancel: () => void = () => {};

  constructor(
    private readonly o: {
      readonly minHealthyMs: number;
      /** It ran before this sailor did. */
      readonly adopted: boolean;
      /** `none`: it has no check, and is healthy as long as it is up. */
      readonly health: HealthState;
      readonly clock: Clock;
      readonly onSettled: () => void;
    },
  ) {
    this.#settled = o.adopted ? undefined : false;
    this.#health = o.health;
  }

  get settled(): boolean | undefined {
    return this.#settled;
  }

  /** `startedMs` tells processes apart; null: none is up. */
  process(startedMs: number | null): void {
    const isAnother = this.#process !== null && startedMs !== this.#process;
    if (startedMs === null || isAnother) this.#break();
    this.#process = startedMs;
    this.#look();
  }

  health(health: HealthState): void {
    this.#health = health;
    if (health === "unhealthy") this.#break();
    this.#look();
  }

  /** It is asked to stop, or has ended: nothing is counted any more. */
  close(): void {
    this.#cancel();
    this.#closed = true;
  }

  #look(): void {
    if (this.#closed) return;
    const isUp = this.#process !== null && (this.#health === "healthy" || this.#health === "none");
    if (!isUp) {
      // Its check begins anew: what it was healthy for before does not count.
      if (this.#counting) this.#break();
      return;
    }
    if (this.#counting) return;
    this.#counting = true;
    if (this.o.minHealthyMs === 0) this.#settled = true;
    else {
      this.#cancel = this.o.clock.after(this.o.minHealthyMs, () => {
        this.#settled = true;
        this.o.onSettled();
      });
    }
  }

  #break(): void {
    this.#cancel();
    this.#counting = false;
    this.#settled = false;
  }
}
