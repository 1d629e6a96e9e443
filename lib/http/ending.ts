/** What lives longer than a request ends with the token that it was opened with. */
import type { Link } from "../contracts/link.ts";
import type { Grant } from "./access.ts";

const WHY = "the token that this was opened with is not valid any more";

export function linkWithGrant(link: Link, grant: Grant): Link {
  if (!grant.onEnd) return link;
  const letGo = grant.onEnd(() => link.close(WHY));
  return {
    send: (frame) => link.send(frame),
    buffered: () => link.buffered(),
    onFrame: (handler) => link.onFrame(handler),
    onClose: (handler) =>
      link.onClose((reason) => {
        letGo();
        handler(reason);
      }),
    close(reason) {
      letGo();
      link.close(reason);
    },
  };
}

/** The connection breaks when the token ends. */
export function responseWithGrant(response: Response, grant: Grant): Response {
  if (!response.body || !grant.onEnd) return response;
  const reader = response.body.getReader();
  let broken: Error | undefined;
  const letGo = grant.onEnd(() => {
    broken = new Error(WHY);
    void reader.cancel(broken).catch(() => {});
  });
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (broken) throw broken;
        if (!done) return controller.enqueue(value);
        letGo();
        controller.close();
      } catch (error) {
        letGo();
        controller.error(error);
      }
    },
    cancel(reason) {
      letGo();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
  return new Response(body, { status: response.status, headers: response.headers });
}
