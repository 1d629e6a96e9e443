/**
 * What builds before this one left behind: their stores are opened, and their half of a session is played against
 * today's code, in both directions. tools/record_fixtures.ts made them; each stays as it was made.
 */
import { testCron } from "../sim/cron.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { openDenoKvStore } from "../../lib/adapters/deno_kv_store.ts";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import type { MemoryDisk } from "../../lib/adapters/memory_store.ts";
import type { Deck } from "../../lib/deck/deck.ts";
import { createDeck } from "../../lib/deck/deck.ts";
import type { DeckMessage, SailorMessage } from "../../lib/messages/session.ts";
import { parseDeckMessage, parseSailorMessage } from "../../lib/messages/session.ts";
import { openJournal } from "../../lib/sailor/journal.ts";
import { countingRandom, RecordingLogger } from "../deck/support.ts";
import { SETTINGS } from "../core/support.ts";
import { testVerify } from "../sim/keys.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import { Rig as SailorRig } from "../sailor/support/rig.ts";

const BUILDS = new URL("../fixtures/builds", import.meta.url).pathname;
const COMMITS = [...Deno.readDirSync(BUILDS)].map(({ name }) => name).sort();

interface Recorded {
  readonly from: "deck" | "sailor";
  readonly session: number;
  readonly frame: string;
}

function recorded(commit: string, from: Recorded["from"], session?: number): Recorded[] {
  const lines = Deno.readTextFileSync(`${BUILDS}/${commit}/session.jsonl`).trimEnd().split("\n");
  const all = lines.map((line) => JSON.parse(line) as Recorded);
  return all.filter((each) => each.from === from && (session === undefined || each.session === session));
}

/** A copy in memory: a store that is opened is written to. */
async function diskOf(commit: string, file: "deck.kv" | "journal.kv"): Promise<MemoryDisk> {
  const dir = await Deno.makeTempDir({ prefix: "ormen-build-" });
  try {
    await Deno.copyFile(`${BUILDS}/${commit}/${file}`, join(dir, file));
    const store = await openDenoKvStore({ path: join(dir, file), clock: createVirtualClock() });
    const disk = createMemoryDisk();
    for await (const { key, value } of store.load()) disk.records.set(JSON.stringify(key), value);
    disk.sequence = await store.lastSequence();
    disk.term = await store.takeTerm() - 1;
    await store.close();
    return disk;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function withDeckOf(
  commit: string,
  test: (deck: Deck, clock: ReturnType<typeof createVirtualClock>) => Promise<void>,
): Promise<void> {
  const clock = createVirtualClock(Date.parse("2026-11-23T09:36:00Z"));
  const logger = new RecordingLogger();
  const { clusterId: _cluster, term: _term, ...settings } = SETTINGS;
  const deck = await createDeck({
    verify: testVerify,
    cron: testCron,
    clock,
    random: countingRandom(),
    logger,
    store: openMemoryStore({ clock, disk: await diskOf(commit, "deck.kv") }),
    dialer: { dial: () => Promise.reject(new Error("nobody is dialled")) },
    workers: [],
    settings,
    commit: "test",
    keepBackup: () => Promise.resolve(),
    onFenced: () => {},
  });
  try {
    await test(deck, clock);
    assert.deepEqual(logger.errors, []);
  } finally {
    await deck.stop();
  }
}

/** As a later build would send it: more keys than today's. */
function withMore(frame: string): string {
  const more = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(more);
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([key, inner]) => [key, more(inner)] as const);
    // Where keys are users' own (env, labels, a machine's figures) one more would be another value.
    const ours = "kind" in value || "attemptId" in value || "containerId" in value;
    return Object.fromEntries([...entries, ...(ours ? [["ofTomorrow", { a: [1] }]] as const : [])]);
  };
  return JSON.stringify(more(JSON.parse(frame)));
}

