/** What holds for every answer, whatever was asked. Throws an Error that says what does not. */

/** Longer than any sentence that a person reads. */
const DETAIL_CHARS_MAX = 4_000;
const ANSWER_BYTES_MAX = 4 * 2 ** 20;

export async function judge(method: string, path: string, answer: Response): Promise<void> {
  const { status } = answer;
  const type = answer.headers.get("content-type") ?? "";
  if (type.startsWith("text/event-stream") || type.startsWith("application/x-ndjson")) {
    return void await answer.body?.cancel();
  }
  const text = await answer.text();
  const fail = (what: string): never => {
    throw new Error(`${what} (status ${status}): ${text.slice(0, 1_000)}`);
  };
  if (status >= 500 && status !== 502 && status !== 503) fail("an answer that no request may get");
  if (text.length > ANSWER_BYTES_MAX) fail("an answer of more than 4 MiB");
  if (method === "HEAD") return;
  if (type.includes("json") && status !== 204) JSON.parse(text);
  if (status < 400) return;
  if (path === "/v1" || path.startsWith("/v1/")) {
    if (type !== "application/problem+json") fail("a refusal that is no problem document");
    const problem = JSON.parse(text);
    if (problem.status !== status || typeof problem.code !== "string" || problem.title === "Error") {
      fail("an odd problem");
    }
    sentence(problem.detail, fail);
    for (const error of problem.errors ?? []) sentence(error.detail, fail);
    return;
  }
  // The original says nothing with these two.
  if (text === "" && (status === 404 || status === 405)) return;
  sentence(text.startsWith("{") ? JSON.parse(text).Message : text, fail);
}

function sentence(text: unknown, fail: (what: string) => never): void {
  if (typeof text !== "string" || text.trim().length < 3) fail("a refusal without a sentence");
  const words = text as string;
  if (words.length > DETAIL_CHARS_MAX) fail(`a sentence of ${words.length} characters`);
  if (/\[object |\bundefined\b|\.ts:\d|is not a function|Cannot read prop/.test(words)) {
    fail("a sentence about our own insides");
  }
}
