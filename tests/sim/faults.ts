/** Faults that come at a time of their own, and their end. */
import { LABEL_ATTEMPT } from "../../lib/contracts/runtime.ts";
import { runningOn } from "./invariants.ts";
import type { TimedFault } from "./weather.ts";
import { TIMED_FAULTS } from "./weather.ts";
import type { World } from "./world.ts";

export function startFaults(world: World): void {
  for (const kind of TIMED_FAULTS) {
    const meanMs = world.weather.meanMs(kind);
    if (meanMs !== undefined) next(world, kind, meanMs);
  }
}

/** From now on nothing breaks by itself: all that is away comes back, all that is dead is started. */
export function stopFaults(world: World): void {
  world.weather.over = true;
  world.deckDisk.outage = false;
  for (const node of world.nodes) {
    node.disk.outage = false;
    world.network.heal(node.id);
  }
  for (const { fake } of world.engines) {
    fake.release();
    fake.back();
  }
  world.decks.settle();
}

function next(world: World, kind: TimedFault, meanMs: number): void {
  world.schedule.after(world.weather.dice(kind).wait(meanMs), () => {
    if (world.weather.over) return;
    world.weather.count(kind);
    befall(world, kind);
    next(world, kind, meanMs);
  });
}

function befall(world: World, kind: TimedFault): void {
  const { weather, schedule, story, network } = world;
  const dice = weather.dice(kind);
  const lastsMs = (least: number, most: number) => Math.ceil(dice.logarithmic(least, most));
  const tell = (what: string) => story.tell("world", what);
  switch (kind) {
    case "deckDies":
      return world.decks.kill();
    case "sailorDies":
      return dice.pick(world.nodes).kill();
    case "deckTwin":
      return world.decks.bootTwin();
    case "linkCut": {
      const connection = network.pick();
      if (!connection) return;
      tell(`the connection of ${connection.nodeId} is cut`);
      return network.sever(connection);
    }
    case "partition": {
      const { id } = dice.pick(world.nodes);
      tell(`${id} is cut off`);
      network.cutOff(id);
      schedule.after(lastsMs(500, 120_000), () => {
        tell(`${id} can be reached again`);
        network.heal(id);
      });
      return;
    }
    case "engineAway":
    case "engineRestart": {
      const { id, fake } = dice.pick(world.engines);
      tell(`${id} goes away`);
      fake.away();
      const restarted = kind === "engineRestart";
      schedule.after(lastsMs(100, 40_000), () => {
        tell(`${id} is back${restarted ? ", restarted" : ""}`);
        fake.back({ restarted });
      });
      return;
    }
    case "containerEnds": {
      const running = world.engines.flatMap((engine) => runningOn(engine).map((container) => ({ engine, container })));
      if (running.length === 0) return;
      const { engine, container } = dice.pick(running);
      const how = dice.pick(["exit", "fail", "kill", "vanish"] as const);
      tell(`the container of ${container.labels[LABEL_ATTEMPT]} on ${engine.id}: ${how}`);
      if (how === "kill") return engine.fake.kill(container.name);
      if (how === "vanish") return engine.fake.vanish(container.name);
      return engine.fake.exit(container.name, how === "exit" ? 0 : 1);
    }
    case "storeOutage": {
      const disk = dice.chance(0.6) ? world.deckDisk : dice.pick(world.nodes).disk;
      tell(`${disk === world.deckDisk ? "the deck's" : "a sailor's"} disk is full`);
      disk.outage = true;
      schedule.after(lastsMs(200, 30_000), () => {
        tell("a disk has room again");
        disk.outage = false;
      });
      return;
    }
    case "clockJump": {
      const wall = dice.chance(0.5) ? world.decks.wall : dice.pick(world.nodes).wall;
      const ms = lastsMs(10, 3_600_000) * (dice.chance(0.5) ? 1 : -1);
      tell(`a wall clock jumps by ${ms / 1000} s`);
      wall.offsetMs += ms;
      return;
    }
    case "release":
      for (const { fake } of world.engines) fake.release();
      return;
    default:
      kind satisfies never;
  }
}
