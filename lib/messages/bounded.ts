/**
 * Texts and times that come from another process and end up in a record: a record has to fit into the store, and a time
 * into a date, whatever was sent.
 */
import { z } from "zod";

/** What a Date can hold. */
const WALL_MS_MAX = 8.64e15;

/** Milliseconds since 1970. */
export const wallTime = z.number().min(-WALL_MS_MAX).max(WALL_MS_MAX);

// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** One line for a person's terminal. */
export const line = (charsMax: number) =>
  z.string().max(charsMax).refine((text) => !CONTROL.test(text), { message: "control characters are not allowed" });

/**
 * Text that is cut to what it may take in a record, for a log's odd bytes are no reason to refuse what else is told.
 * Control characters take six times their room there.
 */
export const fittingText = (bytesMax: number, keep: "start" | "end" = "start") =>
  z.string().transform((text) => fit(text, bytesMax, keep));

/** Text that is cut to so many bytes of UTF-8, never within a character. What is none is replaced. */
export const fittingUtf8 = (bytesMax: number) => z.string().transform((text) => cutToUtf8(text, bytesMax));

export function cutToUtf8(text: string, bytesMax: number): string {
  const whole = text.toWellFormed();
  // No UTF-16 unit takes more than three bytes.
  if (whole.length * 3 <= bytesMax) return whole;
  const { read } = new TextEncoder().encodeInto(whole, new Uint8Array(bytesMax));
  return whole.slice(0, read);
}

export function jsonBytes(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

function fit(text: string, bytesMax: number, keep: "start" | "end"): string {
  // No UTF-16 unit takes more than six bytes.
  if (text.length * 6 <= bytesMax) return text;
  let rest = keep === "start" ? text.slice(0, bytesMax) : text.slice(-bytesMax);
  for (let bytes = jsonBytes(rest); bytes > bytesMax; bytes = jsonBytes(rest)) {
    const chars = Math.max(0, Math.min(rest.length - 1, Math.floor(rest.length * bytesMax / bytes)));
    rest = keep === "start" ? rest.slice(0, chars) : rest.slice(rest.length - chars);
  }
  return rest;
}
