import assert from "node:assert/strict";
import { processLogs } from "../../lib/adapters/process_logs.ts";
import type { LogOptions } from "../../lib/contracts/runtime.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";

const ALL: LogOptions = { follow: false, tail: null, sinceMs: null, timestamps: false };
const FILES = { "stdout.2": "1\n2\n", "stdout.1": "3\n4\n", stdout: "5\n6\n", stderr: "e\n" };

const CASES: readonly { readonly name: string; readonly request: Partial<LogOptions>; readonly says: string }[] = [
  { name: "all of it, the oldest first", request: {}, says: "1\n2\n3\n4\n5\n6\n" },
  { name: "the last line", request: { tail: 1 }, says: "6\n" },
  { name: "a file's last lines, exactly", request: { tail: 2 }, says: "5\n6\n" },
  { name: "lines of two files", request: { tail: 3 }, says: "4\n5\n6\n" },
  { name: "lines of all files", request: { tail: 5 }, says: "2\n3\n4\n5\n6\n" },
  { name: "more lines than there are", request: { tail: 99 }, says: "1\n2\n3\n4\n5\n6\n" },
  { name: "none", request: { tail: 0 }, says: "" },
  { name: "what was written after a time", request: { sinceMs: 2_500 }, says: "5\n6\n" },
  { name: "nothing when all is older", request: { sinceMs: 9_000 }, says: "" },
];

for (const { name, request, says } of CASES) {
  Deno.test(`processLogs() ${name}`, () =>
    withFiles(FILES, async (dir) => {
      assert.equal((await read(dir, request)).stdout, says);
    }));
}

Deno.test("processLogs() tells the streams apart", () =>
  withFiles(FILES, async (dir) => assert.equal((await read(dir, {})).stderr, "e\n")));

Deno.test("processLogs() finds last lines beyond one block", () => {
  const long = "x".repeat(100_000);
  return withFiles({ stdout: `first\n${long}\nlast` }, async (dir) => {
    assert.equal((await read(dir, { tail: 2 })).stdout, `${long}\nlast`);
  });
});

Deno.test("processLogs() that follow go on in the new file when the old one was moved away", () =>
  withFiles({ stdout: "old line\n" }, async (dir) => {
    const clock = createVirtualClock();
    let running = true;
    let said = "";
    const reading = (async () => {
      const request = { ...ALL, follow: true };
      const isRunning = () => Promise.resolve(running);
      for await (const { data } of processLogs({ dir, request, signal: never(), clock, isRunning })) {
        said += new TextDecoder().decode(data);
      }
    })();
    await until(clock, () => said === "old line\n");
    await Deno.writeTextFile(`${dir}/stdout`, "new\n");
    await until(clock, () => said === "old line\nnew\n");
    running = false;
    await until(clock, () => false, reading);
    assert.equal(said, "old line\nnew\n");
    assert.equal(clock.pending(), 0);
  }));

const never = () => new AbortController().signal;

/** Files are read in real time, pauses pass in the clock's. */
async function until(
  clock: ReturnType<typeof createVirtualClock>,
  isSo: () => boolean,
  over?: Promise<void>,
): Promise<void> {
  let ended = false;
  over?.finally(() => ended = true);
  for (let step = 0; step < 10_000; step++) {
    if (isSo() || ended) return;
    await clock.advance(100);
  }
  throw new Error("it never became so");
}

async function read(dir: string, change: Partial<LogOptions>): Promise<{ stdout: string; stderr: string }> {
  const said = { stdout: "", stderr: "" };
  const isRunning = () => Promise.resolve(false);
  const request = { ...ALL, ...change };
  for await (
    const { stream, data } of processLogs({ dir, request, signal: never(), clock: createVirtualClock(), isRunning })
  ) {
    said[stream] += new TextDecoder().decode(data);
  }
  return said;
}

/** In a directory of its own; the oldest file was written last at second 1, the next at second 2, and so on. */
async function withFiles(files: Record<string, string>, fn: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "ormen-logs-" });
  try {
    let second = 0;
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(`${dir}/${name}`, content);
      await Deno.utime(`${dir}/${name}`, ++second, second);
    }
    await fn(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
