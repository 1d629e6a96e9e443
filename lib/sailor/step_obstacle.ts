/** Why a step's script and the file behind ORMEN_OUTPUT could not be where they belong, told before anything is made. */
import { isUnder } from "../core/bounds.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import { carriedBytes, FILES_BYTES_MAX } from "../core/documents/task.ts";

const STEP_DIRECTORY = "/ormen";

export function stepObstacle(spec: TaskSpec): string | undefined {
  if (!spec.step || spec.runtime === "http") return undefined;
  const bytes = carriedBytes(spec);
  if (bytes > FILES_BYTES_MAX) {
    return `its script and files hold ${bytes} bytes together; at most ${FILES_BYTES_MAX} are carried`;
  }
  if (spec.runtime === "process") return undefined;
  // A mount would hide them, and what lies on a tmpfs or in a volume of its own could not be read when the step has ended.
  const volume = spec.volumes.find(({ target }) => isUnder(target, STEP_DIRECTORY));
  if (volume) return `the volume ${volume.source}:${volume.target} hides ${STEP_DIRECTORY}, which belongs to its step`;
  const file = spec.files.find(({ path }) => isUnder(path, STEP_DIRECTORY));
  return file && `the file ${file.path} lies in ${STEP_DIRECTORY}, which belongs to its step`;
}
