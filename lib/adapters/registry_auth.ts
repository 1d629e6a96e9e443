/** Credentials of registries, from a file in Docker's own format. They are read when they are needed and go to the Engine only. */
import { RuntimeError } from "../contracts/runtime.ts";

const DOCKER_HUB = "https://index.docker.io/v1/";
const DOCKER_HUB_HOSTS = ["docker.io", "index.docker.io", "registry-1.docker.io"];

export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
  readonly serveraddress: string;
}

/** The registry of an image reference, as the keys of the file name it. */
export function registryOf(image: string): string {
  const first = image.split("/")[0];
  const isHost = image.includes("/") && (first.includes(".") || first.includes(":") || first === "localhost");
  return isHost && !DOCKER_HUB_HOSTS.includes(first) ? first : DOCKER_HUB;
}

/** Undefined: the file has none for this registry. Throws RuntimeError "failed" when the file cannot be used. */
export async function credentialsFor(image: string, file: string): Promise<RegistryCredentials | undefined> {
  const registry = registryOf(image);
  let config: { auths?: Record<string, { auth?: string; username?: string; password?: string }>; credHelpers?: object };
  try {
    config = JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    throw new RuntimeError("failed", `cannot read the registry credentials in ${file}: ${(error as Error).message}`);
  }
  const keys = [registry, `https://${registry}`, `http://${registry}`];
  const entry = keys.map((key) => config.auths?.[key]).find((found) => found !== undefined);
  if (!entry) return undefined;
  if (entry.auth) {
    const text = new TextDecoder().decode(Uint8Array.from(atob(entry.auth), (char) => char.charCodeAt(0)));
    const colon = text.indexOf(":");
    return { username: text.slice(0, colon), password: text.slice(colon + 1), serveraddress: registry };
  }
  if (entry.username !== undefined && entry.password !== undefined) {
    return { username: entry.username, password: entry.password, serveraddress: registry };
  }
  throw new RuntimeError("failed", `${file} has no \`auth\` for ${registry}; credential helpers are not supported`);
}
