/** A whole deck in one process, in virtual time on a memory disk, with one honest sailor and a few tasks, behind its HTTP app. */
import { testCron } from "../sim/cron.ts";
import assert from "node:assert/strict";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import { verifyEd25519 } from "../../lib/adapters/node_keys.ts";
import type { Deck } from "../../lib/deck/deck.ts";
import { createDeck } from "../../lib/deck/deck.ts";
import type { HttpApp } from "../../lib/http/deck_app.ts";
import { createDeckApp } from "../../lib/http/deck_app.ts";
import { SETTINGS, spec } from "../core/support.ts";
import { countingRandom, ScriptedSailor } from "../deck/support.ts";
import type { LinkPair } from "../fixtures/link_pair.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import { RecordingLogger } from "../http/support.ts";

/** So that no tick changes a record while a request waits. */
const QUIET_MS = 1_000_000_000;
/** Of virtual time: more than any answer may take. */
const ANSWER_WITHIN_MS = 120_000;

export const TASK_ID = "21b23589-5d2d-4731-b5c9-a97e9832d021";
export const NODE_ID = "honest-node";

export class DeckWorld {
  readonly clock = createVirtualClock();
  readonly logger = new RecordingLogger();
  readonly disk = createMemoryDisk();
  readonly sockets: LinkPair[] = [];
  readonly sailor = new ScriptedSailor(NODE_ID);
  deck!: Deck;
  app!: HttpApp;
  #records: { readonly sequence: number; readonly text: string } | undefined;

  static async start(settings: Partial<typeof SETTINGS> = { heartbeatMs: QUIET_MS, nodeTimeoutMs: QUIET_MS }) {
    const world = new DeckWorld();
    const { clock, logger, disk } = world;
    world.deck = await createDeck({
      verify: verifyEd25519,
      cron: testCron,
      clock,
      random: countingRandom(),
      logger,
      store: openMemoryStore({ clock, disk }),
      dialer: { dial: () => Promise.reject(new Error("nobody is dialled here")) },
      workers: [],
      settings: { ...SETTINGS, ...settings },
      commit: "test",
      onFenced: () => {},
    });
    world.app = createDeckApp({
      deck: world.deck.api,
      clock,
      logger,
      auth: { token: null, listenHost: "127.0.0.1" },
      version: "test",
      upgrade: () => {
        const pair = createLinkPair();
        pair.near.onFrame(() => {});
        pair.near.onClose(() => {});
        world.sockets.push(pair);
        return { response: new Response(null, { headers: { upgraded: "yes" } }), link: pair.far };
      },
    });
    world.deck.api.acceptSession(world.sailor.link, "10.0.0.9");
    world.sailor.hello({ name: "node-a" });
    await clock.settle();
    await world.deck.api.submit({ id: TASK_ID, spec: spec({ name: "web" }), original: null, originalEventId: null });
    await clock.settle();
    world.sailor.report(`${TASK_ID}-1`, "running", { revision: 2 });
    await clock.settle();
    assert.equal(world.sailor.closedWith, null);
    return world;
  }

  /** What users would miss: every record but what a key has promised and what is told of them. */
  records(): string {
    if (this.#records?.sequence !== this.disk.sequence) {
      this.#records = { sequence: this.disk.sequence, text: this.#readRecords() };
    }
    return this.#records.text;
  }

  #readRecords(): string {
    const kept = [...this.disk.records].filter(([key]) => !/^\["(idempotency|event|cluster)"/.test(key));
    return JSON.stringify(kept.sort(([a], [b]) => a < b ? -1 : 1));
  }

  /** Waits in virtual time; whoever waits for a node's answer or a body is answered at a deadline. */
  async settled<T>(what: string, promise: Promise<T>): Promise<T> {
    let done = false;
    const settled = promise.finally(() => done = true);
    settled.catch(() => {}); // Looked at below.
    const untilMs = this.clock.monoMs() + ANSWER_WITHIN_MS;
    await this.clock.settle();
    while (!done) {
      if (this.clock.monoMs() > untilMs) throw new Error(`a hang: ${what} was not answered within 120 s`);
      await this.clock.advance(1_000);
    }
    return await settled;
  }

  /** Throws when something went wrong inside that nobody was told of, or an honest user is not served any more. */
  async checkHealth(): Promise<void> {
    if (this.logger.errors.length > 0) throw new Error(`an error inside: ${this.logger.errors[0].slice(0, 1_500)}`);
    if (this.sailor.closedWith !== null) throw new Error(`the honest sailor was cut off: ${this.sailor.closedWith}`);
    const found = this.deck.api.findTask(TASK_ID);
    if (found.kind !== "found") throw new Error("the honest task is gone");
    for (const path of ["/tasks", "/nodes", "/v1/tasks?limit=1000", "/v1/nodes", "/metrics"]) {
      const request = new Request(`http://localhost:5555${path}`);
      const answer = await this.app.fetch(request, { remoteAddr: { hostname: "127.0.0.1" } });
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(`${path} answers ${answer.status} now: ${text.slice(0, 500)}`);
    }
  }

  async end(): Promise<void> {
    for (const { near } of this.sockets) near.close("the test is over");
    await this.deck.stop();
    await this.clock.settle();
  }
}
