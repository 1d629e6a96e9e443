/** GET /v1/backup: one moment, whatever happens while it is read; and room for others meanwhile. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { VersionedRecord } from "../../lib/core/migrate.ts";
import { State } from "../../lib/core/state.ts";
import type { DeckApi } from "../../lib/deck/api.ts";
import { backupRoute } from "../../lib/http/system_routes.ts";
import type { EdgeContext } from "../../lib/http/edge.ts";
import type { BackupHeader } from "../../lib/messages/backup.ts";
import { readBackup } from "../../lib/messages/backup.ts";

const COUNT = 20_000;

function answerOf(state: State): Response {
  const about = { of: "deck", clusterId: "c", term: 1, sequence: 9, program: "test", takenMs: 0 } as const;
  function* versioned(records: ReturnType<State["snapshot"]>): Generator<VersionedRecord> {
    for (const each of records) yield { ...each, version: 1 };
  }
  const deck = { backup: () => ({ about, records: versioned(state.snapshot()) }) } as Partial<DeckApi> as DeckApi;
  return backupRoute(deck).handle({} as EdgeContext) as Response;
}

const keyOf = (i: number) => ({ key: `k${i}`, digest: "x".repeat(200), createdMs: i });

function stateOf(count: number): State {
  const state = new State();
  for (let i = 0; i < count; i++) state.apply({ kind: "idempotency", id: `k${i}`, value: keyOf(i) });
  return state;
}

async function contentsOf(answer: Response): Promise<(BackupHeader | VersionedRecord)[]> {
  const text = await new Response(answer.body!.pipeThrough(new DecompressionStream("gzip"))).text();
  const lines = ReadableStream.from(text.trimEnd().split("\n"));
  return await Array.fromAsync(readBackup(lines, createHash("sha256")));
}

Deno.test("GET /v1/backup is of the moment when it was asked for, whatever changes while it is read", async () => {
  const state = stateOf(COUNT);
  const answer = answerOf(state);
  for (let i = 0; i < COUNT; i++) state.apply({ kind: "idempotency", id: `k${i}`, value: undefined });
  state.apply({ kind: "idempotency", id: "late", value: keyOf(-1) });
  const [, ...records] = await contentsOf(answer) as VersionedRecord[];
  assert.equal(records.length, COUNT);
  assert.deepEqual(records[7], { kind: "idempotency", id: "k7", version: 1, record: keyOf(7) });
});

Deno.test("GET /v1/backup lets others have their turn while it is read at once", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await contentsOf(answerOf(stateOf(COUNT)));
  clearInterval(timer);
  // Without turns of its own it would be none until its end.
  assert.ok(turns >= 5, `${turns} turns`);
});

Deno.test("GET /v1/backup is made as it is read: a reader that does not read holds nothing up", async () => {
  const reader = answerOf(stateOf(COUNT)).body!.getReader();
  assert.ok((await reader.read()).value!.length < 200_000);
  await reader.cancel();
});
