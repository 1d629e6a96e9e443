/**
 * What every command shares: where it writes, its exit code, and how it finds the deck.
 * The options `-m`, `--token-file` and `--json` are declared here once.
 */
import type { Command } from "commander";
import { connect, type Deck } from "../client/client.ts";
import type { Io } from "./io.ts";
import { CommandFailure } from "./failure.ts";
import { readTextFile } from "./text_file.ts";
import { tokensIn } from "./token_file.ts";

export interface Context {
  readonly io: Io;
  exitCode: number;
}

export interface DeckOption {
  readonly manager?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
}

export interface JsonOption {
  readonly json?: boolean;
}

export const DEFAULT_DECK = "localhost:5555";

export function withDeck(command: Command): Command {
  return command
    .option("-m, --manager <address>", `the deck to talk to (default: ORMEN_DECK, else ${DEFAULT_DECK})`)
    .option("--token-file <file>", "file with the deck's token (default: ORMEN_TOKEN)")
    .option("--ca <file>", CA_HELP);
}

export function withJson(command: Command): Command {
  return command.option("--json", "print JSON: one document, or one object a line for streams");
}

export function withExample(command: Command, ...lines: string[]): Command {
  const title = lines.length === 1 ? "Example" : "Examples";
  return command.addHelpText("after", `\n${title}:\n${lines.map((line) => `  $ ${line}`).join("\n")}`);
}

/** Sets the exit code from what the action returns; nothing means 0. */
export function action<A extends unknown[]>(
  context: Context,
  run: (...args: A) => Promise<number | void> | number | void,
): (...args: A) => Promise<void> {
  return async (...args) => {
    context.exitCode = (await run(...args)) ?? 0;
  };
}

export function deckOf(context: Context, options: DeckOption): Deck {
  const address = options.manager ?? (context.io.env("ORMEN_DECK") || DEFAULT_DECK);
  return connect(address, {
    token: tokenOf(context.io, options.tokenFile),
    caCerts: authoritiesOf(context.io, options.ca),
  });
}

export const CA_HELP = "authority (PEM) to trust besides the system's (default: ORMEN_CA)";

/** From the file, else from the one that ORMEN_CA names. */
export function authoritiesOf(io: Io, file: string | undefined): string[] {
  const path = file ?? (io.env("ORMEN_CA") || undefined);
  if (path === undefined) return [];
  const text = readTextFile(path, "the authority");
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g);
  if (!certificates) throw new CommandFailure(`${path} holds no certificate (PEM)`, ["make one with  ormen cert ca"]);
  return certificates;
}

/** From the file, else from ORMEN_TOKEN; null when there is none. */
export function tokenOf(io: Io, file: string | undefined): string | null {
  if (file === undefined) return io.env("ORMEN_TOKEN")?.trim() || null;
  return tokensIn(file)[0];
}

/** A command to type next, with the same deck as now. */
export function nextCommand(command: string, options: DeckOption): string {
  return options.manager === undefined ? `ormen ${command}` : `ormen ${command} -m ${options.manager}`;
}

export function printJson(io: Io, document: unknown): void {
  io.out(JSON.stringify(document, null, 2) + "\n");
}

export function printJsonLine(io: Io, document: unknown): void {
  io.out(JSON.stringify(document) + "\n");
}

/** For options that may be given several times. */
export function collect(value: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}
