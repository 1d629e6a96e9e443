import assert from "node:assert/strict";
import { secondsOf } from "../../lib/adapters/docker_logs.ts";
import { createDockerRuntime } from "../../lib/adapters/docker_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import type { LogOptions, OutputChunk } from "../../lib/contracts/runtime.ts";
import { eventually } from "../fixtures/eventually.ts";
import type { Exchange } from "../fixtures/scripted_engine.ts";
import { scriptedEngine } from "../fixtures/scripted_engine.ts";

const FOLLOW: LogOptions = { follow: true, tail: null, sinceMs: null, timestamps: false };
const FROM_S = 1_780_000_000;

type Connection = (exchange: Exchange) => Promise<void>;

interface Script {
  /** What each connection to the output is answered with, in turn. */
  readonly connections: readonly Connection[];
  /** Whether it runs when it is looked at, in turn; the last one stays. */
  readonly running: readonly boolean[];
}

/** Reads all there is, with what the Engine was asked at each connection. */
async function follow(
  { connections, running }: Script,
  change: Partial<LogOptions> = {},
): Promise<{ said: string; chunks: OutputChunk[]; queries: Record<string, string>[] }> {
  const queries: Record<string, string>[] = [];
  let looks = 0;
  await using engine = await scriptedEngine(async (exchange) => {
    if (!exchange.url.pathname.endsWith("/logs")) {
      const runs = running[Math.min(looks++, running.length - 1)];
      return await exchange.json(container(runs));
    }
    queries.push(Object.fromEntries(exchange.url.searchParams));
    await connections[queries.length - 1](exchange);
  });
  const runtime = createDockerRuntime({ host: engine.host, nodeId: "node", clock: createSystemClock() });
  const chunks: OutputChunk[] = [];
  for await (const chunk of runtime.logs("a", { ...FOLLOW, ...change }, never())) chunks.push(chunk);
  return { chunks, queries, said: chunks.map(({ data }) => new TextDecoder().decode(data)).join("") };
}

const lines = (...frames: Uint8Array[]): Connection => async (exchange) => {
  await exchange.begin();
  for (const each of frames) await exchange.send(each);
};
const broken = (...frames: Uint8Array[]): Connection => async (exchange) => {
  await lines(...frames)(exchange);
  exchange.cut();
};
const ended = (...frames: Uint8Array[]): Connection => async (exchange) => {
  await lines(...frames)(exchange);
  await exchange.end();
};

Deno.test("logs() that follow go on after a broken connection, with no line lost and none twice", async () => {
  const { said, queries } = await follow({
    connections: [
      broken(frame(1, "one\n"), frame(2, "two\n"), frame(2, "too\n")),
      // `since` takes all of that instant once more.
      broken(frame(2, "two\n"), frame(2, "too\n"), frame(2, "two more\n"), frame(3, "three\n")),
      ended(frame(3, "three\n"), frame(4, "four\n")),
    ],
    running: [true, true, false],
  });
  assert.equal(said, "one\ntwo\ntoo\ntwo more\nthree\nfour\n");
  assert.deepEqual(queries.map((q) => q.since), [undefined, `${FROM_S}.000000002`, `${FROM_S}.000000003`]);
});

Deno.test("logs() that follow go on when the Engine ends them though the container runs", async () => {
  const { said } = await follow({
    connections: [ended(frame(1, "one\n")), ended(frame(1, "one\n"), frame(2, "two\n"))],
    running: [true, false],
  });
  assert.equal(said, "one\ntwo\n");
});

Deno.test("logs() of the last lines do not give them again after a break", async () => {
  const { said, queries } = await follow({
    connections: [broken(frame(1, "one\n")), ended(frame(1, "one\n"), frame(2, "two\n"))],
    running: [true, false],
  }, { tail: 1 });
  assert.equal(said, "one\ntwo\n");
  assert.deepEqual(queries.map((q) => q.tail), ["1", "all"]);
});

Deno.test("logs() of no last lines begin again at the time of their call, not at the beginning", async () => {
  const beforeMs = Date.now() - 1;
  const { queries } = await follow({
    connections: [broken(), ended(frame(1, "new\n"))],
    running: [true, false],
  }, { tail: 0 });
  assert.equal(queries[0].tail, "0");
  assert.equal(queries[1].tail, "all");
  const sinceMs = Number(queries[1].since) * 1000;
  assert.ok(sinceMs >= beforeMs && sinceMs <= Date.now(), `${sinceMs}`);
});

