/**
 * What the attempt of a workflow's step left behind, read from its container when it has ended: the beginning of what it
 * printed, the text behind ORMEN_OUTPUT, an http answer. What cannot be read is told in words beside what can.
 */
import type { Clock } from "../contracts/clock.ts";
import type { Leavings, Runtime } from "../contracts/runtime.ts";
import { RuntimeError } from "../contracts/runtime.ts";
import type { StepResult } from "../core/outgoing.ts";
import { OUTPUT_BYTES_MAX, STDOUT_BYTES_MAX } from "../core/outgoing.ts";
import { cutToUtf8, jsonBytes } from "../messages/bounded.ts";

/** The attempt's end waits for it. */
const LOGS_WITHIN_MS = 30_000;
/** Once what matters is there, so much of the other stream is passed over to find the rest of it. */
const PASSED_BYTES_MAX = 2 ** 20;
/** What the journal's record of an attempt may hold of it. */
export const JOURNALLED_BYTES_MAX = 16 * 1024;

/** Throws RuntimeError "unavailable" while the runtime does not answer, and "missing" when the container is gone. */
export async function readResult(
  { runtime, name, clock }: { readonly runtime: Runtime; readonly name: string; readonly clock: Clock },
): Promise<StepResult> {
  const problems: string[] = [];
  const explain = (error: unknown) => {
    if (error instanceof RuntimeError && (error.code === "unavailable" || error.code === "missing")) throw error;
    problems.push((error as Error).message);
  };
  const left: Leavings = await runtime.leavings(name, OUTPUT_BYTES_MAX).catch((error) => {
    explain(error);
    return { output: null, answer: null };
  });
  const printed = new Printed();
  await printed.read(runtime, name, clock).catch(explain);
  const [stdout, stderr] = [printed.stdout.text(), printed.stderr.text()];
  return {
    stdout,
    stderr,
    truncated: printed.stdout.overflowed,
    output: left.output === "" ? null : left.output,
    answer: left.answer,
    problem: problems.length > 0 ? problems.join("; ") : null,
  };
}

/** When it is given up. */
export function unreadable(reason: string): StepResult {
  return { stdout: "", stderr: "", truncated: false, output: null, answer: null, problem: reason };
}

/** Larger ones are read again from the container when they are needed after a restart. */
export function isJournalled(result: StepResult): boolean {
  return jsonBytes(result) <= JOURNALLED_BYTES_MAX;
}

class Printed {
  readonly stdout = new Beginning();
  readonly stderr = new Beginning();

  async read(runtime: Runtime, name: string, clock: Clock): Promise<void> {
    const enough = new AbortController();
    let late = false;
    const cancel = clock.after(LOGS_WITHIN_MS, () => {
      late = true;
      enough.abort();
    });
    let passed = 0;
    try {
      const options = { follow: false, tail: null, sinceMs: null, timestamps: false };
      for await (const { stream, data } of runtime.logs(name, options, enough.signal)) {
        this[stream].take(data);
        if (!this.stdout.overflowed) continue;
        passed += data.length;
        if (this.stderr.overflowed || passed > PASSED_BYTES_MAX) break;
      }
    } finally {
      cancel();
      enough.abort();
    }
    if (late) throw new Error(`what it printed could not be read within ${LOGS_WITHIN_MS / 1000} s`);
  }
}

/** The first bytes of a stream, and whether there were more. */
class Beginning {
  #parts: Uint8Array[] = [];
  #bytes = 0;
  overflowed = false;

  take(data: Uint8Array): void {
    const room = STDOUT_BYTES_MAX - this.#bytes;
    if (data.length > room) this.overflowed = true;
    if (room <= 0 || data.length === 0) return;
    const kept = data.slice(0, room);
    this.#parts.push(kept);
    this.#bytes += kept.length;
  }

  /** Bytes that are no text are replaced, which takes more room than they did. */
  text(): string {
    const decoder = new TextDecoder();
    let text = "";
    for (const part of this.#parts) text += decoder.decode(part, { stream: true });
    // A character that the limit has cut in two is left out; one that the program itself left so is replaced.
    if (!this.overflowed) text += decoder.decode();
    const cut = cutToUtf8(text, STDOUT_BYTES_MAX);
    if (cut.length < text.length) this.overflowed = true;
    return cut;
  }
}
