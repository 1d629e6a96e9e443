/** Output over HTTP and exec over a socket: pace, ends, failures. */
import assert from "node:assert/strict";
import type { DeckApi, RemoteExec } from "../../lib/deck/api.ts";
import { STALL_MS } from "../../lib/http/reader_watch.ts";
import { TASK_ID, WALL_MS } from "./records.ts";
import { deckRig, FakeOutput, piece, streamUnavailable } from "./support.ts";
import type { FakeLink, Rig } from "./support.ts";

const PATH = "/v1/tasks/web/logs";
const NDJSON = { headers: { accept: "application/x-ndjson" } };

function rigWith(output: FakeOutput): Rig {
  const rig = deckRig();
  rig.deck.overrides = { openLogs: () => Promise.resolve(output) };
  return rig;
}

Deno.test("logs are text by default, both streams as they came", async () => {
  const rig = rigWith(new FakeOutput([piece("out\n"), piece("err\n", "stderr")]));
  const response = await rig.fetch(PATH);
  assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.equal(await response.text(), "out\nerr\n");
  assert.deepEqual(rig.deck.callsOf("openLogs"), [
    [TASK_ID, { attempt: null, follow: false, tail: null, sinceMs: null, timestamps: false }],
  ]);
});

Deno.test("logs pass on what was asked for", async () => {
  const rig = rigWith(new FakeOutput([]));
  await rig.fetch(`${PATH}?follow=1&tail=10&since=10m&timestamps=true&attempt=2`);
  await rig.fetch(`${PATH}?tail=all&since=2026-11-22T13:31:04Z&follow=false`);
  assert.deepEqual(rig.deck.callsOf("openLogs").map(([, request]) => request), [
    { attempt: 2, follow: true, tail: 10, sinceMs: WALL_MS - 600_000, timestamps: true },
    { attempt: null, follow: false, tail: null, sinceMs: WALL_MS, timestamps: false },
  ]);
});

Deno.test("logs as lines of JSON keep characters whole that were split between pieces", async () => {
  const bytes = new TextEncoder().encode("grün");
  const rig = rigWith(
    new FakeOutput([
      { stream: "stdout", data: bytes.subarray(0, 3) },
      piece("err", "stderr"),
      { stream: "stdout", data: bytes.subarray(3) },
      { stream: "stderr", data: new Uint8Array([0xff]) },
      { stream: "stdout", data: new Uint8Array([0xc3]) },
    ]),
  );
  const response = await rig.fetch(PATH, NDJSON);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines, [
    { stream: "stdout", text: "gr" },
    { stream: "stderr", text: "err" },
    { stream: "stdout", text: "ün" },
    { stream: "stderr", text: "\ufffd" },
    { stream: "stdout", text: "\ufffd" },
  ]);
});

Deno.test("no more output is taken than the reader asks for, and leaving closes the stream", async () => {
  const output = new FakeOutput(Array.from({ length: 1000 }, (_, i) => piece(`${i}\n`)));
  const response = await rigWith(output).fetch(PATH);
  assert.equal(output.taken, 0);
  const reader = response.body!.getReader();
  await reader.read();
  await reader.read();
  assert.equal(output.taken, 2);
  await reader.cancel();
  assert(output.closed);
});

Deno.test("a reader who takes nothing for a minute closes the stream at the sailor", async () => {
  const output = new FakeOutput(Array.from({ length: 10 }, (_, i) => piece(`${i}\n`)));
  const rig = rigWith(output);
  const reader = (await rig.fetch(PATH)).body!.getReader();
  await reader.read();
  rig.clock.advance(STALL_MS - 1);
  await reader.read();
  assert(!output.closed);
  rig.clock.advance(STALL_MS);
  assert(output.closed);
  await assert.rejects(reader.read(), /does not read/);
  assert.equal(rig.clock.pending, 0);
});

Deno.test("output that breaks off breaks the connection, or is told as a line", async () => {
  const broken = () => new FakeOutput([piece("a")], new Error("node host-a is down"));
  const text = broken();
  await assert.rejects((await rigWith(text).fetch(PATH)).text(), /host-a is down/);
  assert(text.closed);
  const lines = broken();
  const response = await rigWith(lines).fetch(PATH, NDJSON);
  assert.equal(await response.text(), '{"stream":"stdout","text":"a"}\n{"error":"node host-a is down"}\n');
  assert(lines.closed);
});

const UNAVAILABLE = [["notFound", 404], ["noContainer", 409], ["nodeAway", 503], ["failed", 502]] as const;

for (const [code, status] of UNAVAILABLE) {
  Deno.test(`logs that cannot be had (${code}) are answered ${status}`, async () => {
    const rig = deckRig();
    rig.deck.overrides = { openLogs: () => Promise.reject(streamUnavailable(code, "a sentence")) };
    const response = await rig.fetch(PATH);
    assert.equal(response.status, status);
    const body = await response.json();
    assert.deepEqual([body.code, body.detail], [code, "a sentence"]);
  });
}

Deno.test("logs of an unknown task are 404", async () => {
  assert.equal((await deckRig().fetch("/v1/tasks/none/logs")).status, 404);
});

/** A command under the test's control. */
class FakeExec implements RemoteExec {
  readonly did: unknown[] = [];
  readonly exit = Promise.withResolvers<number>();
  readonly exitCode = this.exit.promise;
  readonly closed = Promise.withResolvers<void>();
  output: AsyncIterable<ReturnType<typeof piece>> = new FakeOutput([]);
  #onDid: () => void = () => {};

