/**
 * Rows as lines that fit a terminal. When there are more rows than lines, fan-outs are folded to counts, largest first;
 * then neighbours that are over, or have not begun, to one line; what goes on or failed is kept longest.
 */
import type { Io } from "../io.ts";
import { type Colour, paint } from "../render.ts";
import type { Row, RowGroup } from "./run_rows.ts";

const NAME_CHARS_MAX = 40;

/** `rowsMax` null: as many as there are; `columns` null: lines are not cut. */
export function renderRows(
  io: Io,
  groups: readonly RowGroup[],
  space: { readonly columns: number | null; readonly rowsMax: number | null },
): string[] {
  const shown = fitRows(groups, space.rowsMax);
  const all = [...groups.flatMap((group) => group.rows), ...shown];
  const width = (texts: readonly string[]) => Math.max(0, ...texts.map((text) => [...text].length));
  // Taken from all rows, folded or not: columns that jump are hard to read.
  const widths = {
    name: Math.min(NAME_CHARS_MAX, width(all.map(({ name }) => name))),
    attempts: width(all.map(({ attempts }) => attempts)),
    took: Math.max(5, width(all.map(({ took }) => took))),
    node: width(all.map(({ node }) => node)),
  };
  return shown.map((row) => lineOf(io, row, widths, space.columns));
}

function lineOf(
  io: Io,
  row: Row,
  widths: { readonly name: number; readonly attempts: number; readonly took: number; readonly node: number },
  columns: number | null,
): string {
  const tail = row.node === "" ? row.note : `${row.node.padEnd(row.note === "" ? 0 : widths.node)}   ${row.note}`;
  const name = cut(row.name, widths.name).padEnd(widths.name);
  const rest = `  ${name}  ${row.attempts.padStart(widths.attempts)}  ${row.took.padStart(widths.took)}   ${tail}`;
  const text = cut(rest.trimEnd(), columns === null ? null : columns - 4);
  return `  ${paint(io, row.colour, row.mark)}${isFaint(row) ? paint(io, "grey", text) : text}`;
}

function isFaint({ colour }: { readonly colour: Colour }): boolean {
  return colour === "grey";
}

/** By code points. */
export function cut(text: string, width: number | null): string {
  const chars = [...text];
  if (width === null || chars.length <= width) return text;
  return chars.slice(0, Math.max(0, width - 3)).join("") + "...".slice(0, Math.max(0, width));
}

/** At most `max` rows that say the most. */
export function fitRows(groups: readonly RowGroup[], max: number | null): Row[] {
  const folded = new Set<RowGroup>();
  const rows = () => groups.flatMap((group) => folded.has(group) ? [group.folded] : group.rows);
  if (max === null || rows().length <= max) return rows();
  for (const group of [...groups].sort((a, b) => b.rows.length - a.rows.length)) {
    if (group.rows.length > 1) folded.add(group);
    if (rows().length <= max) return unfold(groups, folded, max);
  }
  return shorten(joinNeighbours(rows(), max), max);
}

/** Below the counts of a fan-out, where there is room, its instances that failed or go on. */
function unfold(groups: readonly RowGroup[], folded: ReadonlySet<RowGroup>, max: number): Row[] {
  let room = max - groups.reduce((sum, group) => sum + (folded.has(group) ? 1 : group.rows.length), 0);
  const shown = new Set<Row>();
  for (const rank of ["bad", "active"] as const) {
    for (const group of folded) {
      const rows = group.rows.filter((row) => row.rank === rank).slice(0, Math.max(0, room));
      for (const row of rows) shown.add(row);
      room -= rows.length;
    }
  }
  return groups.flatMap((group) =>
    folded.has(group) ? [group.folded, ...group.rows.filter((row) => shown.has(row))] : group.rows
  );
}

/** Joins the longest stretches of rows that are over or have not begun, until all fit. */
function joinNeighbours(rows: readonly Row[], max: number): Row[] {
  const stretches = stretchesOf(rows);
  let over = rows.length - max;
  const joined = new Set<readonly Row[]>();
  for (const stretch of [...stretches].sort((a, b) => b.length - a.length)) {
    if (over <= 0 || stretch.length < 2) break;
    joined.add(stretch);
    over -= stretch.length - 1;
  }
  return stretches.flatMap((stretch) => joined.has(stretch) ? [joinedRow(stretch)] : stretch);
}

function stretchesOf(rows: readonly Row[]): Row[][] {
  const stretches: Row[][] = [];
  for (const row of rows) {
    const last = stretches.at(-1);
    const joins = row.rank === "done" || row.rank === "open";
    if (last && joins && last[0].rank === row.rank) last.push(row);
    else stretches.push([row]);
  }
  return stretches;
}

function joinedRow(stretch: readonly Row[]): Row {
  const first = stretch[0];
  const allOk = stretch.every(({ mark }) => mark === "ok");
  return {
    ...first,
    mark: first.rank === "open" || !allOk ? "--" : "ok",
    colour: allOk ? "green" : "grey",
    name: `${stretch.length} steps`,
    attempts: "",
    took: "",
    node: "",
    note: `${first.name} ... ${stretch[stretch.length - 1].name}`,
  };
}

/** What goes on or failed first; what is left over is told as a number. */
function shorten(rows: readonly Row[], max: number): Row[] {
  if (rows.length <= max) return [...rows];
  const order: Readonly<Record<Row["rank"], number>> = { bad: 0, active: 1, open: 2, done: 3 };
  const ranked = [...rows.keys()].sort((a, b) => order[rows[a].rank] - order[rows[b].rank] || a - b);
  const kept = new Set(ranked.slice(0, Math.max(0, max - 1)));
  const more: Row = {
    mark: "--",
    colour: "grey",
    name: `${rows.length - kept.size} more`,
    attempts: "",
    took: "",
    node: "",
    note: "",
    rank: "open",
  };
  return [...rows.filter((_, index) => kept.has(index)), more];
}
