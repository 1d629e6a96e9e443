/**
 * A program's own directory: made closed to others, held by one process at a time, marked with what it is.
 * The kernel frees the lock when its process dies, however it dies.
 */
import { join } from "node:path";

export type DataDirKind = "deck" | "sailor";

export interface DataDir {
  readonly path: string;
  release(): void;
}

const FORMAT_VERSION = 1;

interface Format {
  readonly kind: DataDirKind;
  readonly version: number;
}

/** Throws one sentence that names the directory and what to do, with nothing in it changed. */
export async function openDataDir(path: string, kind: DataDirKind): Promise<DataDir> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(describeMakeError(path, error as Error));
  }
  const format = await readFormat(path);
  if (format && format.kind !== kind) {
    throw new Error(`${path} belongs to a ${format.kind}; give this ${kind} another --data-dir`);
  }
  if (format && format.version > FORMAT_VERSION) {
    throw new Error(
      `${path} was written by a newer ormen (format ${format.version}); use that version, or another --data-dir`,
    );
  }
  const lock = await openLock(path);
  if (!await lock.tryLock(true)) {
    const pid = (await Deno.readTextFile(join(path, "lock"))).trim();
    lock.close();
    throw new Error(`${path} is in use by another ${kind} (pid ${pid}); stop it, or choose another --data-dir`);
  }
  await lock.truncate();
  await lock.write(new TextEncoder().encode(`${Deno.pid}\n`));
  if (!format) {
    await writeFileAtomically(join(path, "format"), JSON.stringify({ kind, version: FORMAT_VERSION } satisfies Format));
  }
  return { path, release: () => lock.close() };
}

function describeMakeError(path: string, error: Error): string {
  if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotADirectory) {
    return `${path} is no directory; choose another --data-dir`;
  }
  return `cannot make the data directory ${path}: ${error.message}; choose another --data-dir`;
}

async function openLock(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(join(path, "lock"), { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw new Error(
      `cannot write to the data directory ${path}: ${(error as Error).message}; choose another --data-dir`,
    );
  }
}

async function readFormat(path: string): Promise<Format | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(join(path, "format")));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new Error(`cannot read ${join(path, "format")}: ${(error as Error).message}`);
  }
}

/** Where data lies when nobody says: /var/lib for root, the user's own place otherwise. Throws without any. */
export function defaultDataDir(kind: DataDirKind, env: { get(name: string): string | undefined } = Deno.env): string {
  if (Deno.uid() === 0) return `/var/lib/ormen/${kind}`;
  const home = env.get("XDG_DATA_HOME") || (env.get("HOME") && join(env.get("HOME")!, ".local/share"));
  if (!home) throw new Error(`there is no HOME to keep data in; give the ${kind} a --data-dir`);
  return join(home, "ormen", kind);
}

/** All of it or nothing, also across a crash. */
export async function writeFileAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  const file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    await file.write(new TextEncoder().encode(text));
    await file.sync();
  } finally {
    file.close();
  }
  await Deno.rename(temporary, path);
}
