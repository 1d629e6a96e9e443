/** The end of a container's output, for people who ask why it failed. */
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Runtime } from "../contracts/runtime.ts";

/** The attempt's end waits for it. */
const WITHIN_MS = 10_000;
const TAIL_BYTES_MAX = 8 * 1024;
const TAIL_LINES_MAX = 200;
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f]/g;

/** Null when it cannot be had, or not in time: the attempt's end is told all the same. */
export async function outputTail(
  { runtime, name, logger, clock }: {
    readonly runtime: Runtime;
    readonly name: string;
    readonly logger: Logger;
    readonly clock: Clock;
  },
): Promise<string | null> {
  const late = new AbortController();
  const cancel = clock.after(WITHIN_MS, () => late.abort());
  try {
    const decoder = new TextDecoder();
    let text = "";
    const options = { follow: false, tail: TAIL_LINES_MAX, sinceMs: null, timestamps: false };
    for await (const { data } of runtime.logs(name, options, late.signal)) {
      text += decoder.decode(data, { stream: true });
      if (text.length > 2 * TAIL_BYTES_MAX) text = text.slice(-TAIL_BYTES_MAX);
    }
    if (late.signal.aborted) throw new Error(`the runtime has not told it within ${WITHIN_MS / 1000} s`);
    // Control characters take six bytes each in JSON, and the journal's records are limited.
    return cutToBytes(text.replace(CONTROL, "\ufffd"), TAIL_BYTES_MAX);
  } catch (error) {
    logger.warn("the output of a failed attempt could not be read", { name, error: (error as Error).message });
    return null;
  } finally {
    cancel();
  }
}

function cutToBytes(text: string, bytesMax: number): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= bytesMax) return text;
  let from = bytes.length - bytesMax;
  while ((bytes[from] & 0xc0) === 0x80) from++;
  return new TextDecoder().decode(bytes.subarray(from));
}
