/** Tokens that the deck makes and takes back. */
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { Input } from "./input.ts";
import { isExpired, TOKENS_MAX } from "./token.ts";
import type { TokenRecord } from "./token.ts";

export type TokenDecision =
  | { readonly kind: "created"; readonly token: TokenRecord }
  | { readonly kind: "conflict"; readonly message: string };

export type RevokeDecision =
  | { readonly kind: "done"; readonly message: string }
  | { readonly kind: "notFound"; readonly message: string };

export function decideCreateToken(world: World, draft: Draft, input: Extract<Input, { kind: "createToken" }>): void {
  const { tokens } = world.state;
  const { wallMs } = draft.context;
  const twin = [...tokens.values()].find(({ name }) => name === input.name);
  if (twin && !isExpired(twin, wallMs)) {
    draft.reply = {
      kind: "conflict",
      message: `there is a token named ${input.name} already; revoke it or choose another name`,
    } satisfies TokenDecision;
    return;
  }
  if (tokens.size >= TOKENS_MAX) {
    draft.reply = {
      kind: "conflict",
      message: `there are ${TOKENS_MAX} tokens already; revoke some`,
    } satisfies TokenDecision;
    return;
  }
  if (twin) draft.delete("token", twin.id);
  const token: TokenRecord = {
    id: input.id,
    name: input.name,
    role: input.role,
    digest: input.digest,
    createdMs: wallMs,
    expiresMs: input.expiresMs,
  };
  draft.put("token", token.id, token);
  draft.event("tokenCreated", `token ${token.name} (${token.role}) was made`);
  draft.reply = { kind: "created", token } satisfies TokenDecision;
}

export function decideRevokeToken(world: World, draft: Draft, input: Extract<Input, { kind: "revokeToken" }>): void {
  const token = world.state.tokens.get(input.id);
  if (!token) {
    draft.reply = { kind: "notFound", message: `no token ${input.id}` } satisfies RevokeDecision;
    return;
  }
  draft.delete("token", token.id);
  draft.event("tokenRevoked", `token ${token.name} (${token.role}) was revoked`);
  draft.reply = { kind: "done", message: `token ${token.name} was revoked` } satisfies RevokeDecision;
}
