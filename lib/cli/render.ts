/**
 * Text on a terminal: columns without boxes, colours that say state. Piped output has neither colour nor cut.
 * What comes from others is cleaned of control characters first, so that no name or message moves the cursor.
 */
import type { AttemptView, TaskView } from "../messages/api.ts";
import type { Io } from "./io.ts";

export type Colour = "green" | "yellow" | "red" | "grey" | "bold" | null;

/** `min`: how narrow it may become when the terminal is too small; never cut unless said. */
export interface Column<T> {
  readonly head: string;
  readonly value: (item: T) => string;
  readonly colour?: (item: T) => Colour;
  readonly min?: number;
}

const GAP = 2;
const LEAST_WIDTH = 4;
const CODES = { green: [32, 39], yellow: [33, 39], red: [31, 39], grey: [90, 39], bold: [1, 22] } as const;

/** Its time grows with the square of a table's rows; as many tables of this size do. */
const ROWS_AT_ONCE = 50;

/** Rows under their heads; ends with a line end. cli-table3 is loaded here and not before. */
export async function renderTable<T>(io: Io, columns: readonly Column<T>[], items: readonly T[]): Promise<string> {
  const { Table, textWidth } = await import("./table.ts");
  const cells = items.map((item) => columns.map((column) => clean(column.value(item))));
  const widths = columns.map(({ head }, index) =>
    cells.reduce((widest, row) => Math.max(widest, textWidth(row[index])), textWidth(head))
  );
  const fitted = io.outIsTerminal ? fit(widths, columns, io.size().columns) : widths;
  const rows = cells.map((row, r) => row.map((text, c) => paint(io, columns[c].colour?.(items[r]) ?? null, text)));
  let lines = "";
  for (let from = 0; from === 0 || from < rows.length; from += ROWS_AT_ONCE) {
    const table = new Table({
      head: from === 0 ? columns.map((column) => column.head) : [],
      chars: NO_LINES,
      style: { "padding-left": 0, "padding-right": GAP, head: [], border: [] },
      colWidths: fitted.map((width) => width + GAP),
    });
    table.push(...rows.slice(from, from + ROWS_AT_ONCE));
    lines += table.toString().split("\n").map((line) => line.trimEnd() + "\n").join("");
  }
  return lines;
}

const NO_LINES = Object.fromEntries(
  ["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"]
    .concat(["left", "left-mid", "mid", "mid-mid", "right", "right-mid", "middle"])
    .map((place) => [place, ""]),
);

/** Takes from the widest column that may still shrink until all fit; where that is not enough, all of those give more. */
function fit(widths: readonly number[], columns: readonly { readonly min?: number }[], available: number): number[] {
  const fitted = [...widths];
  const over = () => fitted.reduce((sum, width) => sum + width + GAP, -GAP) > available;
  for (const least of [(min: number) => min, () => LEAST_WIDTH]) {
    while (over()) {
      let widest = -1;
      fitted.forEach((width, index) => {
        const { min } = columns[index];
        const shrinks = min !== undefined && width > least(min);
        if (shrinks && (widest < 0 || width > fitted[widest])) widest = index;
      });
      if (widest < 0) break;
      fitted[widest]--;
    }
  }
  return fitted;
}

export function paint(io: Io, colour: Colour, text: string): string {
  if (colour === null || text === "" || !coloured(io)) return text;
  const [on, off] = CODES[colour];
  return `\x1b[${on}m${text}\x1b[${off}m`;
}

export function coloured(io: Io): boolean {
  return io.outIsTerminal && !io.env("NO_COLOR") && io.env("TERM") !== "dumb";
}

/** One line, without anything that a terminal would obey. */
export function clean(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}

/** Like `clean`, but keeps line ends and tabs. */
export function cleanLines(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]+/g, "");
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/i;
const SHORT_ID = 8;

/** A uuid is shortened to its first eight digits; an id that a user chose stays whole. */
export function shortId(id: string): string {
  return UUID.test(id) ? id.slice(0, SHORT_ID) : clean(id);
}

/** As `shortId`, but as long as it takes to tell each of `ids` from the others. */
export function shortIds(ids: readonly string[]): (id: string) => string {
  const lengths = new Map<string, number>();
  // In order, those that begin alike stand beside each other.
  const sorted = [...new Set(ids)].sort();
  for (const [i, id] of sorted.entries()) {
    const alike = Math.max(sharedLength(id, sorted[i - 1] ?? ""), sharedLength(id, sorted[i + 1] ?? ""));
    if (alike >= SHORT_ID) lengths.set(id, alike + 1);
  }
  return (id) => UUID.test(id) ? id.slice(0, lengths.get(id) ?? SHORT_ID) : clean(id);
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** `Running (healthy)`, `Failed (1)` */
export function stateText(task: Pick<TaskView, "state" | "attempt">): string {
  const { state, attempt } = task;
  const word = state[0].toUpperCase() + state.slice(1);
  const detail = state === "running"
    ? (attempt && attempt.health !== "none" ? attempt.health : null)
    : state === "completed" || state === "failed"
    ? exitText(attempt)
    : null;
  return detail === null ? word : `${word} (${detail})`;
}

export function exitText(attempt: Pick<AttemptView, "oomKilled" | "exitCode"> | null): string | null {
  if (attempt?.oomKilled) return "out of memory";
  return attempt?.exitCode === null || attempt?.exitCode === undefined ? null : String(attempt.exitCode);
}

export function stateColour(task: Pick<TaskView, "state" | "attempt">): Colour {
  switch (task.state) {
    case "running":
      return task.attempt?.health === "unhealthy" ? "yellow" : "green";
    case "completed":
      return "green";
    case "pending":
    case "scheduled":
    case "unknown":
    case "stopping":
      return "yellow";
    case "failed":
      return "red";
    case "stopped":
      return "grey";
    default:
      return task.state satisfies never;
  }
}

/** `localhost:7777 -> 7777/tcp`: where a person can reach it. */
export function portTexts(attempt: AttemptView | null): string[] {
  const texts = (attempt?.ports ?? []).map((port) => {
    const everywhere = port.hostIp === "" || port.hostIp === "0.0.0.0" || port.hostIp === "::";
    const host = everywhere ? hostOf(attempt!.node ?? "*") : port.hostIp;
    return `${host.includes(":") ? `[${host}]` : host}:${port.host} -> ${port.container}/${port.protocol}`;
  });
  // An Engine binds IPv4 and IPv6 apart; to a person it is one port.
  return [...new Set(texts)];
}

/** A node is named after its address, or has a name of its own. */
function hostOf(node: string): string {
  return clean(node).replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}
