/** A secret that the deck keeps: its name, and its value as the shell has sealed it. The value itself is never here. */
import type { TaskSpec } from "./documents/task.ts";
import type { State } from "./state.ts";

export interface SecretRecord {
  readonly name: string;
  /** Base64 of what the secret box has made of the value. */
  readonly sealed: string;
  /** Raised with each new value. */
  readonly revision: number;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export const SECRETS_MAX = 1_000;
export const SECRET_BYTES_MAX = 32 * 1024;
/** What is shorter could not be masked: it stands in too many other words. */
export const SECRET_CHARS_MIN = 4;

/** A sentence when the task names a secret that is not there. */
export function missingSecret(state: State, spec: TaskSpec): string | undefined {
  const missing = spec.secrets?.find(({ name }) => !state.secrets.has(name));
  return missing && `there is no secret ${missing.name}; set it with  ormen secret set ${missing.name}`;
}
