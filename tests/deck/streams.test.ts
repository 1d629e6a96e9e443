import assert from "node:assert/strict";
import { createDialer, linkOf } from "../../lib/adapters/web_socket_link.ts";
import type { Link } from "../../lib/contracts/link.ts";
import type { OutputChunk } from "../../lib/contracts/runtime.ts";
import type { OutputPiece } from "../../lib/deck/api.ts";
import { createStreamRelay } from "../../lib/deck/streams.ts";
import { FRAME_BYTES_MAX } from "../../lib/messages/session.ts";
import { INITIAL_CREDIT_BYTES } from "../../lib/messages/stream.ts";
import { serveStream } from "../../lib/sailor/serve_streams.ts";
import { createStreamMux } from "../../lib/session/stream_mux.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";
import type { VirtualClock } from "../fixtures/virtual_clock.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import type { Script } from "../session/scripted_runtime.ts";
import { chunk, findIn, scriptedRuntime, ShoutingCommand } from "../session/scripted_runtime.ts";
import { frame, misplaced, pattern, within } from "../session/support.ts";

const ALL = { follow: true, tail: null, sinceMs: null, timestamps: false };
const CAT = { command: ["cat"], tty: false, stdin: true };
const logger = { debug() {}, info() {}, warn() {}, error() {} };

const createRelay = (clock: VirtualClock) => createStreamRelay({ clock, logger, isOpen: () => true });

/** A sailor's end that dials in for session "s". */
function sailor(link: Link, script: Script, sessionId = "s"): void {
  const find = findIn(scriptedRuntime(script));
  link.send(frame("bind", 0, { sessionId }));
  createStreamMux(link, (request, stream) => serveStream(find, request, stream));
}

function createRig(script: Script) {
  const clock = createVirtualClock();
  const relay = createRelay(clock);
  const pair = createLinkPair();
  relay.accept(pair.near);
  sailor(pair.far, script);
  return { clock, relay, pair };
}

async function textOf(output: AsyncIterable<OutputPiece>): Promise<string> {
  let text = "";
  for await (const { data } of output) text += new TextDecoder().decode(data);
  return text;
}

async function* talk(signal: AbortSignal): AsyncIterable<OutputChunk> {
  yield chunk("hello");
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
}

Deno.test("openLogs() gives the output of the attempt over the session's link", async () => {
  const { clock, relay } = createRig({
    async *logs() {
      await Promise.resolve();
      yield chunk("one ");
      yield chunk("two", "stderr");
    },
  });
  assert.equal(await textOf(await relay.openLogs("s", "a", ALL)), "one two");
  assert.equal(clock.pending(), 0);
});

Deno.test("openLogs() and openExec() throw when there is no such container", async () => {
  const { relay } = createRig({});
  const none = { name: "StreamUnavailable", code: "noContainer" };
  await assert.rejects(relay.openLogs("s", "lost", ALL), none);
  await assert.rejects(relay.openExec("s", "lost", CAT), none);
});

Deno.test("openLogs() throws after a while when the session has no link", async () => {
  const clock = createVirtualClock();
  const relay = createRelay(clock);
  const refused = assert.rejects(relay.openLogs("s", "a", ALL), { name: "StreamUnavailable", code: "nodeAway" });
  await clock.advance(3_000);
  await refused;
  assert.equal(clock.pending(), 0);
});

Deno.test("openLogs() waits for a link that is just coming, accepted or dialled", async () => {
  for (const way of ["accepted", "dialled"]) {
    const clock = createVirtualClock();
    const relay = createRelay(clock);
    const opening = relay.openLogs("s", "a", ALL);
    await clock.advance(1_000);
    const pair = createLinkPair();
    if (way === "accepted") {
      relay.accept(pair.near);
      sailor(pair.far, { logs: (_, signal) => talk(signal) });
    } else {
      void relay.attach(pair.near, "s");
      const find = findIn(scriptedRuntime({ logs: (_, signal) => talk(signal) }));
      createStreamMux(pair.far, (request, stream) => serveStream(find, request, stream));
    }
    const output = await opening;
    for await (const { data } of output) {
      assert.equal(new TextDecoder().decode(data), "hello");
      break;
    }
    await clock.settle();
    assert.equal(clock.pending(), 0, way);
  }
});

Deno.test("openLogs() throws when the sailor does not answer", async () => {
  const clock = createVirtualClock();
  const relay = createRelay(clock);
  const pair = createLinkPair();
  void relay.attach(pair.near, "s");
  const refused = assert.rejects(relay.openLogs("s", "a", ALL), { code: "nodeAway", message: /10 s/ });
  await clock.advance(10_000);
  await refused;
});

Deno.test("leaving the output early, or closing it, aborts the sailor's side", async () => {
  for (const way of ["break", "close"]) {
    let aborted = 0;
    const { clock, relay } = createRig({
      logs(_, signal) {
        signal.addEventListener("abort", () => aborted++);
        return talk(signal);
      },
    });
    const output = await relay.openLogs("s", "a", ALL);
    if (way === "close") {
      const text = textOf(output);
      await clock.settle();
      output.close();
      assert.equal(await text, "hello");
    } else {
      for await (const _ of output) break;
    }
    await clock.settle();
    assert.equal(aborted, 1, way);
  }
});

