import assert from "node:assert/strict";
import type { ExecSession, OutputChunk } from "../../lib/contracts/runtime.ts";
import { RuntimeError } from "../../lib/contracts/runtime.ts";
import type { StreamRequest } from "../../lib/messages/stream.ts";
import { serveStream } from "../../lib/sailor/serve_streams.ts";
import type { Stream } from "../../lib/session/channel.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import type { Script } from "./scripted_runtime.ts";
import { chunk, findIn, scriptedRuntime, ShoutingCommand } from "./scripted_runtime.ts";
import { createEnds, LOGS, pattern } from "./support.ts";

const { settle } = createVirtualClock();

const EXEC: StreamRequest = { kind: "exec", attemptId: "a", command: ["cat"], tty: false, stdin: true };

function serving(script: Script) {
  const find = findIn(scriptedRuntime(script));
  return createEnds((request, stream) => serveStream(find, request, stream)).deck;
}

async function textOf(stream: Stream) {
  const text = { stdout: "", stderr: "", stdin: "" };
  for await (const { stream: kind, data } of stream.incoming) text[kind] += new TextDecoder().decode(data);
  return `${text.stdout}|${text.stderr}`;
}

Deno.test("serveStream() gives the logs with the options that were asked for, then ends", async () => {
  const asked: unknown[] = [];
  const deck = serving({
    async *logs({ follow, tail, sinceMs, timestamps }) {
      await Promise.resolve();
      asked.push({ follow, tail, sinceMs, timestamps });
      yield chunk("one");
      yield chunk("two", "stderr");
    },
  });
  const stream = deck.open({ ...LOGS, follow: false, tail: 5, sinceMs: 17, timestamps: true });
  await stream.started;
  assert.equal(await textOf(stream), "one|two");
  assert.equal(await stream.ended, null);
  assert.deepEqual(asked, [{ follow: false, tail: 5, sinceMs: 17, timestamps: true }]);
});

Deno.test("serveStream() says that a container is there before it has any output", async () => {
  let aborted = false;
  const deck = serving({
    // deno-lint-ignore require-yield
    async *logs(_, signal) {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted = true;
    },
  });
  const stream = deck.open(LOGS);
  await stream.started;
  await settle();
  stream.end(null);
  await settle();
  assert.equal(aborted, true);
});

for (const attemptId of ["unknown", "lost", "ghost"]) {
  Deno.test(`serveStream() answers notFound for an attempt without a container: ${attemptId}`, async () => {
    const deck = serving({});
    for (const request of [LOGS, EXEC]) {
      await assert.rejects(deck.open({ ...request, attemptId }).ended, { code: "notFound" });
    }
  });
}

Deno.test("serveStream() passes the runtime's words on", async () => {
  const deck = serving({ exec: () => Promise.reject(new RuntimeError("failed", 'exec: "nope": not found in $PATH')) });
  await assert.rejects(deck.open(EXEC).ended, { code: "failed", message: 'exec: "nope": not found in $PATH' });
});

Deno.test("serveStream() carries stdin, sizes, both outputs and the exit code of a command", async () => {
  let command: ShoutingCommand | undefined;
  const deck = serving({
    exec: (options) => Promise.resolve(command = new ShoutingCommand(options)),
  });
  const stream = deck.open({ ...EXEC, tty: true, columns: 80, rows: 24 });
  await stream.started;
  stream.resize(132, 50);
  await stream.write("stdin", new TextEncoder().encode("one\ntwo\n"));
  await stream.write("stdin", new Uint8Array(0));
  assert.equal(await textOf(stream), "<132x50>ONE\nTWO\n|bye");
  assert.equal(await stream.ended, 2);
  const { command: argv, tty, stdin, size } = command!.options;
  assert.deepEqual({ argv, tty, stdin, size }, {
    argv: ["cat"],
    tty: true,
    stdin: true,
    size: { columns: 80, rows: 24 },
  });
});

Deno.test("serveStream() closes a command whose reader left", async () => {
  let command: ShoutingCommand | undefined;
  const deck = serving({ exec: (options) => Promise.resolve(command = new ShoutingCommand(options)) });
  const stream = deck.open(EXEC);
  await settle();
  assert.equal(command!.closed, false);
  stream.end(null);
  await settle();
  assert.equal(command!.closed, true);
});

Deno.test("serveStream() closes a command whose reader left while it was being started", async () => {
  const start = Promise.withResolvers<void>();
  let command: ShoutingCommand | undefined;
  const deck = serving({
    async exec(options) {
      await start.promise;
      return command = new ShoutingCommand(options);
    },
  });
  const stream = deck.open(EXEC);
  await stream.started;
  await settle();
  stream.end(null);
  await settle();
  start.resolve();
  await settle();
  assert.equal(command!.closed, true);
});

Deno.test("serveStream() goes on with a command that closed its stdin, and drops what is typed", async () => {
  const go = Promise.withResolvers<void>();
  const deck = serving({
    exec: () =>
      Promise.resolve<ExecSession>({
        output: (async function* (): AsyncIterable<OutputChunk> {
          await go.promise;
          yield chunk("done");
        })(),
        exitCode: Promise.resolve(3),
        write: () => Promise.reject(new Error("broken pipe")),
        closeStdin: () => Promise.resolve(),
        resize: () => Promise.resolve(),
        close: () => {},
      }),
  });
  const stream = deck.open(EXEC);
  // More than the credit: somebody has to take it.
  await stream.write("stdin", pattern(0, 2_000_000));
  go.resolve();
  assert.equal(await textOf(stream), "done|");
  assert.equal(await stream.ended, 3);
});
