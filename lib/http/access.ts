/**
 * Who a request comes from, and what they may do: tokens of the operator, and those that the deck has made.
 *
 * 1. Tokens are compared as SHA-256 digests of one length, in constant time, and are told to nobody.
 * 2. An address that keeps guessing is not listened to for a while, but for tokens that cannot be guessed (the deck made
 *    them) and those that have been right before: whoever holds one is not locked out by a neighbour who guesses.
 * 3. What lives long (streams, sockets) ends with its token.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Role } from "../core/token.ts";
import { Refusal } from "./problems.ts";

/** `open`: nobody is asked. */
export type RouteRole = Role | "open";

export interface Grant {
  readonly role: Role;
  /** Calls `end` once when the token is valid no more; the result lets go of it. Absent: there is no token that could end. */
  readonly onEnd?: (end: () => void) => () => void;
}

/** A token that the deck has made and not taken back. */
export interface MadeToken {
  readonly id: string;
  readonly role: Role;
  readonly expiresMs: number | null;
}

export interface AccessOptions {
  /** The operator's own, all of them for everything; null: nobody is asked for a token. */
  readonly operator: (() => readonly string[]) | null;
  readonly findMade?: (digest: string) => MadeToken | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onFailure?: (kind: "missing" | "wrong" | "held") => void;
}

export interface Access {
  /** `remote` is the address that the request comes from. */
  check(headers: Headers, remote: string): Grant | Refusal;
  /** A token that the deck had made was taken back: what was opened with it ends. */
  revoked(): void;
}

/** Wrong tokens of one address in a window before it is not listened to. */
const FAILURES_MAX = 10;
const WINDOW_MS = 60_000;
/** Addresses and tokens that are remembered; the oldest go first. */
const ADDRESSES_MAX = 10_000;
const KNOWN_MAX = 10_000;
/** How often long-lived grants are looked at again. */
const RECHECK_MS = 2_000;

export function createAccess(options: AccessOptions): Access {
  const { operator, clock, logger, findMade = () => undefined, onFailure = () => {} } = options;
  const failures = new Map<string, { sinceMs: number; count: number }>();
  const known = new Set<string>();
  const watched = new Map<string, Set<() => void>>();
  let rechecking = false;
  let digested: { readonly tokens: readonly string[]; readonly digests: readonly Uint8Array[] } | undefined;

  function operatorDigests(): readonly Uint8Array[] {
    const tokens = operator?.() ?? [];
    if (digested?.tokens !== tokens) {
      digested = { tokens, digests: tokens.map(sha256) };
      // Who was told to use the new token, and tried it a moment too early, has not been guessing.
      failures.clear();
    }
    return digested.digests;
  }

  function roleOf(digest: Uint8Array): Role | undefined {
    // All are compared, so that the time does not tell which one was near.
    let isOperator = false;
    for (const each of operatorDigests()) if (timingSafeEqual(each, digest)) isOperator = true;
    return isOperator ? "admin" : madeRole(digest);
  }

  function madeRole(digest: Uint8Array): Role | undefined {
    const made = findMade(hex(digest));
    return made && !(made.expiresMs !== null && made.expiresMs <= clock.wallMs()) ? made.role : undefined;
  }

  function isHeld(address: string, nowMs: number): boolean {
    const entry = failures.get(address);
    return entry !== undefined && nowMs - entry.sinceMs < WINDOW_MS && entry.count >= FAILURES_MAX;
  }

  function noteFailure(address: string, nowMs: number): void {
    const entry = failures.get(address);
    const fresh = !entry || nowMs - entry.sinceMs >= WINDOW_MS;
    const next = fresh ? { sinceMs: nowMs, count: 1 } : { ...entry, count: entry.count + 1 };
    failures.delete(address);
    failures.set(address, next);
    if (failures.size > ADDRESSES_MAX) failures.delete(failures.keys().next().value!);
    if (next.count === FAILURES_MAX) {
      logger.warn("wrong tokens: the address is not listened to for a while", { address, failures: next.count });
    }
  }

  function watch(digest: Uint8Array, end: () => void): () => void {
    const key = hex(digest);
    const ends = watched.get(key) ?? new Set();
    watched.set(key, ends.add(end));
    if (!rechecking) recheckLater();
    return () => {
      if (ends.delete(end) && ends.size === 0) watched.delete(key);
    };
  }

  function recheckLater(): void {
    rechecking = watched.size > 0;
    if (rechecking) clock.after(RECHECK_MS, recheck);
  }

  function recheck(): void {
    endThoseWithout((digest) => roleOf(digest) !== undefined);
    recheckLater();
  }

  function endThoseWithout(valid: (digest: Uint8Array) => boolean): void {
    for (const [key, ends] of [...watched]) {
      if (valid(Uint8Array.fromHex(key))) continue;
      watched.delete(key);
      for (const end of ends) end();
    }
  }

  return {
    check(headers, remote) {
      if (operator === null) return EVERYBODY;
      const token = bearer(headers.get("authorization"));
      if (token === undefined) {
        onFailure("missing");
        return unauthorized("a token is needed: send Authorization: Bearer TOKEN");
      }
      const digest = sha256(token);
      const nowMs = clock.monoMs();
      const address = networkOf(remote);
      operatorDigests();
      if (isHeld(address, nowMs) && !known.has(hex(digest)) && madeRole(digest) === undefined) {
        onFailure("held");
        return held(failures.get(address)!.sinceMs + WINDOW_MS - nowMs);
      }
      const role = roleOf(digest);
      if (role === undefined) {
        known.delete(hex(digest));
        noteFailure(address, nowMs);
        onFailure("wrong");
        return unauthorized("the token is not a right one");
      }
      known.add(hex(digest));
      if (known.size > KNOWN_MAX) known.delete(known.values().next().value!);
      return { role, onEnd: (end) => watch(digest, end) };
    },
    revoked: () => endThoseWithout((digest) => roleOf(digest) !== undefined),
  };
}

