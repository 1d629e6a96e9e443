/**
 * Tokens that an operator gives: in a file, a line each, or in ORMEN_TOKEN. Owns what counts as one, and reading the file
 * again when it changes, so that tokens are rotated without a restart: write the new line beside the old one, hand it
 * out, then remove the old.
 */
import type { Logger } from "../contracts/logger.ts";
import { readTextFile } from "./text_file.ts";
import { CommandFailure, wrongUsage } from "./failure.ts";
import type { Io } from "./io.ts";

/** Shorter ones can be guessed. */
export const TOKEN_CHARACTERS_MIN = 16;
const LOOK_EVERY_MS = 1_000;
const MAKE_ONE =
  "make one   head -c 32 /dev/urandom | base64 > token   and give it with --token-file token or ORMEN_TOKEN";

/** Where the tokens of a listener come from. */
export type TokenSource =
  | { readonly kind: "file"; readonly path: string }
  /** The line of one sailor in a file of lines `host:port TOKEN`. */
  | { readonly kind: "worker"; readonly path: string; readonly address: string }
  | { readonly kind: "text"; readonly token: string };

/** Null: there is none. Throws when it is unfit for a listener. */
export function listenerTokens(io: Io, file: string | undefined): TokenSource | null {
  if (file !== undefined) {
    for (const token of tokensIn(file)) refuseShort(token, `the token file ${file}`);
    const { mode } = Deno.statSync(file);
    if (mode !== null && (mode & 0o077) !== 0) {
      io.err(`warning: others on this machine may read the token file ${file}; close it:  chmod 600 ${file}\n`);
    }
    return { kind: "file", path: file };
  }
  const token = io.env("ORMEN_TOKEN")?.trim();
  if (!token) return null;
  refuseShort(token, "ORMEN_TOKEN");
  return { kind: "text", token };
}

/** The tokens of a file, at least one; `#` begins a comment line. Throws a sentence that shows none of them. */
export function tokensIn(file: string): string[] {
  const lines = readTextFile(file, "the token file").split("\n").map((line) => line.trim());
  const tokens = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (tokens.length === 0) {
    throw new CommandFailure(`the token file ${file} is empty`, ["put one line with the token into it"]);
  }
  const spaced = tokens.findIndex((token) => /\s/.test(token));
  if (spaced >= 0) throw new CommandFailure(`the token file ${file} has a token with a space in it`, [MAKE_ONE]);
  return tokens;
}

/** Tokens by `host:port`. The lines hold secrets: none is repeated in an error. */
export function workerTokensIn(file: string): ReadonlyMap<string, string> {
  const tokens = new Map<string, string>();
  for (const [index, text] of readTextFile(file, "the workers' tokens").split("\n").entries()) {
    const line = text.trim();
    if (line === "" || line.startsWith("#")) continue;
    const words = line.split(/\s+/);
    if (words.length !== 2) throw wrongUsage(`${file}:${index + 1} needs host:port and a token`);
    refuseShort(words[1], `${file}:${index + 1}`);
    tokens.set(words[0], words[1]);
  }
  return tokens;
}

function workerTokenIn(file: string, address: string): string[] {
  const token = workerTokensIn(file).get(address);
  if (token === undefined) throw new CommandFailure(`${file} has no line for ${address}`);
  return [token];
}

function refuseShort(token: string, where: string): void {
  if (token.length >= TOKEN_CHARACTERS_MIN) return;
  throw new CommandFailure(
    `${where} has a token of ${token.length} characters; ${TOKEN_CHARACTERS_MIN} are the least, or it can be guessed`,
    [MAKE_ONE],
  );
}

/**
 * The tokens that are valid now, the first one being what this process presents itself. The same array until they change.
 * A file that cannot be read any more, or holds no fit token, leaves those that were valid before.
 */
export function currentTokens(source: TokenSource, logger: Logger, nowMs: () => number): () => readonly string[] {
  if (source.kind === "text") {
    const only = [source.token];
    return () => only;
  }
  const { path } = source;
  const read = () => source.kind === "file" ? tokensIn(path) : workerTokenIn(path, source.address);
  let tokens: readonly string[] = read();
  let seen = stampOf(path);
  let lookedMs = nowMs();
  return () => {
    if (nowMs() - lookedMs < LOOK_EVERY_MS) return tokens;
    lookedMs = nowMs();
    const stamp = stampOf(path);
    if (stamp === seen) return tokens;
    seen = stamp;
    try {
      const again = read();
      for (const token of again) refuseShort(token, `the token file ${path}`);
      tokens = again;
      logger.info("the token file was read again", { path, tokens: again.length });
    } catch (error) {
      logger.warn("the token file cannot be used; the tokens from before stay valid", {
        path,
        error: (error as Error).message,
      });
    }
    return tokens;
  };
}

function stampOf(path: string): string {
  try {
    const { mtime, size, ino } = Deno.statSync(path);
    return `${mtime?.getTime()}/${size}/${ino}`;
  } catch (error) {
    return `${error instanceof Error ? error.name : error}`;
  }
}
