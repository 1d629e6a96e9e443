/** Keeping secrets and forgetting them. */
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { Input } from "./input.ts";
import { isSailFinal } from "./sail.ts";
import type { SecretRecord } from "./secret.ts";
import { SECRETS_MAX } from "./secret.ts";
import type { State } from "./state.ts";

export type SecretDecision =
  | { readonly kind: "set"; readonly secret: SecretRecord }
  | { readonly kind: "conflict"; readonly message: string };

export type RemoveSecretDecision =
  | { readonly kind: "done"; readonly message: string }
  | { readonly kind: "notFound"; readonly message: string }
  | { readonly kind: "conflict"; readonly message: string };

export function decideSetSecret(world: World, draft: Draft, input: Extract<Input, { kind: "setSecret" }>): void {
  const { secrets } = world.state;
  const existing = secrets.get(input.name);
  if (!existing && secrets.size >= SECRETS_MAX) {
    const message = `there are ${SECRETS_MAX} secrets already; remove some`;
    draft.reply = { kind: "conflict", message } satisfies SecretDecision;
    return;
  }
  const { wallMs } = draft.context;
  const secret: SecretRecord = {
    name: input.name,
    sealed: input.sealed,
    revision: (existing?.revision ?? 0) + 1,
    createdMs: existing?.createdMs ?? wallMs,
    updatedMs: wallMs,
  };
  draft.put("secret", secret.name, secret);
  draft.event("secretSet", `secret ${secret.name} was set (revision ${secret.revision})`);
  draft.reply = { kind: "set", secret } satisfies SecretDecision;
}

/** One that a task needs which has not ended stays, unless `force` says otherwise: the task could not be started again. */
export function decideRemoveSecret(world: World, draft: Draft, input: Extract<Input, { kind: "removeSecret" }>): void {
  const { state } = world;
  const { name, force } = input;
  if (!state.secrets.has(name)) {
    draft.reply = { kind: "notFound", message: `there is no secret ${name}` } satisfies RemoveSecretDecision;
    return;
  }
  const user = force ? undefined : taskWith(state, name);
  if (user !== undefined) {
    const message = `task ${user} uses the secret ${name}; stop it first, or remove the secret with --force`;
    draft.reply = { kind: "conflict", message } satisfies RemoveSecretDecision;
    return;
  }
  draft.delete("secret", name);
  draft.event("secretRemoved", `secret ${name} was removed`);
  draft.reply = { kind: "done", message: `secret ${name} was removed` } satisfies RemoveSecretDecision;
}

function taskWith(state: State, secret: string): string | undefined {
  for (const { name, specId, state: sailState } of state.sails.values()) {
    if (isSailFinal(sailState)) continue;
    if (state.specs.get(specId)!.spec.secrets?.some((use) => use.name === secret)) return name;
  }
  return undefined;
}
