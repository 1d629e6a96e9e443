/** `ormen backup`: keeps all that a deck knows in one file, while it runs or from its data directory. */
import type { Command } from "commander";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "./context.ts";
import { withDeck, withExample, withJson } from "./context.ts";
import { wrongUsage } from "./failure.ts";

interface BackupOptions extends DeckOption, JsonOption {
  readonly dataDir?: string;
}

export function addBackup(program: Command, context: Context): void {
  const command = program.command("backup").argument("<file>", "where to; - is standard output")
    .description("keep all that a deck knows in one file");
  withDeck(command).option("--data-dir <dir>", "read this deck's data instead, while no deck runs on them");
  withExample(
    withJson(command),
    "ormen backup deck.backup",
    "ormen backup - | ssh safe 'cat > deck.backup'",
    "ormen backup deck.backup --data-dir /var/lib/ormen/deck",
  );
  command.action(action(context, backup.bind(null, context)));
}

async function backup(context: Context, file: string, options: BackupOptions): Promise<void> {
  if (options.dataDir !== undefined && options.manager !== undefined) {
    throw wrongUsage("--manager and --data-dir exclude each other");
  }
  if (file === "-" && options.json) throw wrongUsage("--json has no place beside a backup on standard output");
  if (options.dataDir === undefined) return await keep(context, file, await deckOf(context, options).backup(), options);
  const { withStoppedDeck } = await import("./backup_data.ts");
  await withStoppedDeck(options.dataDir, (packed) => keep(context, file, packed, options));
}

async function keep({ io }: Context, file: string, packed: ReadableStream<Uint8Array>, options: BackupOptions) {
  if (file === "-") {
    for await (const bytes of packed) io.out(bytes);
    return;
  }
  const { saveBackup } = await import("../adapters/backup_file.ts");
  const { header, records } = await saveBackup(file, packed);
  const { clusterId, term, sequence } = header;
  if (options.json) {
    printJson(io, { file, clusterId, term, sequence, records });
    return;
  }
  io.out(
    `${file}  ${records} records of cluster ${clusterId?.slice(0, 8) ?? "-"}, term ${term}, sequence ${sequence}\n`,
  );
  io.out(`next   ormen restore ${file} --data-dir DIR   on the host that takes over\n`);
}
