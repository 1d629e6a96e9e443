/** `ormen restore`: makes a deck's data directory out of a backup. Runs where the deck is to run. */
import type { Command } from "commander";
import { action, type Context, type JsonOption, printJson, withExample, withJson } from "./context.ts";
import { wrongUsage } from "./failure.ts";

interface RestoreOptions extends JsonOption {
  readonly dataDir?: string;
  readonly replace?: boolean;
}

export function addRestore(program: Command, context: Context): void {
  const command = program.command("restore").argument("<file>", "a backup, made by ormen backup")
    .description("make a deck's data out of a backup")
    .option("--data-dir <dir>", "where the deck that takes over will find them")
    .option("--replace", "where there are data already: put them aside first");
  withExample(
    withJson(command),
    "ormen restore deck.backup --data-dir /var/lib/ormen/deck",
    "ormen restore deck.backup --data-dir /var/lib/ormen/deck --replace",
  );
  command.action(action(context, restore.bind(null, context)));
}

async function restore({ io }: Context, file: string, options: RestoreOptions): Promise<void> {
  const { dataDir } = options;
  if (dataDir === undefined) {
    throw wrongUsage(
      "--data-dir is needed",
      "name the directory that the deck is to have, such as /var/lib/ormen/deck",
    );
  }
  const { restoreData } = await import("./restore_data.ts");
  const restored = await restoreData({ file, dataDir, replace: options.replace === true, nowMs: io.nowMs() });
  const { header, term, records, tasks, nodes, aside } = restored;
  const takenAt = new Date(header.takenMs).toISOString();
  if (options.json) {
    printJson(io, { dataDir, clusterId: header.clusterId, takenAt, term, records, tasks, nodes, aside });
    return;
  }
  io.out(`${dataDir}  ${tasks} tasks and ${nodes} nodes as of ${takenAt}, term ${term}\n`);
  if (aside !== null) io.out(`aside  ${aside}\n`);
  io.out("What was accepted after the backup is not known to this deck, and attempts made after it are stopped.\n");
  io.out("Make sure that the old deck does not run any more: two of them would both give orders.\n");
  io.out(`next   ormen deck --data-dir ${dataDir}\n`);
}
