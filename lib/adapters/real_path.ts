/** Where a path leads on this machine. */
import { basename, dirname, join } from "node:path";

/**
 * `path` with links and `..` resolved. Of what does not exist, the part that does is resolved: an Engine makes the rest as
 * directories. Throws a sentence when it cannot be told: a link to nowhere, a directory that this user may not look into.
 */
export async function realPathOf(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw new Error(reasonOf(path, error as Error));
  }
  if (await isLink(path)) throw new Error(`${path} is a link to what does not exist`);
  const name = basename(path);
  if (name === "..") throw new Error(`${dirname(path)} does not exist`);
  return join(await realPathOf(dirname(path)), name);
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await Deno.lstat(path)).isSymlink;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new Error(reasonOf(path, error as Error));
  }
}

function reasonOf(path: string, error: Error): string {
  if (error instanceof Deno.errors.PermissionDenied) {
    return `this sailor's user may not look at ${path}, so it cannot tell where that leads`;
  }
  return `${path} cannot be resolved (${error.message})`;
}
