/** What a step of a workflow needs of its host process: the file with its script, and the one behind ORMEN_OUTPUT. */
import { join } from "node:path";
import type { ContainerSpec } from "../contracts/runtime.ts";
import { RuntimeError } from "../contracts/runtime.ts";

/** The program and its arguments. */
export function commandOf({ script, entrypoint, cmd }: ContainerSpec, dir: string): string[] {
  return script ? [...script.shell, join(dir, "script")] : [...entrypoint ?? [], ...cmd ?? []];
}

/** Into the process's own directory, which is there and closed to others. */
export async function placeStepFiles(dir: string, { script, outputFile }: ContainerSpec): Promise<void> {
  if (script) await place(join(dir, "script"), script.text, 0o555);
  if (outputFile) await place(join(dir, "output"), "", 0o600);
}

/** Anew: what a sailor that died on the way has left may be half a file, and one that nobody may write to. */
async function place(path: string, text: string, mode: number): Promise<void> {
  await Deno.remove(path).catch(ignoreNotFound);
  await Deno.writeTextFile(path, text, { createNew: true });
  await Deno.chmod(path, mode); // Past the umask.
}

/** Null: there is none. Throws "failed" when it is no plain file or holds more than `bytesMax`. */
export async function readOutputFile(dir: string, bytesMax: number): Promise<string | null> {
  const path = join(dir, "output");
  const seen = await Deno.lstat(path).catch(ignoreNotFound);
  if (!seen) return null;
  const notPlain = () => new RuntimeError("failed", "the file behind ORMEN_OUTPUT is no plain file any more");
  if (!seen.isFile) throw notPlain();
  using file = await Deno.open(path);
  const { dev, ino, size } = await file.stat();
  // A link that has taken its place meanwhile would lead elsewhere.
  if (dev !== seen.dev || ino !== seen.ino) throw notPlain();
  if (size > bytesMax) {
    throw new RuntimeError("failed", `the file behind ORMEN_OUTPUT holds more than ${bytesMax / 1024} KiB`);
  }
  const data = new Uint8Array(size);
  let filled = 0;
  while (filled < size) {
    const count = await file.read(data.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return new TextDecoder().decode(data.subarray(0, filled));
}

function ignoreNotFound(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
