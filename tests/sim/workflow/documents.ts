/**
 * Random workflows: every kind of step and condition that the language has, valid by construction. What never ends by
 * itself has a timeout, so that a run which does not end is a fault of Ormen's.
 */
import type { Dice } from "../dice.ts";

export type Keys = Record<string, unknown>;
export interface Source {
  readonly workflow: Keys;
  readonly included: Record<string, Keys>;
}

const CHILD = "child.yaml";
const NATURES_OF_STEPS = [...Array(10).fill("ends"), "flaky", "flaky", "flaky", "fails", "crashes", "cannotStart"];

/** `names`: workflows that may be registered by the time a step calls them, or not. */
export function drawSource(dice: Dice, name: string, names: readonly string[]): Source {
  const workflow = drawDocument(dice, name, Math.ceil(dice.logarithmic(1, 12)), [CHILD, CHILD, ...names]);
  const child = drawDocument(dice, `${name}c`, dice.between(1, 3), []);
  const calls = JSON.stringify(workflow).includes(CHILD);
  return { workflow, included: calls ? { [CHILD]: child } : {} };
}

/** The same workflow on a schedule. */
export function scheduled(dice: Dice, { workflow, included }: Source): Source {
  const catchup = dice.pick(["none", "latest", "all"]);
  const schedule = {
    cron: "* * * * *",
    overlap: dice.pick(["skip", "queue", "replace"]),
    catchup,
    // A clock that jumps by an hour would make sixty runs, and they might queue for longer than is waited for.
    catchupWindow: dice.pick(catchup === "all" ? ["1m", "3m"] : ["1m", "3m", "1h"]),
  };
  return { workflow: { ...workflow, schedule }, included };
}

function drawDocument(dice: Dice, name: string, count: number, callable: readonly string[]): Keys {
  const drawn = new Drawn(dice, callable);
  for (let at = 0; at < count; at++) drawn.addStep(at);
  drawn.limitServices();
  const closing = () => Array.from({ length: dice.between(1, 2) }, () => drawn.closingStep());
  return {
    name,
    params: { n: { type: "number", default: 1 } },
    ...(dice.chance(0.3) ? { env: { N: "${{ params.n }}" } } : {}),
    ...(dice.chance(0.25) || drawn.needsTimeout ? { timeout: `${dice.between(20, 150)}s` } : {}),
    ...(dice.chance(0.3) ? { concurrency: drawConcurrency(dice, name) } : {}),
    ...(dice.chance(0.3) ? { defaults: { retry: drawRetry(dice) } } : {}),
    steps: drawn.steps,
    ...(dice.chance(0.4) ? { onFailure: closing() } : {}),
    ...(dice.chance(0.5) ? { finally: closing() } : {}),
    ...(dice.chance(0.2) ? { outputs: { r: "${{ steps.s0.outputs.?o.orValue('') }}" } } : {}),
  };
}

function drawConcurrency(dice: Dice, name: string): Keys {
  return {
    group: dice.pick(["all", "all-${{ params.n }}", name]),
    limit: dice.between(1, 2),
    onConflict: dice.pick(["queue", "queue", "cancel", "fail"]),
  };
}

function drawRetry(dice: Dice): Keys {
  return {
    limit: dice.between(0, 3),
    delay: dice.pick(["0s", "500ms", "2s"]),
    maxDelay: "4s",
    factor: dice.pick([1, 2]),
    jitter: dice.pick([0, 0.1, 1]),
    ...(dice.chance(0.15) ? { when: dice.pick(["exitCode != 2", "attempt < 2", "outcome == 'failed'"]) } : {}),
  };
}

class Drawn {
  readonly steps: Record<string, Keys> = {};
  needsTimeout = false;
  readonly #services: string[] = [];
  readonly #lists: string[] = [];
  readonly #before = new Map<string, Set<string>>();

  constructor(readonly dice: Dice, readonly callable: readonly string[]) {}

