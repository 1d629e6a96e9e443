/**
 * A backup as text: one JSON document a line. The first says whose records follow and as of when, the last one how many
 * there were and the SHA-256 of everything before it, so that a file that was cut off or changed is refused.
 * Packing it with gzip, and where it lies, are others'. Keys that are not known are passed over.
 */
import { z } from "zod";
import type { VersionedRecord } from "../core/migrate.ts";

export const BACKUP_VERSION = 1;
export const BACKUP_CONTENT_TYPE = "application/gzip";

const header = z.object({
  format: z.literal("ormen-backup"),
  version: z.number().int().min(1),
  /** What kept the records. */
  of: z.enum(["deck", "sailor"]),
  /** Null: none was known yet. */
  clusterId: z.string().nullable(),
  term: z.number().int().nonnegative(),
  /** Every write up to this one is in it, and no later one. */
  sequence: z.number().int().nonnegative(),
  /** Version of the program that wrote it. */
  program: z.string(),
  takenMs: z.number(),
});
const row = z.tuple([z.string(), z.union([z.string(), z.number()]), z.number().int().min(1), z.unknown()]);
const end = z.object({ end: z.literal(true), records: z.number().int(), sha256: z.string() });

export type BackupHeader = z.infer<typeof header>;

/** A hash in the making. */
export interface Digest {
  update(text: string): unknown;
  digest(form: "hex"): string;
}

/** Why a file is no whole backup; a sentence. */
export class BackupRefused extends Error {}

/** Pieces of about this many characters. */
const PIECE = 65_536;

/** Made as it is asked for: nothing is held but a piece. */
export function* backupText(
  about: Omit<BackupHeader, "format" | "version">,
  records: Iterable<VersionedRecord>,
  digest: Digest,
): Generator<string> {
  let piece = `${JSON.stringify({ format: "ormen-backup", version: BACKUP_VERSION, ...about })}\n`;
  let count = 0;
  for (const { kind, id, version, record } of records) {
    piece += `${JSON.stringify([kind, id, version, record])}\n`;
    count++;
    if (piece.length < PIECE) continue;
    digest.update(piece);
    yield piece;
    piece = "";
  }
  digest.update(piece);
  yield `${piece}${JSON.stringify({ end: true, records: count, sha256: digest.digest("hex") })}\n`;
}

/**
 * The header first, then the records. Throws BackupRefused; whoever asks for all of them has a whole backup when it does
 * not, so nothing of it may be used before.
 */
export async function* readBackup(
  lines: AsyncIterable<string>,
  digest: Digest,
): AsyncGenerator<BackupHeader | VersionedRecord, void> {
  let count = -1;
  let ended = false;
  for await (const line of lines) {
    if (ended) throw new BackupRefused("something follows its end");
    const document = parseJson(line);
    if (count < 0) {
      yield headerOf(document);
    } else {
      const last = end.safeParse(document);
      if (last.success) {
        if (last.data.records !== count) {
          throw new BackupRefused(`it has ${count} records, its end says ${last.data.records}`);
        }
        if (last.data.sha256 !== digest.digest("hex")) throw new BackupRefused("it was changed after it was made");
        ended = true;
        continue;
      }
      const parsed = row.safeParse(document);
      if (!parsed.success) throw new BackupRefused(`line ${count + 2} is no record`);
      const [kind, id, version, record] = parsed.data;
      yield { kind, id, version, record };
    }
    digest.update(`${line}\n`);
    count++;
  }
  if (!ended) throw new BackupRefused(count < 0 ? "it is empty" : "it was cut off: its end is missing");
}

function headerOf(document: unknown): BackupHeader {
  const { format, version } = (document ?? {}) as { format?: unknown; version?: unknown };
  if (format !== "ormen-backup") throw new BackupRefused("it is no backup of ormen's");
  if (typeof version === "number" && version > BACKUP_VERSION) {
    throw new BackupRefused(`it was written by a newer ormen (backup format ${version}); use that version`);
  }
  const parsed = header.safeParse(document);
  if (!parsed.success) throw new BackupRefused("its first line is not one of ormen's");
  return parsed.data;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
