/** What the bench measures, and how it is told: medians with their range, against what is to be reached. */

export interface Figure {
  readonly what: string;
  readonly unit: string;
  /** One of each repetition, in their order. */
  readonly values: readonly number[];
  /** What the median is to reach; absent: for information. */
  readonly reach?: { readonly atMost: number } | { readonly atLeast: number };
}

/** What the operating system says of a process between two moments. */
export interface Usage {
  readonly process: string;
  /** Shares of one core. */
  readonly cpu: number;
  readonly peakMiB: number;
}

export interface RowResult {
  readonly figures: readonly Figure[];
  readonly usage: readonly Usage[];
}

/** quick: small numbers and few repetitions, to see that all of it runs; full: the figures that count. */
export interface Bench {
  readonly full: boolean;
  /** Where Docker answers; only for rows that need it. */
  readonly engine?: string;
  /** Progress, for people. */
  say(line: string): void;
}

export interface Row {
  readonly name: string;
  readonly needsEngine?: boolean;
  run(bench: Bench): Promise<RowResult>;
}

/** By nearest rank: the smallest value that at least `share` of all do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error("nothing was measured");
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

export const median = (values: readonly number[]) => quantile(values, 0.5);

export function isReached({ values, reach }: Figure): boolean | null {
  if (!reach) return null;
  return "atMost" in reach ? median(values) <= reach.atMost : median(values) >= reach.atLeast;
}

export function printTable(results: ReadonlyMap<string, RowResult>, out: (line: string) => void): void {
  const columns = ["row", "what", "median", "min", "max", "unit", "to reach", ""];
  const lines = [...results].flatMap(([row, { figures }]) =>
    figures.map((figure, i) => {
      const { what, values, unit, reach } = figure;
      const reached = isReached(figure);
      return [
        i === 0 ? row : "",
        what,
        ...[median(values), Math.min(...values), Math.max(...values)].map(short),
        unit,
        reach === undefined ? "" : "atMost" in reach ? `<= ${short(reach.atMost)}` : `>= ${short(reach.atLeast)}`,
        reached === null ? "" : reached ? "yes" : "NO",
      ];
    })
  );
  const widths = columns.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i].length)));
  const isNumber = (i: number) => i >= 2 && i <= 4;
  for (const line of [columns, ...lines]) {
    out(line.map((cell, i) => isNumber(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join("  ").trimEnd());
  }
  out("");
  for (const [row, { usage }] of results) {
    const parts = usage.map(({ process, cpu, peakMiB }) =>
      `${process} ${Math.round(cpu * 100)} % of a core, peak ${Math.round(peakMiB)} MiB`
    );
    if (parts.length > 0) out(`${row}: ${parts.join("; ")}`);
  }
}

/** Three digits that count. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1_000) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4);
}
