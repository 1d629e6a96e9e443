import assert from "node:assert/strict";
import fc from "fast-check";
import { INITIAL_CREDIT_BYTES } from "../../lib/messages/stream.ts";
import type { Piece } from "../../lib/session/inbox.ts";
import { Inbox } from "../../lib/session/inbox.ts";

Deno.test("Inbox gives back every byte in order and kind, however it was cut and read", async () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("push" as const),
      stream: fc.constantFrom("stdout" as const, "stderr" as const),
      bytes: fc.integer({ min: 0, max: 100_000 }),
    }),
    fc.record({ kind: fc.constant("read" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      let allowance = INITIAL_CREDIT_BYTES;
      let serial = 0;
      const sent = { stdout: [] as number[], stderr: [] as number[] };
      const order: string[] = [];
      const seen: string[] = [];
      const got = { stdout: [] as number[], stderr: [] as number[] };
      const inbox = new Inbox((bytes) => allowance += bytes);
      const reader = inbox.read();
      let waiting = 0;
      const note = (into: typeof sent, list: string[], stream: "stdout" | "stderr", data: Uint8Array) => {
        for (const byte of data) into[stream].push(byte);
        if (data.length > 0 && list.at(-1) !== stream) list.push(stream);
      };
      const take = async () => {
        const { value } = await reader.next() as { value: Piece };
        waiting -= value.data.length;
        note(got, seen, value.stream as "stdout", value.data);
      };
      for (const step of steps) {
        if (step.kind === "push") {
          const data = new Uint8Array(Math.min(step.bytes, allowance)).map(() => serial++ % 251);
          allowance -= data.length;
          waiting += data.length;
          inbox.push(step.stream, data);
          note(sent, order, step.stream, data);
        } else if (waiting > 0) await take();
        assert.ok(waiting <= INITIAL_CREDIT_BYTES);
      }
      while (waiting > 0) await take();
      assert.deepEqual(got, sent);
      assert.deepEqual(seen, order);
      inbox.end(null);
      assert.equal((await reader.next()).done, true);
    }),
    { numRuns: 60 },
  );
});

Deno.test("Inbox refuses what was not granted", () => {
  const inbox = new Inbox(() => {});
  inbox.push("stdout", new Uint8Array(INITIAL_CREDIT_BYTES));
  assert.throws(() => inbox.push("stdout", new Uint8Array(1)), /more bytes than were granted/);
});

Deno.test("Inbox takes a flood of one-byte frames without a record for each", async () => {
  const granted: number[] = [];
  const inbox = new Inbox((bytes) => granted.push(bytes));
  for (let i = 0; i < INITIAL_CREDIT_BYTES; i++) inbox.push("stdout", new Uint8Array([i % 256]));
  for (let i = 0; i < 100_000; i++) inbox.push("stderr", new Uint8Array(0));
  inbox.end(null);
  let pieces = 0;
  let bytes = 0;
  for await (const { data } of inbox.read()) {
    pieces++;
    bytes += data.length;
  }
  assert.equal(bytes, INITIAL_CREDIT_BYTES);
  assert.ok(pieces <= 8, `${pieces} pieces`);
  assert.equal(granted.reduce((sum, one) => sum + one, 0), INITIAL_CREDIT_BYTES);
});

Deno.test("Inbox lets what lies in it be read before the error", async () => {
  const inbox = new Inbox(() => {});
  inbox.push("stdout", new Uint8Array([1]));
  inbox.end(new Error("cut"));
  const reader = inbox.read();
  assert.deepEqual((await reader.next()).value, { stream: "stdout", data: new Uint8Array([1]) });
  await assert.rejects(reader.next(), /cut/);
});

Deno.test("Inbox gives credit back for what nobody reads any more", async () => {
  let granted = 0;
  const inbox = new Inbox((bytes) => granted += bytes);
  const reader = inbox.read();
  inbox.push("stdout", new Uint8Array(1000));
  await reader.next();
  await reader.return();
  for (let i = 0; i < 100; i++) inbox.push("stdout", new Uint8Array(64 * 1024));
  assert.equal(granted > 99 * 64 * 1024, true);
});
