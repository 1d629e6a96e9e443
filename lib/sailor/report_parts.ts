/** Results of steps may be large and wait long for their acknowledgement: how many go into one frame. */
import type { AttemptReport } from "../messages/session.ts";

/** Characters; even if JSON writes each with six bytes it stays below what a frame may hold. */
const RESULT_CHARS_MAX = 8 * 2 ** 20;

/** All of them, in as many messages as it takes. */
export function partsOf(reports: readonly AttemptReport[]): AttemptReport[][] {
  const parts: AttemptReport[][] = [];
  let chars = Infinity;
  for (const report of reports) {
    chars += resultChars(report);
    if (chars > RESULT_CHARS_MAX) {
      parts.push([]);
      chars = resultChars(report);
    }
    parts.at(-1)!.push(report);
  }
  return parts;
}

/** One message's worth: all without a result, and the first ones with one. */
export function firstPartOf(reports: readonly AttemptReport[]): AttemptReport[] {
  let chars = 0;
  return reports.filter((report) => report.result === undefined || (chars += resultChars(report)) <= RESULT_CHARS_MAX);
}

function resultChars({ result }: AttemptReport): number {
  if (!result) return 0;
  const { stdout, stderr, output, answer } = result;
  return stdout.length + stderr.length + (output?.length ?? 0) + JSON.stringify(answer).length;
}
