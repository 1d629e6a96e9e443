/** The program's log, on standard error: lines of JSON, or lines for a person at a terminal. */
import type { LogRecord } from "@logtape/logtape";
import type { Logger } from "../contracts/logger.ts";

export type LogLevel = "debug" | "info" | "warning" | "error";

export interface LogOptions {
  readonly name: "deck" | "sailor" | "dev";
  readonly level: LogLevel;
  readonly format: "json" | "pretty";
}

export async function createLogger({ name, level, format }: LogOptions): Promise<Logger> {
  const { configure, getLogger } = await import("@logtape/logtape");
  const encoder = new TextEncoder();
  const write = format === "json" ? jsonLine : prettyLine;
  await configure({
    reset: true,
    sinks: { stderr: (record) => void Deno.stderr.writeSync(encoder.encode(write(record))) },
    loggers: [
      { category: ["ormen"], lowestLevel: level, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
  const logger = getLogger(["ormen", name]);
  return {
    debug: (message, fields) => logger.debug(message, fields ?? {}),
    info: (message, fields) => logger.info(message, fields ?? {}),
    warn: (message, fields) => logger.warn(message, fields ?? {}),
    error: (message, fields) => logger.error(message, fields ?? {}),
  };
}

/** As it was given: braces in it are no placeholders. */
function textOf({ rawMessage }: LogRecord): string {
  return typeof rawMessage === "string" ? rawMessage : rawMessage.join("");
}

function jsonLine(record: LogRecord): string {
  const own = {
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    from: record.category.at(-1),
    message: textOf(record),
  };
  // First for people, last so that no field takes the place of one.
  return (jsonOf({ ...own, ...record.properties, ...own }) ?? JSON.stringify(own)) + "\n";
}

function prettyLine(record: LogRecord): string {
  const time = new Date(record.timestamp).toISOString().slice(11, 19);
  const fields = Object.entries(record.properties)
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? value : jsonOf(value) ?? String(value)}`).join("");
  const mark = record.level === "info" ? "" : `${record.level}: `;
  return `${time} ${record.category.at(-1)}: ${mark}${printable(textOf(record) + fields)}\n`;
}

/** Undefined for what has no JSON form, as what holds itself. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value, (_key, part) => {
      if (part instanceof Error) return part.message;
      return typeof part === "bigint" ? String(part) : part;
    });
  } catch {
    return undefined;
  }
}

/** Names and messages come from users: none may start a line of its own or steer the terminal. Stacks keep their lines. */
function printable(text: string): string {
  return text
    .replaceAll(/(?![\t\n])\p{Cc}/gu, (unit) => `\\x${unit.charCodeAt(0).toString(16).padStart(2, "0")}`)
    .replaceAll("\n", "\n  ");
}
