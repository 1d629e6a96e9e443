/**
 * A service's addresses as a server-sent stream: the whole list at once, and after each change. A watcher that is slow
 * gets the newest list when it reads next, and none of those between; one that reads nothing for a minute is cut off. When the
 * service is gone the stream says so (`event: gone`) and ends.
 */
import type { Clock } from "../contracts/clock.ts";
import type { ServiceApi } from "../deck/service_api.ts";
import type { AddressList } from "../messages/service_api.ts";
import { KEEP_ALIVE_MS } from "./event_stream.ts";
import { watchReader } from "./reader_watch.ts";

export function addressStream(deck: ServiceApi, clock: Clock, service: string): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  /** Undefined: nothing new. */
  let due: AddressList | "gone" | "alive" | undefined = deck.serviceAddresses(service) ?? "gone";
  let wake = () => {};
  let isOver = false;
  let cancelKeepAlive = () => {};
  const tell = (what: AddressList | "gone" | "alive") => {
    if (what !== "alive" || due === undefined) due = what;
    wake();
  };
  const watching = deck.watchAddresses(service, (list) => tell(list ?? "gone"));
  const keepAlive = () => {
    cancelKeepAlive = clock.after(KEEP_ALIVE_MS, () => {
      tell("alive");
      keepAlive();
    });
  };
  const close = () => {
    isOver = true;
    watching.close();
    cancelKeepAlive();
    wake();
  };
  let fail = () => {};
  const reader = watchReader(clock, () => {
    close();
    fail();
  });
  keepAlive();
  return new ReadableStream<Uint8Array>({
    start(controller) {
      fail = () => {
        reader.asked();
        controller.error(new Error("the watcher does not read"));
      };
    },
    async pull(controller) {
      reader.asked();
      while (due === undefined && !isOver) await new Promise<void>((resolve) => wake = resolve);
      if (isOver) return;
      const what = due!;
      due = undefined;
      controller.enqueue(encoder.encode(textOf(what)));
      reader.gave();
      if (what !== "gone") return;
      reader.asked();
      close();
      controller.close();
    },
    cancel() {
      reader.asked();
      close();
    },
  }, { highWaterMark: 0 });
}

function textOf(what: AddressList | "gone" | "alive"): string {
  if (what === "alive") return ": keep-alive\n\n";
  if (what === "gone") return "event: gone\ndata: {}\n\n";
  return `event: addresses\ndata: ${JSON.stringify(what)}\n\n`;
}
