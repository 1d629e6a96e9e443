/**
 * A whole cluster in one process, made from a seed: decks, machines with sailors and Engines, the network between them, users.
 * Faults rule until `faultsMs`; then they stop, and everything must come right; then all is stopped, and nothing may be left.
 */
import type { Link } from "../../lib/contracts/link.ts";
import type { Settings } from "../../lib/core/input.ts";
import { STREAM_PATH } from "../../lib/messages/session.ts";
import type { Phase } from "./convergence.ts";
import { unsettled } from "./convergence.ts";
import { Decks } from "./decks.ts";
import { Dice } from "./dice.ts";
import type { Disk } from "./disk.ts";
import { createDisk } from "./disk.ts";
import type { Engine } from "./engine.ts";
import { createEngine } from "./engine.ts";
import { startFaults, stopFaults } from "./faults.ts";
import { Invariants } from "./invariants.ts";
import type { Violation } from "./invariants.ts";
import type { Life } from "./life.ts";
import { never } from "./life.ts";
import { Network } from "./network.ts";
import { Node } from "./nodes.ts";
import { Schedule } from "./schedule.ts";
import { Story } from "./story.ts";
import { Truth } from "./truth.ts";
import { Users } from "./users.ts";
import { forgetStates, wrongCount, wrongIndex } from "./workflow/indexes.ts";
import { ServiceUsers } from "./service/users.ts";
import { WorkflowUsers } from "./workflow/users.ts";
import { Weather } from "./weather.ts";

const MIB = 2 ** 20;
/**
 * After the last fault, everything must be as it should within this. Most runs that are drawn take a few minutes; one whose step
 * runs another, all of them tried three times until they time out, takes half of it.
 */
const CONVERGES_WITHIN_MS = 40 * 60_000;
const LOOK_EVERY_MS = 3_000;
const COUNT_EVERY_EVENTS = 100;

export interface RunOptions {
  readonly seed: number;
  readonly without?: ReadonlySet<string>;
  /** Keep the lines of the story. */
  readonly keepStory?: boolean;
}

export interface Outcome {
  readonly seed: number;
  readonly violation: Violation | undefined;
  readonly hash: string;
  readonly lines: readonly string[];
  readonly story: Story;
  readonly events: number;
  readonly simulatedMs: number;
  /** Places where a process could have died, and how often one did. */
  readonly crashPoints: number;
  readonly crashes: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly kinds: readonly string[];
  readonly tasks: number;
  readonly runs: number;
  readonly rollouts: number;
  readonly nodes: number;
}

export class World {
  readonly seed: number;
  readonly schedule = new Schedule();
  readonly story: Story;
  readonly weather: Weather;
  readonly truth = new Truth();
  readonly deckDisk: Disk;
  readonly engines: Engine[] = [];
  readonly nodes: Node[] = [];
  readonly lives: Life[] = [];
  readonly network: Network;
  readonly decks: Decks;
  readonly invariants: Invariants;
  readonly users: Users;
  readonly workflowUsers: WorkflowUsers;
  readonly serviceUsers: ServiceUsers;
  readonly settings: Omit<Settings, "clusterId" | "term">;
  readonly faultsMs: number;

  constructor({ seed, without, keepStory = false }: RunOptions) {
    this.seed = seed;
    const dice = new Dice(seed, "world");
    const { schedule } = this;
    this.story = new Story(keepStory, () => schedule.nowMs);
    this.weather = new Weather(seed, without);
    this.deckDisk = createDisk((key, _before, after) => this.truth.take(key, after));
    this.faultsMs = dice.between(30, 240) * 1_000;
    const heartbeatMs = dice.pick([2_000, 5_000, 5_000, 10_000]);
    this.settings = {
      version: "sim",
      scheduler: dice.pick(["roundrobin", "greedy", "epvm", "binpack", "spread"]),
      heartbeatMs,
      nodeTimeoutMs: heartbeatMs * dice.pick([3, 4, 5]),
      keepEndedMs: 72 * 3600e3,
      keepEndedMax: 20_000,
      keepEventsMax: dice.pick([200, 100_000]),
    };
    const nodes = dice.chance(0.85) ? dice.between(1, 5) : dice.between(6, 20);
    const memoryBytes = dice.pick([256, 512, 1024, 4096]) * MIB;
    for (let i = 0; i < nodes; i++) {
      const shares = i > 0 && dice.chance(0.15);
      const wall = { offsetMs: 1_700_000_000_000 + dice.below(4_000) };
      if (!shares) {
        const id = `engine-${i}`;
        this.engines.push(createEngine({ id, memoryBytes, seed, wall, schedule, weather: this.weather }));
      }
      this.nodes.push(new Node(this, `n${i}`, this.engines.at(-1)!, dice.chance(0.3), wall));
    }
    this.invariants = new Invariants({
      truth: this.truth,
      engines: this.engines,
      termOf: (nodeId) => this.nodes.find(({ id }) => id === nodeId)!.term,
      nowMs: () => this.schedule.nowMs,
      newestTerm: () => this.deckDisk.memory.term,
      clocksJump: this.weather.kinds().includes("clockJump"),
    });
    this.network = new Network({
      schedule,
      weather: this.weather,
      seed,
      onFrame: (connection, from, frame) => {
        this.story.tell(from === "deck" ? connection.deckSide.name : connection.sailorSide.name, brief(frame));
        this.invariants.frame(connection, from, frame);
      },
    });
    this.decks = new Decks(this, this.deckDisk);
    this.users = new Users(this);
    this.workflowUsers = new WorkflowUsers(this);
    this.serviceUsers = new ServiceUsers(this);
  }

