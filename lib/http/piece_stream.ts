/**
 * A long text that is made while it is read, a piece at a time: nobody holds all of it, and other requests are answered in
 * between. A reader who stops taking it is cut off after a while, as watchers are.
 */
import type { Clock } from "../contracts/clock.ts";
import { watchReader } from "./reader_watch.ts";

/** `pieces` is asked for the next one when the connection has taken the one before. */
export function pieceStream(pieces: Iterator<string>, clock: Clock): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let fail = () => {};
  const reader = watchReader(clock, () => fail());
  return new ReadableStream<Uint8Array>({
    start(controller) {
      fail = () => controller.error(new Error("the reader does not read"));
    },
    async pull(controller) {
      reader.asked();
      // A reader that is as fast as the pieces are made would let nobody else have a turn.
      await new Promise<void>((resolve) => void setImmediate(resolve));
      const piece = pieces.next();
      if (piece.done) return controller.close();
      controller.enqueue(encoder.encode(piece.value));
      reader.gave();
    },
    cancel() {
      reader.asked();
      pieces.return?.();
    },
  }, { highWaterMark: 0 });
}
