/**
 * Whatever happens in whatever order, a sailor keeps its promises: an attempt has one container, its end is told once and
 * for all, what was to be stopped does not run, and when the faults end everything converges.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isFinal } from "../../lib/core/attempt.ts";
import type { Assignment } from "../../lib/messages/session.ts";
import { assignment, nameOf, Rig } from "./support/rig.ts";

const IDS = ["a", "b", "c"];
const POLICIES = ["no", "always", "on-failure:2"] as const;

type Step =
  | { readonly kind: "run" | "stop" | "kill" | "vanish"; readonly id: string }
  | { readonly kind: "exit"; readonly id: string; readonly code: number }
  | { readonly kind: "crash" | "cut" | "away" | "back" | "refuse" | "write" | "connect" }
  | { readonly kind: "hold" | "release"; readonly operation: "create" | "start" | "stop" }
  | { readonly kind: "wait"; readonly ms: number };

const id = fc.constantFrom(...IDS);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom("run" as const, "run" as const, "stop" as const), id }),
    fc.record({ kind: fc.constantFrom("kill" as const, "vanish" as const), id }),
    fc.record({ kind: fc.constant("exit" as const), id, code: fc.constantFrom(0, 1) }),
    fc.record({
      kind: fc.constantFrom(
        "crash" as const,
        "cut" as const,
        "away" as const,
        "back" as const,
        "refuse" as const,
        "write" as const,
        "connect" as const,
      ),
    }),
    fc.record({
      kind: fc.constantFrom("hold" as const, "release" as const),
      operation: fc.constantFrom("create" as const, "start" as const, "stop" as const),
    }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, 50, 1_000, 5_000) }),
  ),
  { minLength: 5, maxLength: 30 },
);

/** A deck reduced to what it wants and what it was told. */
class World {
  readonly rig = new Rig();
  readonly wanted = new Map<string, "run" | "stop">();
  readonly ends = new Map<string, string>();
  readonly #reported = new Set<string>();
  readonly #gates = new Map<string, () => void>();
  #read = 0;

  constructor(readonly policies: Readonly<Record<string, (typeof POLICIES)[number]>>) {}

  of(sailId: string): Assignment {
    return assignment(sailId, {
      desired: this.wanted.get(sailId)!,
      known: this.#reported.has(sailId),
      task: { restart: this.policies[sailId] },
    });
  }

  list(): Assignment[] {
    return [...this.wanted.keys()].filter((sailId) => !this.ends.has(sailId)).map((sailId) => this.of(sailId));
  }

  async connect(): Promise<void> {
    this.takeReports();
    const deck = await this.rig.connect();
    this.#read = 0;
    this.takeReports();
    deck.welcome(this.list());
    await this.rig.clock.settle();
  }

  takeReports(): void {
    const { deck } = this.rig;
    if (!deck) return;
    const messages = deck.messages.slice(this.#read);
    this.#read = deck.messages.length;
    for (const message of messages) {
      const reports = message.kind === "hello" ? message.attempts : message.kind === "reports" ? message.reports : [];
      for (const { sailId, state } of reports) {
        const end = this.ends.get(sailId);
        if (end !== undefined) assert.equal(state, end, `${sailId} was ${end} for good and is now ${state} (I6)`);
        if (isFinal(state)) this.ends.set(sailId, state);
        this.#reported.add(sailId);
      }
    }
  }

  async do(step: Step): Promise<void> {
    const { rig } = this;
    const { engine, clock } = rig;
    switch (step.kind) {
      case "run":
      case "stop": {
        if (step.kind === "stop" && !this.wanted.has(step.id)) return;
        if (step.kind === "run" && this.wanted.has(step.id)) return;
        this.wanted.set(step.id, step.kind);
        if (!this.ends.has(step.id) && rig.deck.of("hello").length > 0) rig.deck.assign([this.of(step.id)]);
        break;
      }
      case "exit":
        if (engine.containers.get(nameOf(step.id))?.status === "running") engine.exit(nameOf(step.id), step.code);
        break;
      case "kill":
        if (engine.containers.get(nameOf(step.id))?.status === "running") engine.kill(nameOf(step.id));
        break;
      case "vanish":
        engine.vanish(nameOf(step.id));
        break;
      case "crash":
        this.takeReports();
        await rig.crash();
        this.release();
        await rig.boot();
        await this.connect();
        break;
      case "cut":
        rig.deck.pair.cut();
        break;
      case "connect":
        await this.connect();
        break;
      case "away":
        engine.goAway();
        break;
      case "back":
        engine.comeBack();
        break;
      case "refuse":
        rig.fault = () => "refuse";
        break;
      case "write":
        rig.fault = () => "none";
        break;
      case "hold":
        if (!this.#gates.has(step.operation)) this.#gates.set(step.operation, engine.hold(step.operation));
        break;
      case "release":
        this.release(step.operation);
        break;
      case "wait":
        await clock.advance(step.ms);
        break;
      default:
        step satisfies never;
    }
    await clock.settle();
    this.takeReports();
  }

  release(operation?: string): void {
    for (const [name, open] of this.#gates) {
      if (operation !== undefined && name !== operation) continue;
      open();
      this.#gates.delete(name);
    }
  }

  /** The faults end; what is wanted must come true. */
  async converge(): Promise<void> {
    const { rig } = this;
    this.release();
    rig.fault = () => "none";
    rig.engine.comeBack();
    await rig.clock.advance(3_000);
    await this.connect();
    for (let i = 0; i < 70; i++) {
      rig.deck.send({ kind: "ping" });
      await rig.clock.advance(1_000);
    }
    this.takeReports();
    for (const [sailId, desired] of this.wanted) {
      const container = rig.engine.containers.get(nameOf(sailId));
      const runs = container?.status === "running";
      const end = this.ends.get(sailId);
      if (desired === "stop") {
        assert.ok(end !== undefined && !runs, `${sailId} was to be stopped (I5): ${end}, ${runs}`);
      } else assert.equal(runs, end === undefined, `${sailId}: ${end ?? "no end"}, container ${container?.status}`);
    }
  }
}

Deno.test("property: one container an attempt, one end, stops hold, and all converges when the faults end", async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.record({ a: fc.constantFrom(...POLICIES), b: fc.constantFrom(...POLICIES), c: fc.constantFrom(...POLICIES) }),
      async (list, policies) => {
        const world = new World(policies);
        await world.rig.boot();
        await world.connect();
        for (const step of list) await world.do(step);
        await world.converge();
        // Names are unique in an engine, so a second container of an attempt would be one of another name.
        for (const name of world.rig.engine.containers.keys()) {
          assert.ok(IDS.map((x) => nameOf(x)).includes(name), name);
        }
        world.rig.logger.errors.splice(0);
        await world.rig.end();
      },
    ),
    { numRuns: Number(Deno.env.get("ORMEN_CHAOS_RUNS") ?? 300) },
  );
});