  /** Dials `url` for `life`; `connect` answers with its end of the link or throws. Streams are not part of this world. */
  dial(life: Life, url: string, signal: AbortSignal | undefined, connect: (address: string) => Link): Promise<Link> {
    if (url.endsWith(STREAM_PATH)) {
      return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("given up"))));
    }
    if (!life.alive) return never();
    return life.call("dial", () => connect(new URL(url).host));
  }

  async run(): Promise<Outcome> {
    forgetStates();
    this.decks.boot();
    for (const node of this.nodes) node.boot();
    this.users.start();
    this.workflowUsers.start();
    this.serviceUsers.start();
    startFaults(this);
    await this.#advance(this.faultsMs);
    this.story.tell("world", "faults stop");
    stopFaults(this);
    await this.#settle("run");
    this.story.tell("world", "everything is to be stopped");
    await this.#settle("stop");
    this.story.tell("world", "every run is to end");
    await this.#settle("end");
    const wrong = wrongIndex();
    if (wrong) this.invariants.fail("counts", wrong);
    return this.#outcome();
  }

  async #settle(phase: Phase): Promise<void> {
    const untilMs = this.schedule.nowMs + CONVERGES_WITHIN_MS;
    const settled = new Set<string>();
    let left = unsettled(this, phase, settled);
    while (left.length > 0 && !this.invariants.violation) {
      if (this.schedule.nowMs >= untilMs) {
        const { what, about } = left[0];
        this.invariants.fail("I9", `after ${CONVERGES_WITHIN_MS / 60_000} minutes without faults: ${what}`, about);
        return;
      }
      this.workflowUsers.pauseAll();
      if (phase === "run") this.serviceUsers.resumeAll();
      else this.serviceUsers.removeAll();
      if (phase !== "run") this.users.stopAll();
      if (phase === "end") this.users.resumeAll();
      await this.#advance(LOOK_EVERY_MS);
      left = unsettled(this, phase, settled);
      this.invariants.workflows.nothingIsForgotten(this.schedule.nowMs);
    }
  }

  async #advance(ms: number): Promise<void> {
    if (this.invariants.violation) return;
    await this.schedule.run(this.schedule.nowMs + ms, () => {
      this.invariants.afterEvent();
      if (this.schedule.events % COUNT_EVERY_EVENTS === 0) this.#checkCounts();
      return this.invariants.violation === undefined;
    });
  }

  #checkCounts(): void {
    const wrong = wrongCount();
    if (wrong) this.invariants.fail("counts", wrong);
  }

  #outcome(): Outcome {
    const { violation } = this.invariants;
    if (violation) this.story.tell("world", `${violation.rule} is broken: ${violation.what}`);
    return {
      seed: this.seed,
      violation,
      hash: this.story.hash,
      lines: this.story.lines,
      story: this.story,
      events: this.schedule.events,
      simulatedMs: this.schedule.nowMs,
      crashPoints: this.lives.reduce((sum, life) => sum + life.crashPoints, 0),
      crashes: this.lives.filter((life) => !life.alive).length,
      faults: this.weather.happened,
      kinds: this.weather.kinds(),
      tasks: this.users.taskCount,
      runs: this.truth.workflows.runs.size,
      rollouts: this.invariants.services.rollouts,
      nodes: this.nodes.length,
    };
  }
}

const BRIEF_MAX = 400;

/** A frame as a line of the story. */
function brief(frame: string): string {
  const kind = /"kind":"(\w+)"/.exec(frame)?.[1];
  if (kind === "ping" || kind === "heartbeat") return `sends ${kind}`;
  const parts = [
    ...frame.matchAll(
      /"attemptId":"([^"]+)"(?:,"sailId":"[^"]*","number":\d+,"(?:revision":(\d+),"state|desired)":"(\w+)")?/g,
    ),
  ]
    .map(([, id, revision, state]) => `${id}${state ? ` ${state}` : ""}${revision ? ` r${revision}` : ""}`);
  const drop = /"drop":\[([^\]]*)\]/.exec(frame)?.[1];
  return `sends ${kind} ${parts.join(", ")}${drop ? ` drop ${drop}` : ""}`.slice(0, BRIEF_MAX);
}