Deno.test("logs() put one time before a line that comes in pieces, and keep it out when none is wanted", async () => {
  const connections = [ended(frame(1, "long "), frame(2, "err\n", 2), frame(3, "line\n"), frame(4, "next\n"))];
  const plain = await follow({ connections, running: [false] });
  assert.equal(plain.said, "long err\nline\nnext\n");
  assert.deepEqual(plain.chunks.map((chunk) => chunk.stream), ["stdout", "stderr", "stdout", "stdout"]);
  const timed = await follow({ connections, running: [false] }, { timestamps: true });
  assert.equal(timed.said, `${time(1)} long ${time(2)} err\nline\n${time(4)} next\n`);
});

Deno.test("logs() of an unknown container are missing, and are asked for once", async () => {
  const missing: Connection = (exchange) => exchange.json({ message: "No such container: a" }, 404);
  await assert.rejects(follow({ connections: [missing], running: [false] }), { code: "missing" });
});

Deno.test("logs() that do not follow end with an error when the connection breaks", async () => {
  const connections = [broken(plain("one\n"))];
  await assert.rejects(follow({ connections, running: [true] }, { follow: false }), { code: "unavailable" });
});

Deno.test("logs() given up while the Engine does not answer hang up", async () => {
  const hungUp = Promise.withResolvers<void>();
  await using engine = await scriptedEngine(async (exchange) => {
    await exchange.left;
    hungUp.resolve();
  });
  const runtime = createDockerRuntime({ host: engine.host, nodeId: "node", clock: createSystemClock() });
  const abort = new AbortController();
  const reading = Array.fromAsync(runtime.logs("a", FOLLOW, abort.signal));
  await eventually("it was asked", () => engine.asked.length === 1);
  abort.abort();
  assert.deepEqual(await reading, []);
  await hungUp.promise;
});

Deno.test("logs() read no faster than they are taken", async () => {
  let sent = 0;
  const block = plain("x".repeat(16_383) + "\n");
  await using engine = await scriptedEngine(async (exchange) => {
    await exchange.begin();
    while (true) {
      await exchange.send(block);
      sent += block.length;
    }
  });
  const runtime = createDockerRuntime({ host: engine.host, nodeId: "node", clock: createSystemClock() });
  const abort = new AbortController();
  const reader = runtime.logs("a", { ...FOLLOW, follow: false }, abort.signal)[Symbol.asyncIterator]();
  assert.equal((await reader.next()).value.stream, "stdout");
  let before = -1;
  let same = 0;
  await eventually("the Engine has to wait", () => {
    same = sent === before ? same + 1 : 0;
    before = sent;
    return same === 10;
  });
  assert.ok(sent < 8 * 2 ** 20, `${sent} bytes were taken from the Engine`);
  await reader.next();
  abort.abort();
  await reader.return?.();
});

Deno.test("secondsOf() keeps nanoseconds", () => {
  assert.equal(secondsOf("2026-05-28T20:26:40.000000002Z"), `${FROM_S}.000000002`);
  assert.equal(secondsOf("2026-05-28T20:26:40.5Z"), `${FROM_S}.500000000`);
  assert.equal(secondsOf("2026-05-28T20:26:40Z"), `${FROM_S}.000000000`);
});

const never = () => new AbortController().signal;

function time(ns: number): string {
  return `${new Date(FROM_S * 1000).toISOString().slice(0, 19)}.${String(ns).padStart(9, "0")}Z`;
}

function frame(ns: number, text: string, stream = 1): Uint8Array {
  return plain(`${time(ns)} ${text}`, stream);
}

function plain(text: string, stream = 1): Uint8Array {
  const data = new TextEncoder().encode(text);
  const framed = new Uint8Array(8 + data.length);
  framed[0] = stream;
  new DataView(framed.buffer).setUint32(4, data.length);
  framed.set(data, 8);
  return framed;
}

function container(running: boolean): unknown {
  return {
    Id: "id",
    Name: "/a",
    Config: { Labels: {} },
    State: { Status: running ? "running" : "exited", Running: running, ExitCode: 0, OOMKilled: false, Error: "" },
    NetworkSettings: {},
  };
}
