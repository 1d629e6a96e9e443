/** Who a sailor is, kept in its data directory: the id never changes, the name when its operator says so. */
import { join } from "node:path";
import type { Random } from "../contracts/random.ts";
import { writeFileAtomically } from "./data_dir.ts";

export interface Identity {
  readonly nodeId: string;
  readonly name: string;
}

/** `name` undefined: the one kept, or at first `defaultName`. */
export async function loadIdentity(
  directory: string,
  options: { readonly random: Random; readonly defaultName: string; readonly name?: string },
): Promise<Identity> {
  const path = join(directory, "identity.json");
  let kept: Identity | undefined;
  try {
    kept = JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new Error(`cannot read the sailor's identity in ${path}: ${(error as Error).message}`);
    }
  }
  const identity = {
    nodeId: kept?.nodeId ?? options.random.uuid(),
    name: options.name ?? kept?.name ?? options.defaultName,
  };
  if (identity.nodeId !== kept?.nodeId || identity.name !== kept?.name) {
    await writeFileAtomically(path, JSON.stringify(identity));
  }
  return identity;
}
