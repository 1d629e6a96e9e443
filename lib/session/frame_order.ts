/**
 * Numbers the frames of one session, each direction for itself, so that neither side goes on after one that is missing. TCP
 * keeps order within a connection; what stands between two connections (a proxy, a reconnecting tunnel) need not.
 * A side that sends no numbers is an older version and is taken at its word.
 */

export type FrameTurn = "next" | "again" | "gap";

export interface FrameOrder {
  /** The message as a frame, with the next number. */
  write(message: object): string;
  /** What the number of a frame that came says; `again`: it was there already and is to be ignored. */
  take(number: number | null): FrameTurn;
}

export function createFrameOrder(): FrameOrder {
  let sent = 0;
  let taken = 0;
  return {
    write: (message) => JSON.stringify({ ...message, n: ++sent }),
    take(number) {
      if (number === null) return "next";
      if (number <= taken) return "again";
      if (number > taken + 1) return "gap";
      taken = number;
      return "next";
    },
  };
}