Deno.test("a cut link fails what is being read with nodeAway, and a new one serves again", async () => {
  const { clock, relay, pair } = createRig({ logs: (_, signal) => talk(signal), exec: (o) => exec(o) });
  const exec = (options: ConstructorParameters<typeof ShoutingCommand>[0]) =>
    Promise.resolve(new ShoutingCommand(options));
  const logs = textOf(await relay.openLogs("s", "a", ALL));
  const command = await relay.openExec("s", "a", CAT);
  const away = { name: "StreamUnavailable", code: "nodeAway", message: /cable pulled/ };
  const failures = [
    assert.rejects(logs, away),
    assert.rejects(textOf(command.output), away),
    assert.rejects(command.exitCode, away),
  ];
  await clock.settle();
  pair.cut("cable pulled");
  await Promise.all(failures);
  await assert.rejects(command.write(new Uint8Array(1)), away);
  const again = createLinkPair();
  relay.accept(again.near);
  sailor(again.far, {
    async *logs() {
      await Promise.resolve();
      yield chunk("again");
    },
  });
  assert.equal(await textOf(await relay.openLogs("s", "a", ALL)), "again");
});

Deno.test("openExec() carries stdin, sizes and the exit code", async () => {
  let command: ShoutingCommand | undefined;
  const { relay, clock } = createRig({ exec: (options) => Promise.resolve(command = new ShoutingCommand(options)) });
  const exec = await relay.openExec("s", "a", { ...CAT, tty: true, columns: 80, rows: 24 });
  exec.resize(100, 30);
  await exec.write(new TextEncoder().encode("a\nb\nc\n"));
  // Nothing was typed: that is no end of stdin.
  await exec.write(new Uint8Array(0));
  await exec.write(new TextEncoder().encode("d\n"));
  exec.closeStdin();
  assert.equal(await textOf(exec.output), "<100x30>A\nB\nC\nD\nbye");
  assert.equal(await exec.exitCode, 4);
  await clock.settle();
  assert.deepEqual(command!.options.size, { columns: 80, rows: 24 });
});

Deno.test("openExec() does not call a command that was closed a success", async () => {
  let command: ShoutingCommand | undefined;
  const { relay, clock } = createRig({ exec: (options) => Promise.resolve(command = new ShoutingCommand(options)) });
  const exec = await relay.openExec("s", "a", CAT);
  await clock.settle();
  exec.close();
  await assert.rejects(exec.exitCode, { code: "failed" });
  await clock.settle();
  assert.equal(command!.closed, true);
});

Deno.test("accept() closes a link whose first frame is no bind, or that says nothing", async () => {
  const clock = createVirtualClock();
  const relay = createRelay(clock);
  for (const first of ["hello", frame("open", 1, {}), frame("bind", 0, {}), new Uint8Array(3)]) {
    const pair = createLinkPair();
    relay.accept(pair.near);
    pair.far.send(first);
    await clock.settle();
    assert.notEqual(pair.closedWith(), null);
  }
  const silent = createLinkPair();
  relay.accept(silent.near);
  await clock.advance(5_000);
  assert.equal(silent.closedWith(), "no bind came");
});

Deno.test("a session has one link: the newer replaces the older; release() and close() end it", async () => {
  const { clock, relay, pair } = createRig({});
  await clock.settle();
  const newer = createLinkPair();
  const over = relay.attach(newer.near, "s");
  assert.match(pair.closedWith() ?? "", /newer link/);
  await clock.settle();
  relay.release("s", "the session ended");
  await over;
  assert.equal(newer.closedWith(), "the session ended");
  const last = createLinkPair();
  void relay.attach(last.near, "s");
  const waiting = assert.rejects(relay.openLogs("other", "a", ALL), { code: "nodeAway" });
  await clock.settle();
  relay.close();
  await waiting;
  assert.equal(last.closedWith(), "the deck is stopping");
  const late = createLinkPair();
  void relay.attach(late.near, "s");
  assert.equal(late.closedWith(), "the deck is stopping");
});

Deno.test("attach() of a link that has closed already resolves", async () => {
  const clock = createVirtualClock();
  const pair = createLinkPair();
  pair.cut();
  await clock.settle();
  await createRelay(clock).attach(pair.near, "s");
});

Deno.test({
  name: "50 MB of logs come byte-exact over a real socket, the sailor never more than the credit ahead",
  sanitizeOps: true,
  sanitizeResources: true,
  async fn() {
    const total = 50_000_000;
    const relay = createRelay(createVirtualClock());
    const accepted = Promise.withResolvers<string>();
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
      const link = linkOf(socket, FRAME_BYTES_MAX);
      const closed = new Promise<string>((resolve) => {
        relay.accept({
          ...link,
          onClose: (handler) =>
            link.onClose((reason) => {
              handler(reason);
              resolve(reason);
            }),
        });
      });
      accepted.resolve(closed);
      return response;
    });
    let given = 0;
    let read = 0;
    let aheadMax = 0;
    const link = await createDialer(FRAME_BYTES_MAX).dial(`ws://127.0.0.1:${(server.addr as Deno.NetAddr).port}`, {});
    sailor(link, {
      async *logs() {
        await Promise.resolve();
        for (; given < total; given += 100_000) {
          aheadMax = Math.max(aheadMax, given - read);
          yield { stream: "stdout", data: pattern(given, 100_000) };
        }
      },
    });
    const output = await within("the logs to open", relay.openLogs("s", "a", ALL));
    await within(
      "50 MB",
      (async () => {
        for await (const { data } of output) {
          assert.equal(misplaced(data, read), -1);
          read += data.length;
        }
      })(),
      60_000,
    );
    assert.equal(read, total);
    assert.ok(aheadMax <= INITIAL_CREDIT_BYTES + 100_000, `${aheadMax} bytes ahead`);
    relay.close();
    await within("the link's end", accepted.promise.then(() => server.shutdown()));
  },
});
