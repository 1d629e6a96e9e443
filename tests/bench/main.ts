/**
 * The bench: measures what docs/performance.md tells of, prints one table and writes bench/latest.json. Where Docker is needed it
 * is the one that answers (tools/with_engine.sh sees to it); rows that need it say so where there is none.
 *
 *   deno run -A tests/bench/main.ts [--quick] [ROW...]
 */
import { engine } from "../fixtures/engine.ts";
import { isReached, median, printTable } from "./figures.ts";
import type { Row, RowResult } from "./figures.ts";
import { endAll, ROOT } from "./processes.ts";
import { cli } from "./rows/cli.ts";
import { startMany, startOne, swarm } from "./rows/containers.ts";
import { control } from "./rows/control.ts";
import { events } from "./rows/events.ts";
import { idle } from "./rows/idle.ts";
import { list } from "./rows/list.ts";
import { place } from "./rows/place.ts";
import { restart } from "./rows/restart.ts";
import { steps } from "./rows/steps.ts";

const ROWS: readonly Row[] = [startOne, startMany, swarm, control, idle, place, steps, restart, list, events, cli];

const full = !Deno.args.includes("--quick");
const names = Deno.args.filter((arg) => arg !== "--quick");
const unknown = names.find((name) => !ROWS.some((row) => row.name === name));
if (unknown !== undefined) {
  console.error(`bench: there is no row "${unknown}"; there are ${ROWS.map((row) => row.name).join(", ")}`);
  Deno.exit(2);
}
globalThis.addEventListener("unload", endAll);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    endAll();
    Deno.exit(130);
  });
}

const startedMs = performance.now();
const results = new Map<string, RowResult>();
for (const row of ROWS.filter(({ name }) => names.length === 0 || names.includes(name))) {
  if (row.needsEngine && !engine()) {
    console.error(`bench: ${row.name} is left out: it needs a Docker Engine, and none answers`);
    continue;
  }
  const fromMs = performance.now();
  const host = engine()?.host;
  results.set(
    row.name,
    await row.run({ full, say: (line) => console.error(line), ...(host === undefined ? {} : { engine: host }) }),
  );
  console.error(`bench: ${row.name} took ${Math.round((performance.now() - fromMs) / 1000)} s`);
}
const machine = machineName();
console.log(`${full ? "full" : "quick"} form, ${machine}\n`);
printTable(results, console.log);
writeLatest();
console.error(`\nbench: ${Math.round((performance.now() - startedMs) / 1000)} s in all; bench/latest.json is written`);
Deno.exit(0);

function machineName(): string {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1] ?? "processor unknown";
  const gib = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  return `${navigator.hardwareConcurrency} cores (${cpu}), ${gib} GiB, Linux ${Deno.osRelease()}, Deno ${Deno.version.deno}`;
}

function writeLatest(): void {
  const rows = Object.fromEntries(
    [...results].map(([name, { figures, usage }]) => [name, {
      figures: figures.map((figure) => ({
        ...figure,
        median: median(figure.values),
        min: Math.min(...figure.values),
        max: Math.max(...figure.values),
        reached: isReached(figure),
      })),
      usage,
    }]),
  );
  Deno.mkdirSync(`${ROOT}/bench`, { recursive: true });
  const latest = { at: new Date().toISOString(), form: full ? "full" : "quick", machine, rows };
  Deno.writeTextFileSync(`${ROOT}/bench/latest.json`, `${JSON.stringify(latest, null, 2)}\n`);
}
