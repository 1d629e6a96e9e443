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

function textOf(record: LogRecord): string {
  return record.message.map((part) => typeof part === "string" ? part : JSON.stringify(part)).join("");
}

function jsonLine(record: LogRecord): string {
  return JSON.stringify({
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    from: record.category.at(-1),
    message: textOf(record),
    ...record.properties,
  }) + "\n";
}

function prettyLine(record: LogRecord): string {
  const time = new Date(record.timestamp).toISOString().slice(11, 19);
  const fields = Object.entries(record.properties)
    .map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`).join("");
  const mark = record.level === "info" ? "" : `${record.level}: `;
  return `${time} ${record.category.at(-1)}: ${mark}${textOf(record)}${fields}\n`;
}
