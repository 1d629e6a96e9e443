/**
 * A node that the network cuts off: its sailor lives in a network namespace of its own, joined to the deck by a pair of
 * virtual cards. With one of them down nothing comes through and nobody is told: no reset, no end of the connection.
 */
import assert from "node:assert/strict";
import { engine, testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { skipUnless } from "../fixtures/skip.ts";
import { EngineRecord } from "./engine_record.ts";
import { resourcesAreBack, resourcesOf } from "./resources.ts";
import { Fleet, type FleetOptions } from "./support.ts";

const SBIN = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
const mayCut = Deno.build.os === "linux" && Deno.uid() === 0 &&
  (await run("unshare", "-n", "ip", "link", "add", "near", "type", "veth", "peer", "name", "far")).success;
/** What is silent for longer is given up, by both sides. */
const times = ["--heartbeat", "500ms", "--node-timeout", "3s"];
const CUT = 0;

/** The far side is a namespace that lives as long as its keeper and its sailor; both cards end with it. */
class Cable implements AsyncDisposable {
  readonly #near = `ormen${Deno.pid % 100_000}n`;
  readonly #far = `ormen${Deno.pid % 100_000}f`;
  readonly nearIp: string;
  readonly farIp: string;

  private constructor(readonly keeper: Deno.ChildProcess) {
    // 169.254.0.0/16 is for links between neighbours, and routed nowhere.
    const net = `169.254.${1 + Deno.pid % 250}`;
    this.nearIp = `${net}.1`;
    this.farIp = `${net}.2`;
  }

  static async lay(): Promise<Cable> {
    const keeper = new Deno.Command("unshare", {
      args: ["-n", "sh", "-c", "echo there; exec sleep 1000"],
      stdout: "piped",
    }).spawn();
    const told = keeper.stdout.getReader();
    await told.read();
    await told.cancel();
    const cable = new Cable(keeper);
    try {
      await ok("ip", "link", "add", cable.#near, "type", "veth", "peer", "name", cable.#far, "netns", `${keeper.pid}`);
      await ok("ip", "addr", "add", `${cable.nearIp}/30`, "dev", cable.#near);
      await ok("ip", "link", "set", cable.#near, "up");
      await ok(...cable.through, "ip", "addr", "add", `${cable.farIp}/30`, "dev", cable.#far);
      await ok(...cable.through, "ip", "link", "set", "lo", "up");
      await cable.heal();
      return cable;
    } catch (error) {
      await cable[Symbol.asyncDispose]();
      throw error;
    }
  }

  get through(): string[] {
    return ["nsenter", "-t", `${this.keeper.pid}`, "-n"];
  }

  cut(): Promise<void> {
    return ok(...this.through, "ip", "link", "set", this.#far, "down");
  }

  heal(): Promise<void> {
    return ok(...this.through, "ip", "link", "set", this.#far, "up");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("ip", "link", "del", this.#near);
    this.keeper.kill("SIGKILL");
    await this.keeper.status;
  }
}

const WAYS: readonly (readonly [string, (cable: Cable) => FleetOptions])[] = [
  ["that dials its deck", ({ nearIp, through }) => ({
    join: true,
    sailorFlags: (i) => ["-n", i === CUT ? "cut" : "near"],
    sailorThrough: (i) => i === CUT ? through : [],
    deckHost: (i) => i === CUT ? nearIp : "localhost",
    deckFlags: [...times, "-H", "0.0.0.0"],
  })],
  ["that its deck dials", ({ farIp, through }) => ({
    sailorFlags: (i) => i === CUT ? ["-H", farIp] : [],
    sailorThrough: (i) => i === CUT ? through : [],
    sailorHost: (i) => i === CUT ? farIp : "localhost",
    deckFlags: times,
  })],
];

for (const [way, optionsOf] of WAYS) {
  const name = `a node ${way} is cut off and healed: replaced, its stale attempts stopped, ready again`;
  if (engine() && !mayCut) {
    const reason = `"${name}" lays a cable between network namespaces, which takes root and the right to make them`;
    Deno.test({ name, ...skipUnless(false, reason), fn() {} });
    continue;
  }
  testWithEngine(name, async (engine) => {
    await using cable = await Cable.lay();
    await Fleet.use(engine, { sailors: 2, token: "a-token-of-the-tests-alone", ...optionsOf(cable) }, async (fleet) => {
      await using record = await EngineRecord.start(engine);
      const fresh = resourcesOf(fleet);
      const nodes = async () => (await fleet.http("GET", "/v1/nodes")).body.nodes as { name: string; status: string }[];
      const isCut = (node: { name: string }) => node.name === "cut" || node.name.startsWith(cable.farIp);
      const cutName = (await nodes()).find(isCut)!.name;
      const there = { constraints: [`node.name == ${cutName}`] };
      const task = { image, cmd: ["sleep", "1000"], cpu: 0.02, memory: "6MiB" };
      for (const name of ["moves-1", "moves-2", "moves-3", "moves-4"]) {
        await fleet.submit({ ...task, name, restart: "always" });
      }
      await fleet.submit({ ...task, ...there, name: "stays" });
      await fleet.submit({ ...task, ...there, name: "doomed", restart: "always" });
      const before = new Map((await fleet.tasks()).map(({ id, name }) => [name, id]));
      for (const name of before.keys()) await fleet.until(name, "running");
      const stays = await fleet.task("stays");
      const moving = (await fleet.tasks()).filter((t) => t.name.startsWith("moves") && t.attempt!.node === cutName);
      assert.ok(moving.length > 0);

      await cable.cut();
      // Both ends find out by themselves, each by the other's silence.
      await eventually("the deck gives it up", async () => (await nodes()).find(isCut)!.status === "down", 60_000);
      await eventually("the sailor gives the deck up", () => fleet.sailors[CUT]!.log.includes("was silent for"));
      for (const { name } of moving) {
        await eventually(`${name} runs elsewhere`, async () => {
          const now = await fleet.task(name);
          return now.state === "running" && now.attempt!.node !== cutName;
        }, 60_000);
      }
      await fleet.ok("stop", "doomed");
      await fleet.submit({ ...task, ...there, name: "waits" });
      assert.match((await fleet.task("waits")).why!, /1 is down/);

      await cable.heal();
      await eventually("it is ready again", async () => (await nodes()).find(isCut)!.status === "ready", 60_000);
      await fleet.until("doomed", "stopped", 60_000);
      await fleet.until("waits", "running", 60_000);
      await eventually("each task that runs does so in the one container that the deck knows", async () => {
        const running = (await fleet.containers(false)).map((container) => container.attempt).sort();
        const told = (await fleet.tasks()).filter((t) => t.state === "running").map((t) => t.attempt!.id).sort();
        return JSON.stringify(running) === JSON.stringify(told);
      }, 60_000);
      const after = await fleet.task("stays");
      assert.deepEqual([after.state, after.attempt!.id], ["running", stays.attempt!.id], "nothing else could run it");
      assert.equal(after.attempt!.containerId, stays.attempt!.containerId);
      for (const [name, id] of before) assert.equal((await fleet.task(name)).id, id);
      // What replaced a task was made once, on a node that could be told to.
      const own = record.events.filter((event) => [...before.values()].includes(event.task));
      const attempts = own.filter((event) => event.action === "create").map((event) => event.attempt);
      assert.equal(new Set(attempts).size, attempts.length);
      assert.equal(record.broken, null);
      await resourcesAreBack(fleet, fresh);
    });
  });
}

async function run(...[program, ...args]: string[]): Promise<{ success: boolean; text: string }> {
  try {
    const { success, stderr } = await new Deno.Command(program, { args, stdin: "null", env: { PATH: SBIN } }).output();
    return { success, text: new TextDecoder().decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { success: false, text: `there is no ${program}` };
    throw error;
  }
}

async function ok(...command: string[]): Promise<void> {
  const { success, text } = await run(...command);
  assert.ok(success, `${command.join(" ")}: ${text}`);
}
