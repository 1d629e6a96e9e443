/**
 * Who a sailor is, kept in its data directory: the id and the key never change, the name when its operator says so. The
 * file is closed to others: whoever has the key can pass for the node.
 */
import { join } from "node:path";
import { z } from "zod";
import type { Random } from "../contracts/random.ts";
import type { Signer } from "../contracts/keys.ts";
import { writeFileAtomically } from "./data_dir.ts";
import { makePrivateKey, signerOf } from "./node_keys.ts";

export interface Identity {
  readonly nodeId: string;
  readonly name: string;
  readonly signer: Signer;
}

/** Without a key: written by a version that had none. */
const IDENTITY = z.object({ nodeId: z.string().min(1), name: z.string().min(1), privateKey: z.string().optional() });
type Kept = z.infer<typeof IDENTITY>;

/** `name` undefined: the one kept, or at first `defaultName`. */
export async function loadIdentity(
  directory: string,
  options: { readonly random: Random; readonly defaultName: string; readonly name?: string },
): Promise<Identity> {
  const path = join(directory, "identity.json");
  const kept = await readKept(path);
  const { nodeId, name, privateKey }: Required<Kept> = {
    nodeId: kept?.nodeId ?? options.random.uuid(),
    name: options.name ?? kept?.name ?? options.defaultName,
    privateKey: kept?.privateKey ?? makePrivateKey(),
  };
  if (nodeId !== kept?.nodeId || name !== kept?.name || privateKey !== kept?.privateKey) {
    await writeFileAtomically(path, JSON.stringify({ nodeId, name, privateKey }));
  }
  try {
    return { nodeId, name, signer: signerOf(privateKey) };
  } catch {
    throw unreadable(path, "its key is none");
  }
}

async function readKept(path: string): Promise<Kept | undefined> {
  try {
    return IDENTITY.parse(JSON.parse(await Deno.readTextFile(path)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    // Not made anew: a new id is a new node, and what runs under the old one would be nobody's.
    const why = error instanceof z.ZodError ? "it is not one of ormen's" : (error as Error).message;
    throw unreadable(path, why);
  }
}

function unreadable(path: string, why: string): Error {
  return new Error(`cannot read the sailor's identity in ${path}: ${why}; restore it, or choose another --data-dir`);
}
