/** Times for people, and times as people write them. */
import { parseDuration } from "../core/documents/units.ts";
import { wrongUsage } from "./failure.ts";

/** `2 minutes`, in the words of docker (go-units' HumanDuration). */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(ms / 3600e3 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}

/** `2 minutes ago`. A clock that is behind the deck's counts as now. */
export function ago(time: string, nowMs: number): string {
  return `${humanDuration(Math.max(0, nowMs - Date.parse(time)))} ago`;
}

/** The same within a sentence: `for about a minute`. */
export function within(words: string): string {
  return words[0].toLowerCase() + words.slice(1);
}

/** A measured span: `0.3 s`, `12 s`, `1 min 12 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(ms: number): string {
  const positive = Math.max(0, ms);
  if (positive < 9950) return `${(positive / 1000).toFixed(1)} s`;
  const seconds = Math.round(positive / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** Local time of day, with the date when it is not today's. */
export function clockTime(time: string, nowMs: number): string {
  const at = new Date(time);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return at.toDateString() === new Date(nowMs).toDateString() ? clock : `${day} ${clock}`;
}

/** RFC 3339 of `10m` (so long ago) or of a time. Throws wrong usage. */
export function sinceTime(text: string, nowMs: number): string {
  const ms = parseDuration(text);
  if (ms !== undefined) return new Date(nowMs - ms).toISOString();
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(Date.parse(text))) return new Date(text).toISOString();
  throw wrongUsage(`--since is neither a duration nor a time: "${text}"`, "write 10m, 1h30m or 2026-11-22T13:00:00Z");
}
