/**
 * A real deck and a real sailor over links in memory, on a fake engine and disks that survive crashes: what was
 * acknowledged comes about whatever breaks on the way, and no task ever runs twice.
 */
import { testCron } from "../sim/cron.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { MemoryDisk } from "../../lib/adapters/memory_store.ts";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import type { Dialer } from "../../lib/contracts/link.ts";
import { LABEL_SAIL } from "../../lib/contracts/runtime.ts";
import type { TaskDocument } from "../../lib/core/documents/task.ts";
import type { Deck } from "../../lib/deck/deck.ts";
import { createDeck } from "../../lib/deck/deck.ts";
import type { TaskDetailView } from "../../lib/messages/api.ts";
import { STREAM_PATH } from "../../lib/messages/session.ts";
import { SETTINGS, spec } from "../core/support.ts";
import { testVerify } from "../sim/keys.ts";
import type { LinkPair } from "../fixtures/link_pair.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";
import { Rig } from "../sailor/support/rig.ts";
import { countingRandom, mortal, RecordingLogger } from "./support.ts";

class Voyage {
  readonly node = new Rig();
  readonly engine = this.node.engine;
  readonly clock = this.node.clock;
  readonly logger = new RecordingLogger();
  readonly random = countingRandom();
  deck: Deck | undefined;
  #disk: MemoryDisk = createMemoryDisk();
  #pairs: LinkPair[] = [];
  #killDeck: () => void = () => {};

