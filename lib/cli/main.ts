/**
 * The command line's entry: from arguments to an exit code. Never leaves the process by itself, so that the runtime
 * can write its code cache after the first start.
 *
 * Exit codes: 0 done, 1 failed, 2 called wrongly; `exec` and `run --attach` pass on the code of what they ran.
 */
import { CommanderError } from "commander";
import type { Context } from "./context.ts";
import { describeFailure, failureOf } from "./failure.ts";
import { type Io, OutputClosed, systemIo } from "./io.ts";
import { buildProgram, pathOf } from "./program.ts";

export async function main(argv: readonly string[], io: Io = systemIo()): Promise<number> {
  const context: Context = { io, exitCode: 0 };
  let command = "";
  try {
    const program = buildProgram(context, argv);
    if (argv.length === 0) {
      program.outputHelp();
      return 0;
    }
    program.hook("preAction", (_program, called) => {
      command = pathOf(called);
    });
    await program.parseAsync([...argv], { from: "user" });
    return context.exitCode;
  } catch (error) {
    if (error instanceof OutputClosed) return 0;
    // commander has said what was wrong; its help and version are no errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const failure = failureOf(error, command);
    io.err(describeFailure(failure));
    return failure.exitCode;
  }
}