for (const commit of COMMITS) {
  Deno.test(`build ${commit}: its deck's store is opened, with every task as it was`, () =>
    withDeckOf(commit, (deck) => {
      const page = deck.api.listTasks({}, 100, null)!;
      const states = Object.fromEntries(page.items.map(({ name, state }) => [name, state]));
      assert.deepEqual(states, { stopped: "stopped", ended: "failed", stays: "running", again: "pending" });
      const stopped = deck.api.findTask("stopped");
      assert.ok(stopped.kind === "found");
      assert.equal(stopped.value.attempts, 1);
      assert.ok(stopped.value.events.length >= 4);
      assert.equal(deck.api.listNodes(10, null)!.items[0].name, "recorder");
      assert.equal(deck.term, 2);
      return Promise.resolve();
    }));

  Deno.test(`build ${commit}: its sailor's journal is opened, with every attempt as it was`, async () => {
    const clock = createVirtualClock();
    const store = openMemoryStore({ clock, disk: await diskOf(commit, "journal.kv") });
    const { signal } = new AbortController();
    const journal = await openJournal({ store, clock, logger: new RecordingLogger(), signal });
    const [{ message: welcome }] = deckMessages(commit);
    assert.ok(welcome.kind === "welcome");
    assert.deepEqual(journal.membership, { clusterId: welcome.clusterId, highestTerm: welcome.term });
    const entries = [...journal.entries.values()];
    assert.ok(entries.length >= 1);
    for (const { entry, document } of entries) {
      assert.equal(entry.owner, welcome.clusterId);
      assert.equal(document.spec.runtime, "process");
    }
  });

  for (const [what, change] of [["byte for byte", (frame: string) => frame], ["with more keys", withMore]] as const) {
    Deno.test(`build ${commit}: a session of its sailor with today's deck, ${what}`, () =>
      withDeckOf(commit, async (deck, clock) => {
        const pair = createLinkPair();
        const answers: DeckMessage[] = [];
        pair.near.onClose(() => {});
        pair.near.onFrame((frame) => {
          const parsed = parseDeckMessage(frame);
          assert.ok(parsed.kind === "message", JSON.stringify(parsed));
          answers.push(parsed.message);
        });
        deck.api.acceptSession(pair.far, "127.0.0.1");
        const heartbeats = recorded(commit, "sailor").filter(({ frame }) => frame.startsWith('{"kind":"heartbeat"'));
        assert.ok(heartbeats.length > 0);
        pair.near.send(change(recorded(commit, "sailor", 2)[0].frame));
        await clock.settle();
        pair.near.send('{"kind":"ofTomorrow","a":1}');
        for (const { frame } of [...recorded(commit, "sailor", 2).slice(1), ...heartbeats]) {
          pair.near.send(change(frame));
          await clock.settle();
        }
        assert.equal(pair.closedWith(), null);
        const [welcome] = answers;
        assert.ok(welcome.kind === "welcome", JSON.stringify(welcome));
        assert.deepEqual(welcome.assignments.map(({ spec }) => spec.name), ["stays"]);
        // Each report that the sailor made is acknowledged, as the deck of that day did.
        const told = recorded(commit, "sailor", 2).flatMap(({ frame }) => reportsIn(frame));
        const acknowledged = answers.flatMap((answer) => answer.kind === "acknowledge" ? answer.reports : []);
        for (const { attemptId, revision } of told) {
          assert.ok(
            acknowledged.some((each) => each.attemptId === attemptId && each.revision === revision),
            `${attemptId} at ${revision} was not acknowledged`,
          );
        }
        const stays = deck.api.findTask("stays");
        assert.ok(stays.kind === "found" && stays.value.state === "running");
        assert.ok(deck.api.listNodes(10, null)!.items[0].status === "ready");
      }));

    Deno.test(`build ${commit}: a session of its deck with today's sailor, ${what}`, async () => {
      const rig = new SailorRig("process");
      await rig.boot();
      const pair = createLinkPair();
      const told: SailorMessage[] = [];
      pair.far.onClose(() => {});
      pair.far.onFrame((frame) => {
        const parsed = parseSailorMessage(frame);
        assert.ok(parsed.kind === "message", JSON.stringify(parsed));
        told.push(parsed.message);
      });
      rig.sailor.acceptSession(pair.near);
      await rig.clock.settle();
      assert.equal(told[0]?.kind, "hello");
      const [welcome, ...rest] = recorded(commit, "deck", 1);
      pair.far.send(change(welcome.frame));
      pair.far.send('{"kind":"ofTomorrow","a":1}');
      for (const { frame } of rest) {
        pair.far.send(change(frame));
        await rig.clock.settle();
      }
      await rig.clock.advance(2_000);
      assert.equal(pair.closedWith(), null);
      const states = (name: string) => [...rig.sailor.tasks()].find(({ spec }) => spec.name === name);
      for (const name of ["stopped", "ended", "stays"]) assert.ok(states(name), `${name} was not taken`);
      const reported = told.flatMap((message) => message.kind === "reports" ? message.reports : []);
      const stateOf = (name: string) => reported.findLast(({ sailId }) => sailId === states(name)!.id)?.state;
      assert.deepEqual([stateOf("stopped"), stateOf("stays")], ["stopped", "running"]);
      assert.ok(told.some(({ kind }) => kind === "heartbeat"), "the ping was not answered");
      pair.cut();
      await rig.end();
    });
  }
}

function deckMessages(commit: string): { message: DeckMessage }[] {
  return recorded(commit, "deck").map(({ frame }) => {
    const parsed = parseDeckMessage(frame);
    assert.ok(parsed.kind === "message");
    return { message: parsed.message };
  });
}

function reportsIn(frame: string): readonly { readonly attemptId: string; readonly revision: number }[] {
  const message = JSON.parse(frame) as SailorMessage;
  return message.kind === "reports" ? message.reports : [];
}