  #note(what: unknown): void {
    this.did.push(what);
    this.#onDid();
  }
  async write(data: Uint8Array): Promise<void> {
    await Promise.resolve();
    this.#note(new TextDecoder().decode(data));
  }
  closeStdin = () => this.#note("closeStdin");
  resize = (columns: number, rows: number) => this.#note([columns, rows]);
  close(): void {
    this.closed.resolve();
  }
  async waitDid(count: number): Promise<void> {
    while (this.did.length < count) await new Promise<void>((resolve) => this.#onDid = resolve);
  }
}

async function openSocket(open: DeckApi["openExec"]): Promise<{ rig: Rig; link: FakeLink }> {
  const rig = deckRig();
  rig.deck.overrides = { openExec: open };
  const response = await rig.fetch("/v1/tasks/web/exec", { headers: { upgrade: "websocket" } });
  assert.equal(response.headers.get("upgraded"), "yes");
  return { rig, link: rig.links[0] };
}

Deno.test("exec: output, input in order, size, end", async () => {
  const exec = new FakeExec();
  exec.output = {
    async *[Symbol.asyncIterator]() {
      yield piece("out");
      yield piece("err", "stderr");
      await exec.waitDid(4);
    },
  };
  const { rig, link } = await openSocket(() => Promise.resolve(exec));
  link.receive({ command: ["sh"], stdin: true, tty: true, columns: 80, rows: 24 });
  // Before the session stands: kept, in order.
  link.receive(new Uint8Array([0, ...new TextEncoder().encode("one")]));
  link.receive({ kind: "resize", columns: 100, rows: 30 });
  link.receive(new Uint8Array([0, ...new TextEncoder().encode("two")]));
  link.receive({ kind: "closeStdin" });
  exec.exit.resolve(7);
  await link.waitSent(3);
  assert.deepEqual(exec.did, ["one", [100, 30], "two", "closeStdin"]);
  assert.deepEqual(link.sent.map((frame) => typeof frame === "string" ? JSON.parse(frame) : [...frame]), [
    [1, ...new TextEncoder().encode("out")],
    [2, ...new TextEncoder().encode("err")],
    { kind: "end", exitCode: 7 },
  ]);
  assert.notEqual(link.closedWith, null);
  assert.equal(rig.clock.pending, 0);
  assert.deepEqual(rig.deck.callsOf("openExec"), [
    [TASK_ID, { command: ["sh"], stdin: true, tty: true, columns: 80, rows: 24 }],
  ]);
});

const BAD_FIRST_FRAMES: [what: string, frame: string | Uint8Array | object, message: RegExp][] = [
  ["no command", { tty: true }, /command/],
  ["an unknown key", { command: ["a"], cwd: "/" }, /Unrecognized key/],
  ["no JSON", "sh", /must be JSON/],
  ["bytes", new Uint8Array([0, 1]), /must be text/],
];

for (const [what, frame, message] of BAD_FIRST_FRAMES) {
  Deno.test(`exec: a first frame with ${what} ends the session with a sentence`, async () => {
    const { link } = await openSocket(() => assert.fail("must not be opened"));
    link.receive(frame);
    await link.waitSent(1);
    const end = JSON.parse(link.sent[0] as string);
    assert.equal(end.kind, "error");
    assert.match(end.message, message);
    assert.notEqual(link.closedWith, null);
  });
}

Deno.test("exec: what the deck cannot open is told", async () => {
  const { link } = await openSocket(() => Promise.reject(streamUnavailable("nodeAway", "node host-a is away")));
  link.receive({ command: ["sh"] });
  await link.waitSent(1);
  assert.deepEqual(JSON.parse(link.sent[0] as string), { kind: "error", message: "node host-a is away" });
});

Deno.test("exec: a client that leaves ends the command, also while it is being opened", async () => {
  const exec = new FakeExec();
  exec.output = {
    [Symbol.asyncIterator]: () => ({ next: () => exec.closed.promise.then(() => ({ done: true, value: undefined })) }),
  };
  const first = await openSocket(() => Promise.resolve(exec));
  first.link.receive({ command: ["sh"] });
  await Promise.resolve();
  first.link.hangUp();
  await exec.closed.promise;

  const late = new FakeExec();
  const opening = Promise.withResolvers<RemoteExec>();
  const second = await openSocket(() => opening.promise);
  second.link.receive({ command: ["sh"] });
  second.link.hangUp();
  opening.resolve(late);
  await late.closed.promise;
  assert.deepEqual(second.link.sent, []);
});

Deno.test("exec: a socket without a request is closed after 10 s", async () => {
  const { rig, link } = await openSocket(() => assert.fail("must not be opened"));
  rig.clock.advance(10_000);
  assert.deepEqual(JSON.parse(link.sent[0] as string), { kind: "error", message: "no request came" });
});

Deno.test("exec: output waits for a socket that does not drain", async () => {
  const exec = new FakeExec();
  const output = new FakeOutput([piece("a"), piece("b")]);
  exec.output = output;
  exec.exit.resolve(0);
  const { rig, link } = await openSocket(() => Promise.resolve(exec));
  link.unsent = 2 ** 20 + 1;
  link.receive({ command: ["sh"] });
  await link.waitSent(1);
  assert.equal(output.taken, 1);
  assert.equal(rig.clock.pending, 1);
  link.unsent = 0;
  rig.clock.advance(5);
  await link.waitSent(3);
  assert.equal(output.taken, 2);
});

Deno.test("exec asks for an upgrade, and for a task that exists", async () => {
  const rig = deckRig();
  assert.equal((await rig.fetch("/v1/tasks/web/exec")).status, 426);
  assert.equal((await rig.fetch("/v1/tasks/none/exec", { headers: { upgrade: "websocket" } })).status, 404);
  assert.equal(rig.links.length, 0);
});
