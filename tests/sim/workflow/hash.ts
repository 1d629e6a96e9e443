/**
 * The deck takes digests of what users send, on a thread of the real machine, whose answer would come at a time of its own.
 * Here it comes at once: the same digest, in virtual time.
 */
import { createHash } from "node:crypto";

Object.defineProperty(crypto.subtle, "digest", {
  configurable: true,
  value: (algorithm: string, data: Uint8Array) => {
    const digest = createHash(algorithm.replace("-", "").toLowerCase()).update(data).digest();
    return Promise.resolve(new Uint8Array(digest).buffer);
  },
});
