/** The command tree: every command with its options, set up to throw instead of leaving the process. */
import { Command } from "commander";
import { COMMIT, VERSION } from "../version.ts";
import { addBackup } from "./backup.ts";
import { addCert } from "./cert.ts";
import { addCompletions } from "./completions.ts";
import { type Context, withExample } from "./context.ts";
import { addDeck } from "./deck.ts";
import { addDev } from "./dev.ts";
import { addEvents } from "./events.ts";
import { addExec } from "./exec.ts";
import { helpHint } from "./failure.ts";
import { addLogs } from "./logs.ts";
import { addMast } from "./mast.ts";
import { addProxy } from "./proxy.ts";
import { addRestore } from "./restore.ts";
import { addRollout } from "./rollout/rollout.ts";
import { addRun } from "./run.ts";
import { addSailor } from "./sailor.ts";
import { addSecret } from "./secret.ts";
import { addService } from "./service/service.ts";
import { addStatus } from "./status.ts";
import { addStop } from "./stop.ts";
import { addToken } from "./token.ts";
import { addWorkflow } from "./workflow/workflow.ts";

export const VERSION_LINE = `ormen ${VERSION} (${COMMIT})`;

/** `argv` is what follows the program's name; deck and sailor print it into their units. */
export function buildProgram(context: Context, argv: readonly string[]): Command {
  const program = new Command("ormen")
    .description("Runs containers on many machines: a deck (manager), sailors (workers), and this command line.")
    .version(VERSION_LINE, "-V, --version", "print version and commit")
    // Options behind a command's name are the command's own.
    .enablePositionalOptions();
  withExample(program, "ormen dev", "ormen run -f task1.json --wait", "ormen status");
  addDeck(program, context, argv.slice(1));
  addSailor(program, context, argv.slice(1));
  addDev(program, context);
  addRun(program, context);
  addStatus(program, context);
  addStop(program, context);
  addLogs(program, context);
  addExec(program, context);
  addService(program, context);
  addRollout(program, context);
  addProxy(program, context);
  addWorkflow(program, context);
  addMast(program, context);
  addEvents(program, context);
  addBackup(program, context);
  addRestore(program, context);
  addSecret(program, context);
  addToken(program, context);
  addCert(program, context);
  addCompletions(program, context);
  for (const command of allCommands(program)) tame(command, context);
  return program;
}

export function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

/** `mast drain`; empty for the program itself. */
export function pathOf(command: Command): string {
  const names: string[] = [];
  for (let each = command; each.parent; each = each.parent) names.unshift(each.name());
  return names.join(" ");
}

function tame(command: Command, { io }: Context): void {
  const width = () => io.outIsTerminal ? io.size().columns : 100;
  command.exitOverride().configureOutput({
    writeOut: (text) => io.out(text),
    writeErr: (text) => io.err(text),
    getOutHelpWidth: width,
    getErrHelpWidth: width,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
    outputError(text, write) {
      const [sentence, ...rest] = text.trim().split("\n");
      write(
        [sentence, ...rest, helpHint(pathOf(command))].map((line, index) => index === 0 ? line : `  ${line}`).join(
          "\n",
        ) + "\n",
      );
    },
  });
}
