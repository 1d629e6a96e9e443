/** Images from registries: one pull for all who want the same one at the same time. */
import type Docker from "dockerode";
import type { Readable } from "node:stream";
import { RuntimeError } from "../contracts/runtime.ts";
import { lines } from "./docker_stream.ts";
import { runtimeError } from "./docker_translate.ts";
import { credentialsFor } from "./registry_auth.ts";

/** The credentials are read at each pull, so that they can be changed under a running sailor. */
export function createPuller(
  docker: Docker,
  registryAuthFile: string | undefined,
): (image: string, signal: AbortSignal) => Promise<void> {
  const pulls = new Map<string, SharedPull>();
  return (image, signal) => {
    let shared = pulls.get(image);
    if (!shared) {
      const created: SharedPull = sharePull((abort) => pullOnce(docker, image, registryAuthFile, abort), () => {
        if (pulls.get(image) === created) pulls.delete(image);
      });
      pulls.set(image, shared = created);
    }
    return shared.wait(signal);
  };
}

async function pullOnce(
  docker: Docker,
  image: string,
  registryAuthFile: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const authconfig = registryAuthFile ? await credentialsFor(image, registryAuthFile) : undefined;
  try {
    const options = { ...(authconfig ? { authconfig } : {}), abortSignal: signal };
    const progress = await docker.pull(image, options) as Readable;
    // The Engine has answered 200 by now: what goes wrong is told within the progress, and the client looks past it.
    for await (const line of lines(progress)) {
      const { error } = JSON.parse(line) as { error?: string };
      if (error !== undefined) throw new Error(error);
    }
  } catch (error) {
    const known = runtimeError(error, "other");
    if (known.code === "unavailable") throw known;
    throw new RuntimeError("failed", `cannot pull ${image}: ${known.message}`);
  }
}

interface SharedPull {
  wait(signal: AbortSignal): Promise<void>;
}

/**
 * One pull for all who want the image; it is given up when the last of them has gone. `onOver` is called then, so that
 * whoever comes next does not join one that is being given up.
 */
function sharePull(run: (abort: AbortSignal) => Promise<void>, onOver: () => void): SharedPull {
  const abort = new AbortController();
  const done = run(abort.signal);
  done.catch(() => {});
  let waiting = 0;
  return {
    async wait(signal) {
      waiting++;
      const gone = Promise.withResolvers<never>();
      gone.promise.catch(() => {});
      const leave = () => gone.reject(new RuntimeError("failed", "the pull was given up"));
      signal.addEventListener("abort", leave);
      try {
        if (signal.aborted) leave();
        await Promise.race([done, gone.promise]);
      } finally {
        signal.removeEventListener("abort", leave);
        if (--waiting === 0) {
          onOver();
          abort.abort();
        }
      }
    },
  };
}
