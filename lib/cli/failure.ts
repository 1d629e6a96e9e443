/**
 * How a command fails: one sentence that names the thing, then the next step.
 * Exit codes: 1 it failed, 2 it was called wrongly.
 */
import { DeckError } from "../client/errors.ts";

export class CommandFailure extends Error {
  constructor(message: string, readonly hints: readonly string[] = [], readonly exitCode = 1) {
    super(message);
    this.name = "CommandFailure";
  }
}

/** `hint` tells how to get it right; the command's help is offered unless it is given. */
export function wrongUsage(message: string, ...hints: string[]): CommandFailure {
  return new CommandFailure(message, hints, 2);
}

/** Any error as one that a person can read. `command` such as `run` names the help to look at. */
export function failureOf(error: unknown, command: string): CommandFailure {
  if (error instanceof CommandFailure) {
    if (error.exitCode !== 2 || error.hints.length > 0) return error;
    return new CommandFailure(error.message, [helpHint(command)], 2);
  }
  if (error instanceof DeckError) return new CommandFailure(error.message, hintsOf(error));
  if (error instanceof Deno.errors.AddrInUse) {
    return new CommandFailure("the port is in use", ["choose another with -p"]);
  }
  return new CommandFailure(error instanceof Error ? error.message : String(error));
}

export function helpHint(command: string): string {
  return `see  ormen ${command === "" ? "" : `${command} `}--help`;
}

/** What is printed on standard error. */
export function describeFailure(failure: CommandFailure): string {
  return [`error: ${failure.message}`, ...failure.hints.map((hint) => `  ${hint}`)].join("\n") + "\n";
}

function hintsOf(error: DeckError): string[] {
  if (error.code === "unreachable" || error.code === "timedOut") {
    return ["is it running?  ormen deck   or set another with -m or ORMEN_DECK"];
  }
  if (error.status === 401) return ["give the deck's token with ORMEN_TOKEN or --token-file"];
  if (error.code === "badAddress") return ["set it with -m or ORMEN_DECK"];
  if (error.code === "badReply") return ["set another with -m or ORMEN_DECK"];
  return (error.problem?.errors ?? []).map((each) => `${each.pointer || "/"}  ${each.detail}`);
}
