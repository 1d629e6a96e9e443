/** This machine, from /proc and statfs. Names and units inside are those of goprocinfo, which the original sends. */
import { statfs } from "node:fs/promises";
import { availableParallelism, hostname } from "node:os";
import type { Machine } from "../contracts/machine.ts";
import type { MachineStats } from "../core/mast.ts";

/** Key of /proc/meminfo to the name that the original sends, in its order. */
const MEMORY_NAMES: readonly (readonly [string, string])[] = [
  ["MemTotal", "mem_total"],
  ["MemFree", "mem_free"],
  ["MemAvailable", "mem_available"],
  ["Buffers", "buffers"],
  ["Cached", "cached"],
  ["SwapCached", "swap_cached"],
  ["Active", "active"],
  ["Inactive", "inactive"],
  ["Active(anon)", "active_anon"],
  ["Inactive(anon)", "inactive_anon"],
  ["Active(file)", "active_file"],
  ["Inactive(file)", "inactive_file"],
  ["Unevictable", "unevictable"],
  ["Mlocked", "mlocked"],
  ["SwapTotal", "swap_total"],
  ["SwapFree", "swap_free"],
  ["Dirty", "dirty"],
  ["Writeback", "write_back"],
  ["AnonPages", "anon_pages"],
  ["Mapped", "mapped"],
  ["Shmem", "shmem"],
  ["Slab", "slab"],
  ["SReclaimable", "s_reclaimable"],
  ["SUnreclaim", "s_unclaim"],
  ["KernelStack", "kernel_stack"],
  ["PageTables", "page_tables"],
  ["NFS_Unstable", "nfs_unstable"],
  ["Bounce", "bounce"],
  ["WritebackTmp", "writeback_tmp"],
  ["CommitLimit", "commit_limit"],
  ["Committed_AS", "committed_as"],
  ["VmallocTotal", "vmalloc_total"],
  ["VmallocUsed", "vmalloc_used"],
  ["VmallocChunk", "vmalloc_chunk"],
  ["HardwareCorrupted", "hardware_corrupted"],
  ["AnonHugePages", "anon_huge_pages"],
  ["HugePages_Total", "huge_pages_total"],
  ["HugePages_Free", "huge_pages_free"],
  ["HugePages_Rsvd", "huge_pages_rsvd"],
  ["HugePages_Surp", "huge_pages_surp"],
  ["Hugepagesize", "hugepagesize"],
  ["DirectMap4k", "direct_map_4k"],
  ["DirectMap2M", "direct_map_2M"],
  ["DirectMap1G", "direct_map_1G"],
];

const CPU_NAMES = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];

/** `root` replaces / in tests. */
export function createMachine(root = ""): Machine {
  const read = (path: string) => Deno.readTextFile(`${root}/proc/${path}`);
  async function disk(): Promise<MachineStats["disk"]> {
    const figures = await statfs("/");
    const all = Number(figures.bsize) * Number(figures.blocks);
    const free = Number(figures.bsize) * Number(figures.bfree);
    return { all, used: all - free, free, freeInodes: Number(figures.ffree) };
  }
  return {
    async stats() {
      const [memory, stat, load, disks] = await Promise.all([read("meminfo"), read("stat"), read("loadavg"), disk()]);
      return {
        memory: parseMemory(memory),
        disk: disks,
        cpu: parseCpu(stat),
        load: parseLoad(load),
        taskCount: 0,
      };
    },
    async capacity() {
      const memory = parseMemory(await read("meminfo"));
      return {
        cpuCores: availableParallelism(),
        memoryBytes: memory.mem_total * 1024,
        diskBytes: (await disk()).all,
      };
    },
    hostname,
  };
}

/** KiB by the original's names; what this kernel does not tell is 0. */
export function parseMemory(text: string): Record<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^([^:]+):\s+(\d+)/.exec(line);
    if (match) found.set(match[1], Number(match[2]));
  }
  return Object.fromEntries(MEMORY_NAMES.map(([key, name]) => [name, found.get(key) ?? 0]));
}

/** The line of all processors together. */
export function parseCpu(text: string): Record<string, number | string> {
  const [id, ...figures] = text.split("\n", 1)[0].trim().split(/\s+/);
  return { id, ...Object.fromEntries(CPU_NAMES.map((name, i) => [name, Number(figures[i] ?? 0)])) };
}

export function parseLoad(text: string): Record<string, number> {
  const [one, five, fifteen, processes, lastPid] = text.trim().split(/\s+/);
  const [running, total] = processes.split("/");
  return {
    last1min: Number(one),
    last5min: Number(five),
    last15min: Number(fifteen),
    process_running: Number(running),
    process_total: Number(total),
    last_pid: Number(lastPid),
  };
}
