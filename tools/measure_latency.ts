/**
 * How long an accepted task takes to the Engine's `create`, and until it runs, on an idle deck: one at a time.
 * deno run -A tools/measure_latency.ts [DECK] [COUNT]; needs a running deck and sailor, and the test images.
 */
import { engine } from "../tests/fixtures/engine.ts";
import { eventually } from "../tests/fixtures/eventually.ts";
import { BUSYBOX_IMAGE } from "../tests/fixtures/images.ts";

const [deck = "localhost:5555", count = "20"] = Deno.args;
const found = engine();
if (!found) throw new Error("needs a Docker Engine");
const events = await found.docker.getEvents({ filters: { type: ["container"], event: ["create", "start"] } });
const seen = new Map<string, { create?: number; start?: number }>();
let wake = () => {};
events.on("data", (data: Uint8Array) => {
  for (const line of new TextDecoder().decode(data).split("\n").filter((text) => text !== "")) {
    const { Action, Actor, timeNano } = JSON.parse(line);
    const name = Actor.Attributes["ormen.name"];
    seen.set(name, { ...seen.get(name), [Action]: timeNano / 1e6 });
    wake();
  }
});

const create: number[] = [];
const start: number[] = [];
for (let i = 0; i < Number(count); i++) {
  const name = `latency-${Date.now()}-${i}`;
  const document = { name, image: BUSYBOX_IMAGE, cmd: ["true"] };
  const response = await fetch(`http://${deck}/v1/tasks`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(document),
  });
  const acceptedMs = performance.timeOrigin + performance.now();
  if (response.status !== 201) throw new Error(await response.text());
  const { id } = await response.json();
  while (seen.get(name)?.start === undefined) await new Promise<void>((resolve) => wake = resolve);
  create.push(seen.get(name)!.create! - acceptedMs);
  start.push(seen.get(name)!.start! - acceptedMs);
  // Idle again: what the Engine does at a container's end would count for the next one.
  await eventually(`${name} has ended`, async () => {
    const task = await (await fetch(`http://${deck}/v1/tasks/${id}`)).json();
    return task.state === "completed";
  });
}
(events as unknown as { destroy(): void }).destroy();
for (const [what, figures] of [["create", create], ["start", start]] as const) {
  const sorted = figures.toSorted((a, b) => a - b);
  const [median, max] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)!];
  console.log(
    `accepted -> Engine's ${what}: median ${median.toFixed(1)} ms, max ${max.toFixed(1)} ms, n ${sorted.length}`,
  );
}
