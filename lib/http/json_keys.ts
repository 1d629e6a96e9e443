/**
 * Finds a key that an object of a JSON text has twice. JSON.parse keeps the last and says nothing, so that a document would
 * mean something else than what a person reads at its beginning. For texts that JSON.parse has taken.
 */

export interface DuplicateKey {
  readonly key: string;
  /** Where it stands the second time. */
  readonly at: number;
}

/** `value` is what the text was parsed into. Undefined: every key is there once. */
export function duplicateKey(text: string, value: unknown): DuplicateKey | undefined {
  let written = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at)) {
    at = stringEnd(text, at);
    if (text.charCodeAt(skipSpace(text, at)) === COLON) written++;
  }
  // Counting is cheap; only where something was lost is it looked for.
  return written === keysIn(value) ? undefined : search(text);
}

const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** Behind the closing quote. */
function stringEnd(text: string, start: number): number {
  let at = start;
  while (true) {
    at = text.indexOf('"', at + 1);
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return at + 1;
  }
}

function skipSpace(text: string, start: number): number {
  let at = start;
  for (let code = text.charCodeAt(at); code === 0x20 || (code >= 9 && code <= 13); code = text.charCodeAt(at)) at++;
  return at;
}

function keysIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) { for (const item of value) count += keysIn(item); }
  else {
    for (const key in value) count += 1 + keysIn((value as Record<string, unknown>)[key]);
  }
  return count;
}

function search(text: string): DuplicateKey | undefined {
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "{") open.push(new Set());
    else if (char === "}") open.pop();
    else if (char === '"') {
      const end = stringEnd(text, at);
      if (text.charCodeAt(skipSpace(text, end)) === COLON) {
        const key = JSON.parse(text.slice(at, end)) as string;
        const keys = open[open.length - 1];
        if (keys.has(key)) return { key, at };
        keys.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
}