const EVERYBODY: Grant = { role: "admin" };

/** Undefined: `role` may use a route that asks for `needed`. */
export function roleRefusal(role: Role, needed: RouteRole): Refusal | undefined {
  if (needed === "open" || role === "admin" || role === needed) return undefined;
  const may = role === "join" ? "is for sailors that join" : "may only read";
  return new Refusal(403, "forbidden", `this token ${may}; what you ask for takes one with the role ${needed}`);
}

function unauthorized(detail: string): Refusal {
  return new Refusal(401, "unauthorized", detail, undefined, { "www-authenticate": "Bearer" });
}

function held(forMs: number): Refusal {
  const seconds = Math.max(1, Math.ceil(forMs / 1000));
  return new Refusal(429, "tooManyFailures", `too many wrong tokens from your address; try again in ${seconds} s`, [], {
    "retry-after": String(seconds),
  });
}

function bearer(header: string | null): string | undefined {
  return header === null ? undefined : /^Bearer +(\S+)\s*$/i.exec(header)?.[1];
}

/** Compared as digests: equal in length, so that the comparison takes the same time whatever was sent. */
function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** As the deck keeps it of tokens that it makes. */
export function digestOf(token: string): string {
  return hex(sha256(token));
}

function hex(bytes: Uint8Array): string {
  return Uint8Array.prototype.toHex.call(bytes);
}

/** Of IPv6 the first 64 bits: whoever has one address of such a network has all of them. */
export function networkOf(address: string): string {
  const bare = address.replace(/^\[|\]$/g, "").replace(/%.*$/, "").toLowerCase();
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/.exec(bare);
  if (mapped) return mapped[1];
  if (!bare.includes(":")) return bare;
  const [head, tail] = bare.split("::");
  const first = head === "" ? [] : head.split(":");
  const last = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = tail === undefined
    ? first
    : [...first, ...Array(Math.max(0, 8 - first.length - last.length)).fill("0"), ...last];
  return `${groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
