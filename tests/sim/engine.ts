/** Engines whose containers do what their image's name says, and the runtime that one life of a sailor has on one. */
import type { FakeEngine, FakeScript } from "../../lib/adapters/fake_runtime.ts";
import { createFakeEngine, createFakeRuntime } from "../../lib/adapters/fake_runtime.ts";
import type { ContainerObservation, ContainerSpec, Runtime } from "../../lib/contracts/runtime.ts";
import { RuntimeError } from "../../lib/contracts/runtime.ts";
import { Dice } from "./dice.ts";
import { never } from "./life.ts";
import type { Life, WallClock } from "./life.ts";
import type { Schedule } from "./schedule.ts";
import type { World } from "./world.ts";
import type { Weather } from "./weather.ts";

/** What a task is by nature; the name of its image says it. */
export const NATURES = ["stays", "ends", "fails", "crashes", "slowStop", "deafToStop", "cannotStart"] as const;
export type Nature = (typeof NATURES)[number];

/** What only steps of workflows are: some attempts fail, some print a list. */
export const STEP_NATURES = ["flaky", "lists"] as const;
type StepNature = Nature | typeof STEP_NATURES[number];

export const CPU_CORES = 4;

export interface Engine {
  readonly id: string;
  readonly memoryBytes: number;
  readonly fake: FakeEngine;
  /** Containers of which a sailor that was dead by then made or started something: nobody could have known. */
  readonly ghosts: Set<string>;
  /** As it was when it last changed. */
  look(): readonly ContainerObservation[];
  /** True once after each change. */
  changed(): boolean;
}

export function createEngine(options: {
  readonly id: string;
  readonly memoryBytes: number;
  readonly seed: number;
  readonly wall: WallClock;
  readonly schedule: Schedule;
  readonly weather: Weather;
}): Engine {
  const { id, memoryBytes, seed, schedule, weather, wall } = options;
  let dirty = true;
  let seen: readonly ContainerObservation[] | undefined;
  const fake = createFakeEngine({
    clock: {
      wallMs: () => wall.offsetMs + schedule.nowMs,
      monoMs: () => schedule.nowMs,
      after: (delayMs, task) => schedule.after(delayMs, task),
    },
    about: {
      engineId: id,
      version: "sim",
      capacity: { cpuCores: CPU_CORES, memoryBytes, diskBytes: 100 * 2 ** 30 },
    },
    script: (spec, run) => scriptOf(spec, run, seed, weather),
    onChange: () => {
      dirty = true;
      seen = undefined;
    },
  });
  for (const nature of [...NATURES, ...STEP_NATURES]) fake.registry.add(`${nature}:1`);
  for (const nature of NATURES.slice(0, 4)) fake.images.add(`${nature}:1`);
  return {
    id,
    memoryBytes,
    fake,
    ghosts: new Set(),
    look: () => seen ??= fake.look(),
    changed() {
      const was = dirty;
      dirty = false;
      return was;
    },
  };
}

function scriptOf(spec: ContainerSpec, run: number, seed: number, weather: Weather): FakeScript {
  if (run === 0) {
    if (weather.strikes("createHangs")) return { create: "hang" };
    if (weather.strikes("createFails")) return { create: new RuntimeError("failed", "no space left on device") };
    return {};
  }
  const dice = new Dice(seed, `container/${spec.name}/${run}`);
  const isStep = spec.labels["ormen.run"] !== undefined;
  const afterMs = Math.ceil(dice.logarithmic(5, isStep ? 8_000 : 60_000));
  const behaviour = behaviourOf(spec.image.split(":")[0] as StepNature, afterMs, dice);
  const fails = weather.strikes("startFails");
  return {
    ...(isStep ? leavingsOf(spec, dice) : {}),
    ...behaviour,
    // Asked for twice, when a start is called for and when it comes to be: one that has come to be ends as any other.
    ...(fails ? { start: new RuntimeError("failed", "cannot set up its network") } : {}),
  };
}