  async bootDeck(): Promise<void> {
    const own = mortal(this.clock);
    this.#killDeck = own.die;
    this.deck = await createDeck({
      verify: testVerify,
      cron: testCron,
      clock: own.clock,
      random: this.random,
      logger: this.logger,
      store: openMemoryStore({ clock: own.clock, disk: this.#disk }),
      dialer: { dial: () => Promise.reject(new Error("nobody is dialled here")) },
      workers: [],
      settings: SETTINGS,
      commit: "test",
      onFenced: () => assert.fail("there is one deck at a time"),
    });
    await this.clock.settle();
  }

  async crashDeck(): Promise<void> {
    this.#killDeck();
    this.#disk = structuredClone(this.#disk);
    this.deck = undefined;
    await this.cut();
  }

  async bootSailor(): Promise<void> {
    await this.node.boot();
    this.node.sailor.join(this.#dialer, "ws://deck");
    await this.clock.settle();
  }

  async crashSailor(): Promise<void> {
    await this.node.crash();
    await this.cut();
  }

  /** Its data directory is lost as well. */
  wipeSailor(): void {
    this.node.disk = createMemoryDisk();
  }

  async cut(): Promise<void> {
    for (const pair of this.#pairs.splice(0)) pair.cut();
    await this.clock.settle();
  }

  readonly #dialer: Dialer = {
    dial: (url) => {
      if (!this.deck) return Promise.reject(new Error("connection refused"));
      const pair = createLinkPair();
      this.#pairs.push(pair);
      if (url.endsWith(STREAM_PATH)) this.deck.api.acceptStreams(pair.far);
      else this.deck.api.acceptSession(pair.far, "10.0.0.9");
      return Promise.resolve(pair.near);
    },
  };

  /** True: it was acknowledged. */
  async submit(id: string, document: Partial<TaskDocument> = {}): Promise<boolean> {
    const reply = await this.deck?.api.submit({
      id,
      spec: spec({ name: id, ...document }),
      original: null,
      originalEventId: null,
    });
    return reply?.kind === "accepted";
  }

  task(id: string): TaskDetailView {
    const found = this.deck!.api.findTask(id);
    assert.equal(found.kind, "found", `${id} was acknowledged and is gone`);
    return (found as { value: TaskDetailView }).value;
  }

  /** The deck has had a report of this container. */
  heardOf(name: string): boolean {
    const page = this.deck?.api.listTasks({}, 1_000, null);
    return page?.items.some((t) => this.task(t.id).history.some((attempt) => attempt.containerName === name)) ?? false;
  }

  running(): string[] {
    return [...this.engine.containers.values()].filter((c) => c.status === "running").map((c) => c.labels[LABEL_SAIL]);
  }

  containersOf(id: string): string[] {
    return [...this.engine.containers].filter(([, c]) => c.labels[LABEL_SAIL] === id).map(([name]) => name);
  }

  async end(): Promise<void> {
    await this.deck?.stop();
    await this.node.end();
    assert.deepEqual(this.logger.errors, []);
  }
}

async function begin(): Promise<Voyage> {
  const voyage = new Voyage();
  await voyage.bootDeck();
  await voyage.bootSailor();
  return voyage;
}

async function textOf(output: AsyncIterable<{ readonly data: Uint8Array }>): Promise<string> {
  let text = "";
  for await (const { data } of output) text += new TextDecoder().decode(data);
  return text;
}

Deno.test("a task is submitted, runs, gives its logs, takes a command and is stopped", async () => {
  const v = await begin();
  assert.ok(await v.submit("a"));
  await v.clock.settle();
  assert.equal(v.task("a").state, "running", "no time has to pass for that");
  const [name] = v.containersOf("a");
  v.engine.container(name).output = "hello\n";
  const request = { attempt: null, follow: false, tail: null, sinceMs: null, timestamps: false };
  assert.equal(await textOf(await v.deck!.api.openLogs("a", request)), "hello\n");
  v.engine.exec = (command) => ({ code: 3, output: command.join(" ") });
  const exec = await v.deck!.api.openExec("a", { command: ["echo", "hi"], tty: false, stdin: false });
  assert.equal(await textOf(exec.output), "echo hi");
  assert.equal(await exec.exitCode, 3);
  await v.deck!.api.stop("a", null);
  await v.clock.settle();
  assert.deepEqual([v.task("a").state, v.running()], ["stopped", []]);
  await v.end();
});

Deno.test("logs of a container that is gone are refused with a sentence, and so are those of a node that is away", async () => {
  const v = await begin();
  await v.submit("a");
  await v.clock.settle();
  v.engine.exit(v.containersOf("a")[0], 0);
  await v.clock.settle();
  v.engine.containers.clear();
  const request = { attempt: null, follow: false, tail: null, sinceMs: null, timestamps: false };
  const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;
  await assert.rejects(v.deck!.api.openLogs("a", request), code("noContainer"));
  await assert.rejects(v.deck!.api.openLogs("nobody", request), code("notFound"));
  await assert.rejects(v.deck!.api.openLogs("a", { ...request, attempt: 7 }), code("noContainer"));
  await v.cut();
  await assert.rejects(v.deck!.api.openLogs("a", request), code("nodeAway"));
  await v.end();
});

Deno.test("a followed log fails with the reason when its node's connection is cut, and can be had again", async () => {
  const v = await begin();
  await v.submit("a");
  await v.clock.settle();
  v.engine.exec = () => ({ code: 0, output: "begun", hangs: true });
  const exec = await v.deck!.api.openExec("a", { command: ["sleep"], tty: false, stdin: false });
  const reading = textOf(exec.output);
  reading.catch(() => {});
  await v.clock.settle();
  await v.cut();
  await assert.rejects(reading, /cut/);
  await assert.rejects(exec.exitCode, /cut/);
  await v.clock.advance(1_000);
  v.engine.exec = () => ({ code: 0, output: "again" });
  const second = await v.deck!.api.openExec("a", { command: ["echo"], tty: false, stdin: false });
  assert.equal(await textOf(second.output), "again");
  await v.end();
});

Deno.test("what the deck has heard of is never made again, though the sailor lost its journal and its container", async () => {
  const v = await begin();
  await v.submit("a", { restart: "always" });
  await v.clock.settle();
  const [name] = v.containersOf("a");
  await v.crashSailor();
  v.wipeSailor();
  v.engine.vanish(name);
  await v.bootSailor();
  await v.clock.advance(10_000);
  assert.deepEqual(v.task("a").history.map((attempt) => attempt.state), ["lost", "running"]);
  assert.equal(v.engine.containers.has(name), false);
  assert.deepEqual(v.running(), ["a"]);
  await v.end();
});

type Step =
  | { readonly kind: "submit"; readonly restart: "no" | "always" | "on-failure" }
  | { readonly kind: "stop" | "exit" | "kill" | "vanish"; readonly which: number }
  | { readonly kind: "cut" | "crashDeck" | "crashSailor" | "wipeSailor" | "engineAway" | "engineBack" | "deckBack" }
  | { readonly kind: "pass"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("submit"), restart: fc.constantFrom("no", "always", "on-failure") }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("stop", "exit", "kill", "vanish"), which: fc.nat(9) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom("cut", "crashDeck", "crashSailor", "wipeSailor", "engineAway", "engineBack", "deckBack"),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("pass"), ms: fc.constantFrom(0, 1, 90, 700, 4_000, 15_000) }) },
) as fc.Arbitrary<Step>;

