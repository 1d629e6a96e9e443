/**
 * Backups as files: packed with gzip, closed to others, there as a whole or not at all.
 * What stands in them is messages/backup.ts' business.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import type { VersionedRecord } from "../core/migrate.ts";
import type { BackupHeader } from "../messages/backup.ts";
import { BackupRefused, backupText, readBackup } from "../messages/backup.ts";

export interface BackupFacts {
  readonly header: BackupHeader;
  readonly records: number;
}

export function packBackup(
  about: Omit<BackupHeader, "format" | "version">,
  records: Iterable<VersionedRecord>,
): ReadableStream<Uint8Array> {
  return ReadableStream.from(backupText(about, records, createHash("sha256")))
    .pipeThrough(new TextEncoderStream())
    .pipeThrough(new CompressionStream("gzip"));
}

/** Reads it again before it gets its name: what came over a network may have been cut off. Throws a sentence. */
export async function saveBackup(path: string, packed: ReadableStream<Uint8Array>): Promise<BackupFacts> {
  const temporary = `${path}.new`;
  const file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    try {
      // A file that was there before keeps its mode otherwise.
      await Deno.chmod(temporary, 0o600);
      for await (const bytes of packed) {
        for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
      }
      await file.sync();
    } finally {
      file.close();
    }
    const facts = await checkBackup(temporary);
    await Deno.rename(temporary, path);
    await syncDirectory(dirname(path));
    return facts;
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** Reads all of it. Throws a sentence unless it is whole. */
export async function checkBackup(path: string): Promise<BackupFacts> {
  let header: BackupHeader | undefined;
  let records = -1;
  for await (const each of readBackupFile(path)) {
    header ??= each as BackupHeader;
    records++;
  }
  return { header: header!, records };
}

/** The header, then the records; a file that is not whole may throw only after the last of them. */
export async function* readBackupFile(path: string): AsyncGenerator<BackupHeader | VersionedRecord, void> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    throw new Error(`cannot read the backup ${path}: ${(error as Error).message}`);
  }
  try {
    yield* readBackup(linesOf(file.readable), createHash("sha256"));
  } catch (error) {
    if (error instanceof BackupRefused) throw new Error(`${path} cannot be used: ${error.message}`);
    // What unpacking throws.
    if (error instanceof TypeError) {
      throw new Error(`${path} cannot be used: it was cut off, or is not packed with gzip (${error.message})`);
    }
    throw error;
  }
}

async function* linesOf(packed: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  const text = packed.pipeThrough(new DecompressionStream("gzip")).pipeThrough(new TextDecoderStream());
  for await (const piece of text) {
    const parts = (rest + piece).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== "") yield rest;
}

/** A new name is durable once its directory is. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await Deno.open(path);
  try {
    await directory.sync();
  } finally {
    directory.close();
  }
}
