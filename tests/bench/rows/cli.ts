/** Commands from the file that users have, from start to end, against a Go client that asks its daemon something. */
import type { Row } from "../figures.ts";
import { ORMEN, spawn, startDeck } from "../processes.ts";

export const cli: Row = {
  name: "cli",
  needsEngine: true,
  async run(bench) {
    const repetitions = bench.full ? 25 : 7;
    const deck = await startDeck();
    const commands: [string, string, string[]][] = [
      ["ormen --version", ORMEN, ["--version"]],
      ["ormen --help", ORMEN, ["--help"]],
      ["ormen status", ORMEN, ["status", "-m", deck.url]],
      ["docker ps", "docker", ["ps"]],
    ];
    try {
      const times = new Map<string, number[]>(commands.map(([name]) => [name, []]));
      for (let i = -3; i < repetitions; i++) {
        for (const [name, program, args] of commands) {
          const fromMs = performance.now();
          const { success } = await spawn(program, [], args, "null", { DOCKER_HOST: bench.engine! }).status;
          if (!success) throw new Error(`${name} failed`);
          if (i >= 0) times.get(name)!.push(performance.now() - fromMs);
        }
      }
      return {
        figures: commands.map(([name]) => ({
          what: name,
          unit: "ms",
          values: times.get(name)!,
          ...(name.startsWith("ormen") ? { reach: { atMost: 150 } } : {}),
        })),
        usage: [],
      };
    } finally {
      await deck.end();
    }
  },
};