const FINAL: readonly string[] = ["completed", "failed", "stopped"];

async function sail(steps: readonly Step[]): Promise<void> {
  const v = await begin();
  const accepted: string[] = [];
  const stopped = new Set<string>();
  const untouched = new Set<string>();
  const vanished = new Set<string>();
  /** Made before their sailor lost its journal: the container is the last trace of one that was not told of. */
  const unjournalled = new Set<string>();
  let submitted = 0;
  const pick = <T>(list: readonly T[], which: number) => list[which % Math.max(1, list.length)] as T | undefined;
  const restartable = () => [...v.engine.containers].filter(([, c]) => c.status === "running").map(([name]) => name);
  const touch = (name: string) => untouched.delete(v.engine.container(name).labels[LABEL_SAIL]);
  for (const s of steps) {
    switch (s.kind) {
      case "submit": {
        const id = `t${submitted++}`;
        if (await v.submit(id, { restart: s.restart })) {
          accepted.push(id);
          untouched.add(id);
        }
        break;
      }
      case "stop": {
        const id = pick(accepted, s.which);
        if (id !== undefined && (await v.deck?.api.stop(id, null))?.kind === "done") stopped.add(id);
        break;
      }
      case "exit":
      case "kill":
      case "vanish": {
        const name = pick(restartable(), s.which);
        if (name === undefined) break;
        touch(name);
        if (s.kind === "exit") v.engine.exit(name, s.which % 2);
        else if (s.kind === "kill") v.engine.kill(name);
        else {
          v.engine.vanish(name);
          if (!unjournalled.has(name) || v.heardOf(name)) vanished.add(name);
        }
        break;
      }
      case "cut":
        await v.cut();
        break;
      case "crashDeck":
        if (v.deck) await v.crashDeck();
        break;
      case "deckBack":
        if (!v.deck) await v.bootDeck();
        break;
      case "crashSailor":
      case "wipeSailor":
        await v.crashSailor();
        if (s.kind === "wipeSailor") {
          v.wipeSailor();
          // What no report was heard of before all traces were lost may be made anew: nobody can know better.
          for (const name of vanished) if (!v.heardOf(name)) vanished.delete(name);
          for (const name of v.engine.containers.keys()) unjournalled.add(name);
        }
        await v.bootSailor();
        break;
      case "engineAway":
        v.engine.goAway();
        break;
      case "engineBack":
        v.engine.comeBack();
        break;
      case "pass":
        await v.clock.advance(s.ms);
        break;
      default:
        s satisfies never;
    }
    const running = v.running();
    assert.equal(new Set(running).size, running.length, `twice: ${running}`);
    for (const name of vanished) assert.ok(!v.engine.containers.has(name), `${name} was made once more`);
  }
  if (!v.deck) await v.bootDeck();
  v.engine.comeBack();
  await v.clock.advance(900_000);
  const running = new Set(v.running());
  for (const id of accepted) {
    const { state, why, attempt } = v.task(id);
    const about = `${id} is ${state} (${why}), ${attempt?.id} is ${attempt?.state}; running: ${[...running]}`;
    if (stopped.has(id)) assert.ok(FINAL.includes(state) && !running.has(id), about);
    else if (untouched.has(id)) assert.ok(state === "running" && running.has(id), about);
    else assert.ok(FINAL.includes(state) ? !running.has(id) : state === "running" && running.has(id), about);
  }
  for (const id of running) assert.ok(accepted.includes(id), `${id} runs, and nobody was told that it would`);
  v.node.logger.errors.length = 0;
  await v.end();
}

Deno.test("property: whatever breaks, what was acknowledged comes about and nothing runs twice", async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), sail), { numRuns: 150 });
});
