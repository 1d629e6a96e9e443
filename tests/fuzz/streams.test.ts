/**
 * The stream protocol against a hostile other end, both ways. Whatever comes, nothing is thrown past the link, a link that
 * broke the rules is closed, and nobody waits for a stream of it.
 */
import fc from "fast-check";
import type { Link } from "../../lib/contracts/link.ts";
import type { StreamFrameKind } from "../../lib/messages/stream.ts";
import { encodeFrame, INITIAL_CREDIT_BYTES } from "../../lib/messages/stream.ts";
import { awaitBind } from "../../lib/session/bound_link.ts";
import type { Stream } from "../../lib/session/channel.ts";
import { createStreamMux } from "../../lib/session/stream_mux.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import { FakeLink } from "../http/support.ts";
import { LOGS } from "../session/support.ts";
import { changed, changes, oddText } from "./mutations.ts";
import { fuzz, soon } from "./runs.ts";

const KINDS: readonly StreamFrameKind[] = [
  "bind",
  "open",
  "stdout",
  "stderr",
  "stdin",
  "credit",
  "resize",
  "end",
  "error",
];
const PAYLOADS: readonly unknown[] = [
  { sessionId: "s" },
  LOGS,
  { kind: "exec", attemptId: "a", command: ["sh"], tty: true, stdin: true, columns: 80, rows: 24 },
  { bytes: 1_000 },
  { bytes: INITIAL_CREDIT_BYTES },
  { columns: 80, rows: 24 },
  { exitCode: 0 },
  { code: "notFound", message: "gone" },
];

const encoder = new TextEncoder();
const payload = fc.oneof(
  fc.tuple(fc.constantFrom(...PAYLOADS), changes).map(([value, list]) =>
    encoder.encode(JSON.stringify(changed(value, list)) ?? "")
  ),
  fc.constantFrom(0, 1, 1_000, 64 * 1024, 128 * 1024, 128 * 1024 + 1).map((length) => new Uint8Array(length)),
  fc.uint8Array({ maxLength: 40 }),
);
const frame: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom(...KINDS),
      stream: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 4 }) }, { weight: 1, arbitrary: fc.nat() }),
      payload,
    }).map(encodeFrame),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  { weight: 1, arbitrary: oddText },
);

interface Case {
  readonly sailor: boolean;
  readonly bound: boolean;
  readonly frames: readonly (string | Uint8Array)[];
}

/** Reads its request's stream and answers; stands for a container that echoes. */
async function echo(_request: unknown, stream: Stream): Promise<void> {
  await stream.write("stdout", new Uint8Array(0));
  for await (const { data } of stream.incoming) await stream.write("stdout", data);
  stream.end(0);
}

const hex = (data: string | Uint8Array) =>
  typeof data === "string"
    ? `text ${JSON.stringify(data.slice(0, 100))}`
    : `${data.length} bytes ${[...data.subarray(0, 200)].map((b) => b.toString(16).padStart(2, "0")).join("")}`;

Deno.test("fuzz: hostile stream links, at the deck and at the sailor", async () => {
  await fuzz<Case>({
    name: "streams",
    part: 0.1,
    cases: fc.record({ sailor: fc.boolean(), bound: fc.boolean(), frames: fc.array(frame, { maxLength: 12 }) }),
    print: ({ sailor, bound, frames }) =>
      `at the ${sailor ? "sailor" : "deck"}${bound ? "" : ", before its bind"}:\n${frames.map(hex).join("\n")}`,
    async attempt({ sailor, bound, frames }) {
      const clock = createVirtualClock();
      const link = new FakeLink();
      // Links are records of functions, which others spread.
      const given: Link = {
        send: (one) => link.send(one),
        buffered: () => link.buffered(),
        onFrame: (handler) => link.onFrame(handler),
        onClose: (handler) => link.onClose(handler),
        close: (reason) => link.close(reason),
      };
      const streams: Stream[] = [];
      const serve = (own: Link) => {
        if (sailor) return createStreamMux(own, echo);
        const mux = createStreamMux(own);
        streams.push(mux.open(LOGS), mux.open({ ...LOGS, attemptId: "b" }));
        return mux;
      };
      if (bound) serve(given);
      else awaitBind(given, (_sessionId, boundLink) => void serve(boundLink));
      for (const one of frames) {
        link.receive(one);
        // A closed link delivers nothing more.
        if (link.closedWith !== null) break;
        await clock.settle();
      }
      link.hangUp();
      for (const stream of streams) {
        await soon("the end of a stream whose link is gone", stream.ended.then(() => {}, () => {}), 5_000);
        await soon("reading such a stream", drain(stream), 5_000);
      }
      await clock.advance(10_000);
      if (clock.pending() > 0) throw new Error("timers are left behind");
    },
  });
});

async function drain(stream: Stream): Promise<void> {
  try {
    for await (const { data } of stream.incoming) {
      if (data.length > INITIAL_CREDIT_BYTES) throw new Error("more bytes than were granted");
    }
  } catch (error) {
    if ((error as Error).name !== "StreamError") throw error;
  }
}
