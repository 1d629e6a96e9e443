/**
 * Points in time of cron expressions, in a timezone. Five fields, or a word such as `@daily`.
 *
 * Where a clock is put forward, a time that the day leaves out comes an hour later; where it is put back, a time that the
 * day has twice comes once, but what is due in every hour is due in both.
 */
import { Cron } from "croner";

/** Why `expression` gives no times in `timezone`; undefined: it does. */
export function cronProblem(expression: string, timezone: string): string | undefined {
  if (offsetProblem(timezone)) return `unknown timezone "${timezone}"; write one such as UTC or Europe/Berlin`;
  if (!isExpression(expression)) {
    return `not a cron expression: "${expression}"; write minute, hour, day, month and weekday, such as "0 3 * * *"`;
  }
  try {
    const cron = cronOf(expression, timezone);
    if (cron.nextRun(new Date(0)) === null) return `"${expression}" never comes`;
    return undefined;
  } catch (error) {
    const why = (error as Error).message.replace(/^CronPattern: /, "");
    return `not a cron expression: "${expression}": ${why}`;
  }
}

/** The first time after `afterMs` (wall time, as is the answer); null: none comes any more. The expression must be valid. */
export function nextSlotMs(expression: string, timezone: string, afterMs: number): number | null {
  const after = new Date(afterMs);
  const next = cronOf(expression, timezone).nextRun(after)?.getTime() ?? null;
  const repeated = slotInRepeatedHour(expression, timezone, after);
  const later = [next, repeated].filter((slotMs): slotMs is number => slotMs !== null && slotMs > afterMs);
  return later.length === 0 ? null : Math.min(...later);
}

/** croner passes over the second of two equal hours. Who asks for every hour wants it too, as Debian's cron has it. */
function slotInRepeatedHour(expression: string, timezone: string, after: Date): number | null {
  const fields = expression.trim().split(/\s+/);
  if (fields[0] !== "@hourly" && fields[1] !== "*") return null;
  // With the hour left open only minute and date count: those of a clock that was not put back.
  const slot = cronOf(expression, offsetAt(timezone, after)).nextRun(after);
  return slot !== null && cronOf(expression, timezone).match(slot) ? slot.getTime() : null;
}

function isExpression(text: string): boolean {
  const fields = text.trim().split(/\s+/);
  return fields.length === 5 || (fields.length === 1 && /^@[a-z]+$/i.test(fields[0]));
}

function offsetProblem(timezone: string): boolean {
  try {
    return timezone.trim() === "" || offsetAt(timezone, new Date(0)) === "";
  } catch {
    return true;
  }
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Such as `+02:00`. */
function offsetAt(timezone: string, at: Date): string {
  let format = formats.get(timezone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset" });
    formats.set(timezone, format);
  }
  const name = format.formatToParts(at).find(({ type }) => type === "timeZoneName")!.value;
  const [, offset = "+00:00"] = /([+-]\d\d:\d\d)/.exec(name) ?? [];
  return offset;
}

const CRONS_MAX = 1_000;
const crons = new Map<string, Cron>();

function cronOf(expression: string, timezone: string): Cron {
  const key = `${timezone} ${expression}`;
  let cron = crons.get(key);
  if (!cron) {
    cron = new Cron(expression, { timezone, mode: "5-part", paused: true });
    if (crons.size >= CRONS_MAX) crons.clear();
    crons.set(key, cron);
  }
  return cron;
}
