/** The end of a container's output, for people who ask why it failed. */
import type { Logger } from "../contracts/logger.ts";
import type { Runtime } from "../contracts/runtime.ts";

const TAIL_BYTES_MAX = 8 * 1024;
const TAIL_LINES_MAX = 200;
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f]/g;

/** Null when it cannot be had: the attempt's end is told all the same. */
export async function outputTail(runtime: Runtime, name: string, logger: Logger): Promise<string | null> {
  try {
    const decoder = new TextDecoder();
    let text = "";
    const options = { follow: false, tail: TAIL_LINES_MAX, sinceMs: null, timestamps: false };
    for await (const { data } of runtime.logs(name, options, new AbortController().signal)) {
      text += decoder.decode(data, { stream: true });
      if (text.length > 2 * TAIL_BYTES_MAX) text = text.slice(-TAIL_BYTES_MAX);
    }
    // Control characters take six bytes each in JSON, and the journal's records are limited.
    return cutToBytes(text.replace(CONTROL, "\ufffd"), TAIL_BYTES_MAX);
  } catch (error) {
    logger.warn("the output of a failed attempt could not be read", { name, error: (error as Error).message });
    return null;
  }
}

function cutToBytes(text: string, bytesMax: number): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= bytesMax) return text;
  let from = bytes.length - bytesMax;
  while ((bytes[from] & 0xc0) === 0x80) from++;
  return new TextDecoder().decode(bytes.subarray(from));
}
