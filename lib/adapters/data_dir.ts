/**
 * A program's own directory: made closed to others, held by one process at a time, marked with what it is.
 * The kernel frees the lock when its process dies, however it dies.
 */
import { dirname, join } from "node:path";
import { z } from "zod";

export type DataDirKind = "deck" | "sailor";

export interface DataDir {
  readonly path: string;
  release(): void;
}

const FORMAT_VERSION = 1;

const FORMAT = z.object({ kind: z.string(), version: z.int().min(1) });

type Format = z.infer<typeof FORMAT>;

/** Throws one sentence that names the directory and what to do, with nothing in it changed. */
export async function openDataDir(path: string, kind: DataDirKind): Promise<DataDir> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(describeMakeError(path, error as Error));
  }
  // Before the lock: whoever gives a deck's directory to a sailor should hear that, not that it is in use.
  checkFormat(path, kind, await readFormat(path));
  const lock = await takeLock(path, kind);
  try {
    const format = await readFormat(path);
    checkFormat(path, kind, format);
    await sign(path, lock, format ? undefined : { kind, version: FORMAT_VERSION });
  } catch (error) {
    lock.close();
    throw error;
  }
  let held = true;
  return {
    path,
    release() {
      if (held) lock.close();
      held = false;
    },
  };
}

function describeMakeError(path: string, error: Error): string {
  if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotADirectory) {
    return `${path} is no directory; choose another --data-dir`;
  }
  return `cannot make the data directory ${path}: ${error.message}; choose another --data-dir`;
}

function describeWriteError(path: string, error: Error): string {
  return `cannot write to the data directory ${path}: ${error.message}; make it writable, or choose another --data-dir`;
}

/** Undefined: the directory is new. What a newer version wrote may have any form but for these two fields. */
async function readFormat(path: string): Promise<Format | undefined> {
  const file = join(path, "format");
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new Error(`cannot read ${file}: ${(error as Error).message}; make it readable, or choose another --data-dir`);
  }
  const format = FORMAT.safeParse(parseJson(text));
  if (format.success) return format.data;
  throw new Error(`cannot read ${file}: it is not one of ormen's; choose another --data-dir`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checkFormat(path: string, kind: DataDirKind, format: Format | undefined): void {
  if (!format) return;
  if (format.version > FORMAT_VERSION) {
    throw new Error(
      `${path} was written by a newer ormen (format ${format.version}); use that version, or another --data-dir`,
    );
  }
  if (format.kind !== kind) {
    throw new Error(`${path} belongs to a ${format.kind}; give this ${kind} another --data-dir`);
  }
}

async function takeLock(path: string, kind: DataDirKind): Promise<Deno.FsFile> {
  let lock: Deno.FsFile;
  try {
    lock = await Deno.open(join(path, "lock"), { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw new Error(describeWriteError(path, error as Error));
  }
  if (await lock.tryLock(true)) return lock;
  lock.close();
  const pid = (await Deno.readTextFile(join(path, "lock"))).trim();
  throw new Error(`${path} is in use by another ${kind} (pid ${pid}); stop it, or choose another --data-dir`);
}

/** Says which process holds it and, when it is new, whose it is. */
async function sign(path: string, lock: Deno.FsFile, format: Format | undefined): Promise<void> {
  try {
    await lock.truncate();
    await lock.write(new TextEncoder().encode(`${Deno.pid}\n`));
    if (format) await writeFileAtomically(join(path, "format"), JSON.stringify(format));
  } catch (error) {
    throw new Error(describeWriteError(path, error as Error));
  }
}

/** All of it or nothing, also across a crash; the file is closed to others. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  const file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
    await file.sync();
  } finally {
    file.close();
  }
  await Deno.rename(temporary, path);
  // The new name is durable once its directory is.
  const directory = await Deno.open(dirname(path));
  try {
    await directory.sync();
  } finally {
    directory.close();
  }
}
