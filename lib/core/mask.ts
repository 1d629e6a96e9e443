/**
 * Hides secret values in texts and in streams of bytes. A value is looked for as it is, each of its longer lines (outputs
 * are kept line by line), and in base64. What it became otherwise cannot be known: masking is for accidents.
 */
import { SECRET_CHARS_MIN } from "./secret.ts";

const MASK = "***";

export interface Masker {
  text(text: string): string;
  /** One for each stream: a value may be cut in two anywhere. */
  stream(): MaskStream;
}

export interface MaskStream {
  /** What can be told by now: the beginning of what may be a value waits for the rest. */
  push(bytes: Uint8Array): Uint8Array;
  end(): Uint8Array;
}

/** Undefined: there is nothing to hide. */
export function createMasker(values: Iterable<string>): Masker | undefined {
  const patterns = new Set<string>();
  for (const value of values) {
    for (const form of formsOf(value)) patterns.add(binaryOf(form));
  }
  if (patterns.size === 0) return undefined;
  // The longest first, so that of a value and its line the value is taken.
  const all = [...patterns].sort((a, b) => b.length - a.length);
  const beginnings = new Set(all.map((pattern) => pattern.charCodeAt(0)));
  const found = new RegExp(all.map(escaped).join("|"), "g");
  const hide = (text: string) => text.replace(found, MASK);
  return {
    text: (text) => textOf(hide(binaryOf(text))),
    stream() {
      let held = "";
      return {
        push(bytes) {
          const text = hide(held + fromBytes(bytes));
          const keep = unfinished(text, all, beginnings);
          held = text.slice(text.length - keep);
          return toBytes(text.slice(0, text.length - keep));
        },
        end() {
          const rest = held;
          held = "";
          return toBytes(rest);
        },
      };
    },
  };
}

function formsOf(value: string): string[] {
  const lines = value.split(/\r?\n/).filter((line) => line.length >= SECRET_CHARS_MIN);
  const forms = [value, ...lines];
  return [...forms, ...forms.map((form) => btoa(binaryOf(form)).replace(/=+$/, ""))];
}

/** How much of the end of `text` may be the beginning of a pattern. */
function unfinished(text: string, patterns: readonly string[], beginnings: ReadonlySet<number>): number {
  const longest = Math.min(text.length, patterns[0].length - 1);
  for (let length = longest; length > 0; length--) {
    // Of a value of 32 KiB there are as many places to look at, for each line that passes.
    if (!beginnings.has(text.charCodeAt(text.length - length))) continue;
    const end = text.slice(text.length - length);
    if (patterns.some((pattern) => pattern.length > length && pattern.startsWith(end))) return length;
  }
  return 0;
}

/** UTF-8 bytes as characters of the same number, so that texts and streams are searched alike. */
function binaryOf(text: string): string {
  return fromBytes(new TextEncoder().encode(text));
}

function textOf(binary: string): string {
  return new TextDecoder().decode(toBytes(binary));
}

function fromBytes(bytes: Uint8Array): string {
  let text = "";
  for (let from = 0; from < bytes.length; from += 8_192) {
    text += String.fromCharCode(...bytes.subarray(from, from + 8_192));
  }
  return text;
}

function toBytes(binary: string): Uint8Array {
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