/** What a step prints and leaves behind ORMEN_OUTPUT; not always what was wanted. */
function leavingsOf({ image }: ContainerSpec, dice: Dice): FakeScript {
  const list = JSON.stringify(Array.from({ length: dice.below(6) }, (_, at) => at));
  const text = !image.startsWith("lists") ? `printed ${dice.below(9)}` : dice.chance(0.05) ? "[1, 2" : list;
  const output = dice.chance(0.02)
    ? new RuntimeError("failed", "cannot read the file")
    : dice.pick(["", "", "", "KEY=value\n", dice.chance(0.1) ? "nonsense\n" : "o=1\n"]);
  return { lines: [{ afterMs: 0, text }], output };
}

function behaviourOf(nature: StepNature, afterMs: number, dice: Dice): FakeScript {
  switch (nature) {
    case "stays":
      return {};
    case "ends":
      return { exit: { afterMs, code: 0 } };
    case "fails":
      return { exit: { afterMs, code: 1 } };
    case "crashes":
      return { exit: { afterMs: dice.chance(0.5) ? 0 : afterMs, code: dice.below(3), oom: dice.chance(0.2) } };
    case "slowStop":
      return { onStop: { afterMs: dice.between(1, 12_000), code: 0 } };
    case "deafToStop":
      return { onStop: null };
    case "flaky":
      return { exit: { afterMs, code: dice.chance(0.4) ? dice.between(1, 3) : 0 } };
    case "lists":
      return { exit: { afterMs, code: 0 } };
    case "cannotStart":
      return { start: new RuntimeError("invalid", "exec format error") };
  }
}

/** Calls take time and are where the sailor may die; what it asked for may happen all the same. */
export function openRuntime(life: Life, engine: Engine, nodeId: string, { schedule, story }: World): Runtime {
  const { wallMs, monoMs } = life.clock;
  // The Engine's own clock: a stop that was asked for goes on though the sailor dies.
  const clock = { wallMs, monoMs, after: (delayMs: number, task: () => void) => schedule.after(delayMs, task) };
  const inner = createFakeRuntime({ nodeId, engine: engine.fake, clock });
  const gone = new AbortController();
  life.onDeath(() => gone.abort());
  const call = <T>(what: string, effect: () => T | Promise<T>) => life.call(`engine.${what}`, effect);
  /** A call that changes something, and may do so after its caller's death. */
  const act = <T>(what: string, name: string, effect: () => Promise<T>) =>
    life.call(`engine.${what} ${name}`, () => {
      story.tell(life.name, `${what} ${name}`);
      return effect();
    }, { onGhost: () => engine.ghosts.add(name) });
  return {
    kind: inner.kind,
    info: () => call("info", () => inner.info()),
    list: () => call("list", () => inner.list()),
    inspect: (name) => call(`inspect ${name}`, () => inner.inspect(name)),
    inspectRaw: (name) => call("inspectRaw", () => inner.inspectRaw(name)),
    hasImage: (image) => call("hasImage", () => inner.hasImage(image)),
    pull: (image, signal) => call("pull", () => inner.pull(image, signal)),
    create: (spec, signal) => act("create", spec.name, () => inner.create(spec, signal)),
    start: (name) => act("start", name, () => inner.start(name)),
    stop: (name, graceMs) => act("stop", name, () => inner.stop(name, graceMs)),
    restart: (name, graceMs) => act("restart", name, () => inner.restart(name, graceMs)),
    remove: (name) => act("remove", name, () => inner.remove(name)),
    async *logs(name, request, signal) {
      await call("logs", () => {});
      for await (const chunk of inner.logs(name, request, signal)) {
        if (!life.alive) await never();
        yield chunk;
      }
    },
    leavings: (name, bytesMax) => call(`leavings ${name}`, () => inner.leavings(name, bytesMax)),
    exec: (name, request) => call("exec", () => inner.exec(name, request)),
    async *events(signal) {
      for await (const event of inner.events(AbortSignal.any([signal, gone.signal]))) {
        if (!life.alive) break;
        yield event;
      }
      if (!life.alive) await never();
    },
    close: () => inner.close(),
  };
}
