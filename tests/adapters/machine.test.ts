import assert from "node:assert/strict";
import { join } from "node:path";
import { createMachine, parseCpu, parseLoad, parseMemory } from "../../lib/adapters/machine.ts";

const ORIGINAL = Deno.readTextFileSync(new URL("../fixtures/original/sailor-get-stats.http", import.meta.url));
const body = JSON.parse(ORIGINAL.slice(ORIGINAL.indexOf("\n{"))) as Record<string, Record<string, unknown>>;

const MEMINFO = "MemTotal:       24684096 kB\nMemFree:        23433524 kB\nActive(anon):       1552 kB\n" +
  "HugePages_Total:       0\nNewer:  1 kB\n";
const STAT = "cpu  192046 46 99046 627618 7473 0 9632 55665 0 0\ncpu0 1 2 3\nintr 5\n";
const LOADAVG = "0.23 1.57 3.05 4/238 31529\n";

for (
  const [name, parsed, original] of [
    ["parseMemory()", parseMemory(MEMINFO), body.MemStats],
    ["parseCpu()", parseCpu(STAT), body.CpuStats],
    ["parseLoad()", parseLoad(LOADAVG), body.LoadStats],
  ] as const
) {
  Deno.test(`${name} has the original's names in the original's order`, () => {
    assert.deepEqual(Object.keys(parsed), Object.keys(original));
  });
}

Deno.test("parseCpu() and parseLoad() give the original's figures", () => {
  assert.deepEqual(parseCpu(STAT), body.CpuStats);
  assert.deepEqual(parseLoad(LOADAVG), body.LoadStats);
  assert.equal(parseCpu("cpu  1 2 3 4").guest_nice, 0);
});

Deno.test("parseMemory() is in KiB, 0 for what this kernel does not tell", () => {
  const { mem_total, active_anon, direct_map_1G } = parseMemory(MEMINFO);
  assert.deepEqual([mem_total, active_anon, direct_map_1G], [24_684_096, 1_552, 0]);
});

Deno.test("createMachine() reads /proc and the disk", async () => {
  const root = await Deno.makeTempDir({ prefix: "ormen-machine-" });
  try {
    await Deno.mkdir(join(root, "proc"));
    for (const [name, text] of [["meminfo", MEMINFO], ["stat", STAT], ["loadavg", LOADAVG]]) {
      await Deno.writeTextFile(join(root, "proc", name), text);
    }
    const machine = createMachine(root);
    const stats = await machine.stats();
    assert.deepEqual(Object.keys(stats.disk), Object.keys(body.DiskStats));
    assert.equal(stats.disk.used + stats.disk.free, stats.disk.all);
    const { cpuCores, memoryBytes, diskBytes } = await machine.capacity();
    assert.equal(memoryBytes, 24_684_096 * 1024);
    assert.ok(cpuCores >= 1 && diskBytes > 0);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