  addStep(at: number): void {
    const { dice } = this;
    const id = `s${at}`;
    const needs = this.#drawNeeds(at);
    const before = new Set(needs.flatMap(({ step }) => [step, ...this.#before.get(step)!]));
    this.#before.set(id, before);
    const keys: Keys = { ...this.#action(id, before), ...this.#fanOut(before) };
    if (keys.task && !keys.timeout && dice.chance(0.2)) keys.timeout = `${dice.between(1, 15)}s`;
    if (dice.chance(0.5)) keys.retry = drawRetry(dice);
    if (dice.chance(0.15)) keys.continueOnError = true;
    if (dice.chance(0.25)) keys.when = this.#drawWhen([...before], needs.length > 0);
    if (dice.chance(0.3)) keys.onNodeLost = dice.pick(["wait", "retry", "retry"]);
    if (dice.chance(0.3)) keys.onCrash = dice.pick(["adopt", "retry", "fail"]);
    if (needs.length > 0) keys.needs = needs.map((need) => need.condition === "succeeded" ? need.step : need);
    this.steps[id] = keys;
  }

  closingStep(): Keys {
    const { dice } = this;
    return {
      ...this.#task(dice.pick(["ends", "ends", "flaky", "fails"])),
      ...(dice.chance(0.3) ? { retry: drawRetry(dice) } : {}),
      ...(dice.chance(0.3) ? { when: dice.pick(["failure()", "success()", "always()"]) } : {}),
      ...(dice.chance(0.1) ? { continueOnError: true } : {}),
    };
  }

  /** A service may hold the room that its users need, for ever: it, or its run, has a limit. */
  limitServices(): void {
    for (const id of this.#services) {
      const keys = this.steps[id];
      const isUsed = Object.values(this.steps).some(({ needs = [] }) =>
        (needs as unknown[]).some((need) => JSON.stringify(need) === JSON.stringify({ step: id, condition: "healthy" }))
      );
      if (isUsed && this.dice.chance(0.5)) this.needsTimeout = true;
      else keys.timeout = `${this.dice.between(10, 60)}s`;
    }
  }

  #drawNeeds(at: number): { step: string; condition: string }[] {
    const { dice } = this;
    const needs = new Map<string, string>();
    const count = at === 0 ? 0 : dice.pick([0, 1, 1, 1, 2, 3]);
    for (let i = 0; i < count; i++) {
      const step = dice.chance(0.4) && this.#services.length > 0 ? dice.pick(this.#services) : `s${dice.below(at)}`;
      const isService = this.#services.includes(step);
      const usual = dice.pick(["succeeded", "succeeded", "succeeded", "finished", "started"]);
      needs.set(step, isService && dice.chance(0.8) ? "healthy" : usual);
    }
    return [...needs].map(([step, condition]) => ({ step, condition }));
  }

  #action(id: string, before: ReadonlySet<string>): Keys {
    const { dice } = this;
    const what = dice.below(100);
    if (what < 8) return { sleep: dice.pick(["0s", "1s", "8s", "${{ params.n }}s"]) };
    if (what < 16) {
      const inputs = dice.chance(0.5) ? { inputs: { ticket: { type: "string" } } } : {};
      return {
        approval: { prompt: `go on with ${id} for \${{ params.n }}?`, ...inputs },
        timeout: `${dice.between(5, 60)}s`,
      };
    }
    if (what < 26 && this.callable.length > 0) {
      const limit = dice.chance(0.2) ? { timeout: `${dice.between(5, 40)}s` } : {};
      return { workflow: dice.pick(this.callable), with: { n: dice.pick([1, 2, "${{ params.n }}"]) }, ...limit };
    }
    if (what < 38) {
      this.#services.push(id);
      const { task } = this.#task(dice.pick(["stays", "stays", "stays", "ends", "fails", "slowStop", "deafToStop"]));
      return { task: { ...task as Keys, health: { exec: ["ready"], interval: "1s", timeout: "1s", retries: 2 } } };
    }
    if (what < 46) {
      this.#lists.push(id);
      return { ...this.#task("lists"), run: "list", outputs: { items: "${{ fromJSON(stdout) }}" } };
    }
    if (what < 52) {
      const task = this.#task(dice.pick(["stays", "slowStop", "deafToStop"]));
      return { ...task, timeout: `${dice.between(2, 15)}s` };
    }
    const task = this.#task(dice.pick(NATURES_OF_STEPS));
    const source = [...before].find((step) => this.steps[step].outputs);
    return {
      ...task,
      ...(dice.chance(0.3) ? { run: "work" } : {}),
      ...(dice.chance(0.3) ? { outputs: { o: "${{ stdout }}" } } : {}),
      ...(source && dice.chance(0.5) ? { env: { FROM: `\${{ steps.${source}.outputs.?o.orValue('none') }}` } } : {}),
    };
  }

  #task(nature: string): Keys {
    const { dice } = this;
    return {
      task: { image: `${nature}:1`, memory: "16MiB", cpu: dice.pick([0.1, 0.2]), grace: dice.pick(["0s", "1s", "5s"]) },
    };
  }

  #fanOut(before: ReadonlySet<string>): Keys {
    const { dice } = this;
    const list = this.#lists.find((step) => before.has(step));
    const kind = list !== undefined && dice.chance(0.7)
      ? { forEach: `\${{ steps.${list}.outputs.?items.orValue([]) }}` }
      : dice.chance(0.12)
      ? {
        matrix: {
          os: ["a", "b", "c"].slice(0, dice.between(1, 3)),
          ...(dice.chance(0.3) ? { include: [{ os: "d" }] } : {}),
        },
      }
      : undefined;
    if (!kind) return {};
    return {
      ...kind,
      ...(dice.chance(0.6) ? { maxParallel: dice.between(1, 3) } : {}),
      ...(dice.chance(0.6) ? { failFast: dice.chance(0.5) } : {}),
    };
  }

  /** Conjunctions only: `model.ts` reads them. */
  #drawWhen(before: readonly string[], hasNeeds: boolean): string {
    const { dice } = this;
    const skippable = before.filter((step) => this.steps[step].when !== undefined);
    const one = (): string => {
      const pool = ["always()", "success()", "params.n == 1", "params.n > 1", "!failure()"];
      if (hasNeeds) pool.push("failure()");
      if (before.length > 0) {
        const step = dice.pick(before);
        pool.push(`succeeded('${step}')`, `failed('${step}')`, `!failed('${step}')`);
      }
      if (skippable.length > 0) pool.push(`skipped('${dice.pick(skippable)}')`);
      return dice.pick(pool);
    };
    const first = one();
    return dice.chance(0.25) && !/\('/.test(first) ? `${first} && params.n < 3` : first;
  }
}
