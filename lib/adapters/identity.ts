/** Who a sailor is, kept in its data directory: the id never changes, the name when its operator says so. */
import { join } from "node:path";
import { z } from "zod";
import type { Random } from "../contracts/random.ts";
import { writeFileAtomically } from "./data_dir.ts";

export interface Identity {
  readonly nodeId: string;
  readonly name: string;
}

const IDENTITY = z.object({ nodeId: z.string().min(1), name: z.string().min(1) });

/** `name` undefined: the one kept, or at first `defaultName`. */
export async function loadIdentity(
  directory: string,
  options: { readonly random: Random; readonly defaultName: string; readonly name?: string },
): Promise<Identity> {
  const path = join(directory, "identity.json");
  const kept = await readKept(path);
  const identity = {
    nodeId: kept?.nodeId ?? options.random.uuid(),
    name: options.name ?? kept?.name ?? options.defaultName,
  };
  if (identity.nodeId !== kept?.nodeId || identity.name !== kept?.name) {
    await writeFileAtomically(path, JSON.stringify(identity));
  }
  return identity;
}

async function readKept(path: string): Promise<Identity | undefined> {
  try {
    return IDENTITY.parse(JSON.parse(await Deno.readTextFile(path)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    // Not made anew: a new id is a new node, and what runs under the old one would be nobody's.
    const why = error instanceof z.ZodError ? "it is not one of ormen's" : (error as Error).message;
    throw new Error(`cannot read the sailor's identity in ${path}: ${why}; restore it, or choose another --data-dir`);
  }
}
