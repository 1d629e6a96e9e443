/** Reading a file that a flag names; what is wrong is told with the name. */
import { CommandFailure } from "./failure.ts";

export function readTextFile(path: string, what: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new CommandFailure(`cannot read ${what} ${path}: no such file`);
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new CommandFailure(`cannot read ${what} ${path}: permission denied`);
    }
    if (error instanceof Deno.errors.IsADirectory) {
      throw new CommandFailure(`cannot read ${what} ${path}: it is a directory`);
    }
    throw new CommandFailure(`cannot read ${what} ${path}: ${(error as Error).message}`);
  }
}
