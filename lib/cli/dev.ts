/** `ormen dev`: a deck and one sailor in one process, on loopback, for a laptop. */
import type { Command } from "commander";
import { action, type Context, withExample, withJson } from "./context.ts";
import { DECK_PORT, deckOptions, withSchedulerAndTimes } from "./deck.ts";
import type { DeckFlags } from "./deck.ts";
import { runUntilSignal } from "./lifetime.ts";
import { withData } from "./listen.ts";
import { type DeckOptions, defaultDataDir, portOf, type Running, type SailorOptions } from "./options.ts";
import { type SailorFlags, sailorOptions, withBounds } from "./sailor.ts";

type DevFlags = DeckFlags & Pick<SailorFlags, "runtime" | "allowBinds" | "allowHostNetwork" | "http">;

const LOOPBACK = "127.0.0.1";

export function addDev(program: Command, context: Context): void {
  const command = program.command("dev").description("run deck and sailor in one process, on this machine only");
  command.option("-p, --port <port>", "port of the deck; 0 for any that is free", String(DECK_PORT));
  withSchedulerAndTimes(withData(withBounds(command)));
  withExample(withJson(command), "ormen dev", "ormen dev -p 6000 --runtime docker,process");
  command.action(action(context, (flags: DevFlags) => dev(context, flags)));
}

async function dev(context: Context, flags: DevFlags): Promise<number> {
  const options = devOptions(context, flags);
  let deck: Running;
  const startDeck = async () => deck = await (await import("./start_deck.ts")).startDeck(options.deck);
  // The deck's true address is known once it listens.
  const startSailor = async () =>
    await (await import("./start_sailor.ts")).startSailor({ ...options.sailor, join: deck.url });
  return await runUntilSignal(
    context,
    [
      { name: "deck", address: `${LOOPBACK}:${options.deck.port}`, start: startDeck },
      { name: "sailor", address: LOOPBACK, start: startSailor },
    ],
    flags.json === true,
  );
}

export function devOptions(context: Context, flags: DevFlags): { deck: DeckOptions; sailor: SailorOptions } {
  const port = portOf("--port", flags.port);
  const dataDir = flags.dataDir ?? defaultDataDir("dev", port === DECK_PORT, port, context.io.env);
  const deck = deckOptions(context, { ...flags, host: LOOPBACK, workers: [], dataDir: `${dataDir}/deck` });
  const sailor = sailorOptions(context, {
    ...flags,
    host: LOOPBACK,
    port: "0",
    dataDir: `${dataDir}/sailor`,
    reserveCpu: "0",
    reserveMemory: "0",
  });
  return { deck, sailor };
}
