/** `ormen deck`: runs the manager. Owns its flags; start_deck.ts, loaded when all of them are right, does the rest. */
import type { Command } from "commander";
import { Option } from "commander";
import { action, collect, type Context, printJson, withExample, withJson } from "./context.ts";
import { wrongUsage } from "./failure.ts";
import { runUntilSignal } from "./lifetime.ts";
import { type ListenFlags, listenOptions, withListen, withoutSecrets } from "./listen.ts";
import { addressesOf, countOf, type DeckOptions, durationOf, type SchedulerName, SCHEDULERS } from "./options.ts";
import type { Worker } from "./options.ts";
import type { TokenSource } from "./token_file.ts";
import { workerTokensIn } from "./token_file.ts";
import { systemdUnit } from "./unit.ts";

export const DECK_PORT = 5555;
export const SAILOR_PORT = 5556;
const DEFAULT_WORKERS = [`localhost:${SAILOR_PORT}`];

export interface DeckFlags extends ListenFlags {
  readonly workers?: readonly string[];
  readonly workerTokens?: string;
  readonly scheduler: SchedulerName;
  readonly heartbeat: string;
  readonly nodeTimeout: string;
  readonly keepTasks: string;
  readonly keepFor: string;
}

export function addDeck(program: Command, context: Context, args: readonly string[]): void {
  const command = program.command("deck").description("run the manager");
  withListen(command, DECK_PORT)
    .option(
      "-w, --workers <list>",
      `sailors to dial, host:port or https://host:port, comma list or repeated; "" for none (default: ${
        DEFAULT_WORKERS[0]
      })`,
      collect,
    )
    .option("--worker-tokens <file>", "lines of host:port TOKEN, for sailors with a token other than the deck's");
  withSchedulerAndTimes(command);
  withExample(
    withJson(command),
    "ormen deck",
    "ormen deck -w host-a:5556,host-b:5556 -s spread --token-file /etc/ormen/token",
    "ormen deck --print-unit --token-file /etc/ormen/token > /etc/systemd/system/ormen-deck.service",
  );
  command.action(action(context, (flags: DeckFlags) => deck(context, flags, args)));
}

export function withSchedulerAndTimes(command: Command): Command {
  return command
    .addOption(new Option("-s, --scheduler <name>", "how nodes are chosen").choices(SCHEDULERS).default("epvm"))
    .option("--heartbeat <duration>", "how often sailors report", "2s")
    .option("--node-timeout <duration>", "silence after which a node is down", "10s")
    .option("--keep-tasks <number>", "ended tasks to keep", "20000")
    .option("--keep-for <duration>", "how long ended tasks are kept", "72h");
}

async function deck(context: Context, flags: DeckFlags, args: readonly string[]): Promise<number> {
  if (flags.printUnit) return printUnit(context, flags, args);
  const options = deckOptions(context, flags);
  const start = async () => {
    const { giveUpRights, startDeck } = await import("./start_deck.ts");
    await giveUpRights();
    return await startDeck(options);
  };
  return await runUntilSignal(
    context,
    [{ name: "deck", address: `${options.host}:${options.port}`, start }],
    flags.json === true,
  );
}

/** Throws wrong usage, and the refusal to listen on a network without a token. */
export function deckOptions(context: Context, flags: DeckFlags): DeckOptions {
  const listen = listenOptions(context, "deck", flags, DECK_PORT);
  const heartbeatMs = durationOf("--heartbeat", flags.heartbeat, 100);
  const nodeTimeoutMs = durationOf("--node-timeout", flags.nodeTimeout, 200);
  if (nodeTimeoutMs < 2 * heartbeatMs) {
    throw wrongUsage(`--node-timeout ${flags.nodeTimeout} must be at least twice --heartbeat ${flags.heartbeat}`);
  }
  const addresses = addressesOf("--workers", flags.workers ?? DEFAULT_WORKERS, SAILOR_PORT);
  return {
    ...listen,
    workers: workersOf(addresses, listen.tokens, flags.workerTokens),
    scheduler: flags.scheduler,
    heartbeatMs,
    nodeTimeoutMs,
    keepTasks: countOf("--keep-tasks", flags.keepTasks),
    keepForMs: durationOf("--keep-for", flags.keepFor, 0),
  };
}

/** A sailor's listener has the deck's token unless the file names another. */
function workersOf(
  addresses: readonly { readonly address: string; readonly tls: boolean }[],
  own: TokenSource | null,
  file: string | undefined,
): Worker[] {
  const named = file === undefined ? new Map<string, string>() : workerTokensIn(file);
  return addresses.map(({ address, tls }) => ({
    address,
    tls,
    token: named.has(address) ? { kind: "worker", path: file!, address } : own,
  }));
}

/** Checks all but the secrets: their files may lie on another machine. */
function printUnit(context: Context, flags: DeckFlags, args: readonly string[]): number {
  deckOptions({ ...context, io: { ...context.io, env: () => undefined } }, {
    ...withoutSecrets(flags),
    workerTokens: undefined,
  });
  const unit = systemdUnit({ who: "deck", args, runtimes: [] });
  if (flags.json) printJson(context.io, { unit });
  else context.io.out(unit);
  return 0;
}
