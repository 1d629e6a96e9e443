/**
 * Counters and histograms in Prometheus' text format (version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/). Small on purpose: a process that serves one page of figures
 * needs no client library. Label values come from closed sets (routes, codes), so nothing grows without end.
 */

export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(labels: Labels, amount?: number): void;
}

export interface Histogram {
  observe(labels: Labels, value: number): void;
}

export interface MetricsRegistry {
  counter(name: string, help: string): Counter;
  /** `bounds` ascending, without +Inf. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  gauge(name: string, help: string, read: () => number): void;
  /** A figure that is always 1; its labels tell. */
  info(name: string, help: string, labels: Labels): void;
  expose(): string;
}

export function createMetricsRegistry(): MetricsRegistry {
  const families: (() => string)[] = [];
  return {
    counter(name, help) {
      const series = new Map<string, number>();
      families.push(() => header(name, help, "counter") + lines([...series].map(([key, n]) => `${name}${key} ${n}`)));
      return {
        add(labels, amount = 1) {
          const key = labelText(labels);
          series.set(key, (series.get(key) ?? 0) + amount);
        },
      };
    },
    histogram(name, help, bounds) {
      const series = new Map<string, { labels: Labels; counts: number[]; sum: number; count: number }>();
      families.push(() => {
        const out: string[] = [];
        for (const [key, entry] of series) {
          let cumulative = 0;
          bounds.forEach((bound, index) => {
            cumulative += entry.counts[index];
            out.push(`${name}_bucket${labelText({ ...entry.labels, le: String(bound) })} ${cumulative}`);
          });
          out.push(`${name}_bucket${labelText({ ...entry.labels, le: "+Inf" })} ${entry.count}`);
          out.push(`${name}_sum${key} ${entry.sum}`, `${name}_count${key} ${entry.count}`);
        }
        return header(name, help, "histogram") + lines(out);
      });
      return {
        observe(labels, value) {
          const key = labelText(labels);
          let entry = series.get(key);
          if (!entry) series.set(key, entry = { labels, counts: bounds.map(() => 0), sum: 0, count: 0 });
          const index = bounds.findIndex((bound) => value <= bound);
          if (index >= 0) entry.counts[index]++;
          entry.sum += value;
          entry.count++;
        },
      };
    },
    gauge(name, help, read) {
      families.push(() => `${header(name, help, "gauge")}${name} ${read()}\n`);
    },
    info(name, help, labels) {
      families.push(() => `${header(name, help, "gauge")}${name}${labelText(labels)} 1\n`);
    },
    expose: () => families.map((family) => family()).join(""),
  };
}

function header(name: string, help: string, type: string): string {
  return `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${type}\n`;
}

function lines(entries: readonly string[]): string {
  return entries.map((entry) => `${entry}\n`).join("");
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
    return `${key}="${escaped}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
