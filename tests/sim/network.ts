/**
 * Connections between decks and sailors. Frames take time; inside a connection they may be lost, doubled, come late or out of
 * turn; a connection may break with one side learning of it much later; a machine may be cut off from all others.
 */
import type { Link } from "../../lib/contracts/link.ts";
import { Dice } from "./dice.ts";
import type { Life } from "./life.ts";
import type { Schedule } from "./schedule.ts";
import type { Weather } from "./weather.ts";

export interface Connection {
  readonly id: number;
  readonly deckSide: Life;
  readonly sailorSide: Life;
  readonly nodeId: string;
}

/** Sees each frame as it is sent by a living process. */
export type OnFrame = (connection: Connection, from: "deck" | "sailor", frame: string) => void;

interface OpenConnection extends Connection {
  readonly deckEnd: End;
  readonly sailorEnd: End;
  /** Nothing gets through any more, though the ends may not know. */
  severed: boolean;
}

/** An end that nobody tells anything finds out after this, as TCP's own timers would have it. */
const LEARNS_WITHIN_MS = 90_000;
const LATE_MS_MAX = 5_000;

export class Network {
  readonly #open = new Map<number, OpenConnection>();
  readonly #cutOff = new Set<string>();
  readonly #dice: Dice;
  #next = 1;

  constructor(
    readonly options: {
      readonly schedule: Schedule;
      readonly weather: Weather;
      readonly seed: number;
      readonly onFrame: OnFrame;
    },
  ) {
    this.#dice = new Dice(options.seed, "network");
  }

  reaches(nodeId: string): boolean {
    return !this.#cutOff.has(nodeId);
  }

  connect(about: Omit<Connection, "id">): { readonly deckLink: Link; readonly sailorLink: Link } {
    const { schedule } = this.options;
    const id = this.#next++;
    const connection: OpenConnection = {
      ...about,
      id,
      deckEnd: new End(),
      sailorEnd: new End(),
      severed: false,
    };
    this.#open.set(id, connection);
    const ends = [connection.deckEnd, connection.sailorEnd];
    const link = (own: End, other: End, life: Life, from: "deck" | "sailor"): Link => {
      life.onDeath(() => {
        own.deaf = true;
        this.#end(connection, own, "");
        this.#tellLater(connection, other, `${from} is gone`);
      });
      return {
        send: (frame) => {
          if (own.closing || !life.touch("link.send")) return;
          if (typeof frame === "string") this.options.onFrame(connection, from, frame);
          this.#carry(connection, other, frame);
        },
        buffered: () => 0,
        onFrame: (handler) => own.setFrameHandler(handler),
        onClose: (handler) => own.setCloseHandler(handler),
        close: (reason) => {
          if (own.closing || !life.alive) return;
          own.closing = true;
          schedule.after(this.#dice.below(5), () => life.alive && this.#end(connection, own, reason));
          this.#tellLater(connection, other, reason);
        },
      };
    };
    const [deckEnd, sailorEnd] = ends;
    return {
      deckLink: link(deckEnd, sailorEnd, about.deckSide, "deck"),
      sailorLink: link(sailorEnd, deckEnd, about.sailorSide, "sailor"),
    };
  }

  /** One that is open and not broken, by chance. */
  pick(): Connection | undefined {
    const list = [...this.#open.values()].filter((c) => !c.severed);
    return list.length === 0 ? undefined : this.#dice.pick(list);
  }

  /** Breaks it; each side learns of it in its own time. */
  sever({ id }: Connection): void {
    const connection = this.#open.get(id);
    if (!connection || connection.severed) return;
    connection.severed = true;
    for (const end of [connection.deckEnd, connection.sailorEnd]) {
      this.options.schedule.after(this.#learnsAfterMs(), () => this.#end(connection, end, "the connection was cut"));
    }
  }

  /** Cuts a machine off; what was open is broken for good. */
  cutOff(nodeId: string): void {
    this.#cutOff.add(nodeId);
    for (const connection of [...this.#open.values()]) if (connection.nodeId === nodeId) this.sever(connection);
  }

  heal(nodeId: string): void {
    this.#cutOff.delete(nodeId);
  }

  #carry(connection: OpenConnection, to: End, frame: string | Uint8Array): void {
    const { schedule, weather } = this.options;
    if (connection.severed || weather.strikes("frameLost")) return;
    let delayMs = this.#dice.below(4);
    if (weather.strikes("frameLate")) delayMs += Math.ceil(weather.dice("frameLate").logarithmic(5, LATE_MS_MAX));
    const arrive = () => {
      if (!connection.severed) to.take(frame);
    };
    const dueMs = schedule.nowMs + delayMs;
    // In turn, unless this one gets ahead of those on their way.
    const atMs = weather.strikes("frameAhead") ? dueMs : Math.max(dueMs, to.lastDueMs);
    to.lastDueMs = Math.max(atMs, to.lastDueMs);
    schedule.after(atMs - schedule.nowMs, arrive);
    if (weather.strikes("frameTwice")) schedule.after(atMs - schedule.nowMs + this.#dice.below(3_000), arrive);
  }

  #tellLater(connection: OpenConnection, other: End, reason: string): void {
    const late = connection.severed || this.#dice.chance(this.options.weather.over ? 0 : 0.1);
    const delayMs = late ? this.#learnsAfterMs() : this.#dice.below(20);
    this.options.schedule.after(delayMs, () => this.#end(connection, other, reason));
  }

  #end(connection: OpenConnection, end: End, reason: string): void {
    end.closing = true;
    end.close(reason);
    if (connection.deckEnd.closed && connection.sailorEnd.closed) this.#open.delete(connection.id);
  }

  #learnsAfterMs(): number {
    return Math.ceil(this.#dice.logarithmic(1, LEARNS_WITHIN_MS));
  }
}

class End {
  /** Its process is dead. */
  deaf = false;
  closing = false;
  closed = false;
  lastDueMs = 0;
  #reason = "";
  readonly #early: (string | Uint8Array)[] = [];
  #onFrame: ((frame: string | Uint8Array) => void) | undefined;
  #onClose: ((reason: string) => void) | undefined;

  take(frame: string | Uint8Array): void {
    if (this.deaf || this.closed) return;
    if (this.#onFrame) this.#onFrame(frame);
    else this.#early.push(frame);
  }

  close(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.#reason = reason;
    if (!this.deaf) this.#onClose?.(reason);
  }

  setFrameHandler(handler: (frame: string | Uint8Array) => void): void {
    this.#onFrame = handler;
    for (const frame of this.#early.splice(0)) handler(frame);
  }

  setCloseHandler(handler: (reason: string) => void): void {
    this.#onClose = handler;
    if (this.closed && !this.deaf) handler(this.#reason);
  }
}
