/**
 * A private Docker Engine for the duration of one command: its own directory, socket, bridge and address range.
 * Leaves nothing behind: no process, mount, bridge, control group or directory.
 *
 * - Everything it owns can be found by its directory's name alone, so that `sweepAbandonedEngines` clears up after a run that was
 *   killed outright.
 * - dockerd writes no firewall rules: ports are published by its proxy, and tests need no way out of the machine. So runs do not
 *   meet there. The one rule that is ours lets containers reach each other where an earlier Engine left forwarding closed.
 * - Several run side by side: the range comes from the process id and is checked against every address and route in use.
 */
import { dockerAt, engineAnswers } from "../tests/fixtures/engine.ts";

export type PrivateEngine = { readonly host: string; stop(): Promise<void> };

// Not in TMPDIR: a socket's path has at most 107 characters. Not in /tmp: that may be memory, and images are large.
const PARENT = "/var/tmp";
const PREFIX = "ormen-engine.";
// A shell that was not logged into may lack the last two.
const SYSTEM_PATH = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
const START_MS = 60_000;
const STOP_MS = 20_000;
const KILL_MS = 5_000;

/** Starts one and waits until it answers; throws with the log's last lines when it does not, or when `cancelled` says so. */
export async function startPrivateEngine(cancelled: () => boolean): Promise<PrivateEngine> {
  const directory = Deno.makeTempDirSync({ dir: PARENT, prefix: PREFIX });
  Deno.writeTextFileSync(`${directory}/owner`, `${Deno.pid} ${startTimeOf(Deno.pid)}`);
  try {
    const network = await makeNetwork(directory);
    const host = `unix://${directory}/docker.sock`;
    // The shell only joins both outputs into the log; `exec` makes its process dockerd's. Detached: ctrl-C is for the command, and
    // the Engine has to outlive it.
    const daemon = new Deno.Command("/bin/sh", {
      args: ["-c", `exec dockerd "$@" >"$0" 2>&1`, `${directory}/log`, ...flags(directory, host, network)],
      env: { PATH: SYSTEM_PATH },
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    daemon.unref();
    let ended = false;
    daemon.status.then(() => ended = true);

    const deadline = performance.now() + START_MS;
    while (await engineAnswers(host, 1_000) !== true) {
      if (cancelled()) throw new Error("cancelled");
      if (ended || performance.now() > deadline) {
        const words = readText(`${directory}/log`).trim().split("\n").slice(-5).join("\n  ");
        throw new Error(
          `dockerd ${ended ? "ended" : `did not answer in ${START_MS / 1000} s`}; its last words:\n  ${words}`,
        );
      }
      await sleep(50);
    }
    return { host, stop: () => clear(directory) };
  } catch (error) {
    await clear(directory);
    throw error;
  }
}

/** Clears what runs left behind that were killed outright. */
export async function sweepAbandonedEngines(): Promise<void> {
  for (const entry of Deno.readDirSync(PARENT)) {
    if (!entry.isDirectory || !entry.name.startsWith(PREFIX)) continue;
    const directory = `${PARENT}/${entry.name}`;
    const [pid, startTime] = readText(`${directory}/owner`).split(" ");
    // No owner file yet: a run that is just starting.
    if (!pid || startTimeOf(Number(pid)) === startTime) continue;
    console.error(`with_engine: clearing up after process ${pid}, which was killed: ${directory}`);
    await clear(directory);
  }
}

function flags(directory: string, host: string, network: Network): string[] {
  return [
    ...["--host", host, "--data-root", `${directory}/data`, "--exec-root", `${directory}/exec`],
    ...["--pidfile", `${directory}/pid`, "--bridge", network.bridge, "--group", "root"],
    ...["--default-address-pool", `base=${network.pool},size=27`],
    "--iptables=false",
    "--ip6tables=false",
    "--ip-forward=false",
    "--ip-masq=false",
    // Where the system's containerd runs, dockerd uses that one: our own names in it keep us apart.
    ...["--containerd-namespace", network.bridge, "--containerd-plugins-namespace", `${network.bridge}p`],
    // Own control groups, so that they can be removed at the end.
    ...["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", `/${network.bridge}`],
    ...["--shutdown-timeout", "5"],
  ];
}

type Network = { readonly bridge: string; readonly range: string; readonly pool: string };

/** A bridge on the first half of a free /22 of 10.192.0.0/10; the second half is for the networks that tests create. */
async function makeNetwork(directory: string): Promise<Network> {
  const taken = await rangesInUse();
  for (let i = 0; i < 4096; i++) {
    const base = ((10 << 24) | (192 << 16)) + (((Deno.pid + i * 61) % 4096) << 10) >>> 0;
    if (taken.some(([from, to]) => from <= base + 1023 && base <= to)) continue;
    const bridge = `ormen${Deno.pid}`;
    const network = { bridge, range: `${dotted(base)}/22`, pool: `${dotted(base + 512)}/23` };
    // Written first: clearing up after a kill finds here what may exist.
    Deno.writeTextFileSync(`${directory}/network`, JSON.stringify(network));
    await ip("link", "add", "name", bridge, "type", "bridge");
    await ip("addr", "add", `${dotted(base + 1)}/23`, "dev", bridge);
    await ip("link", "set", bridge, "up");
    await forwarding("-I", network.range);
    return network;
  }
  throw new Error("cannot start a private Docker Engine: every range of 10.192.0.0/10 is in use");
}

async function removeNetwork(directory: string): Promise<void> {
  const text = readText(`${directory}/network`);
  if (text === "") return;
  const { bridge, range } = JSON.parse(text) as Network;
  const [from] = rangesIn(range)[0];
  // Networks of tests that were not removed have bridges of their own, known by their addresses.
  for (const block of (await ip("addr")).split(/^(?=\d+: )/m)) {
    const name = /^\d+: ([^:@]+)/.exec(block)?.[1];
    const ours = rangesIn(block).some(([address]) => from <= address && address <= from + 1023);
    if (name !== undefined && (ours || name === bridge)) await ip("link", "del", name).catch(() => {});
  }
  await forwarding("-D", range);
  removeControlGroups(bridge);
}

/** Best effort: without iptables or its kernel part nothing closes forwarding either. */
async function forwarding(action: "-I" | "-D", range: string): Promise<void> {
  const args = ["-w", "10", action, "FORWARD", "-s", range, "-d", range, "-j", "ACCEPT"];
  await new Deno.Command("iptables", { args, env: { PATH: SYSTEM_PATH } }).output().catch(() => {});
}

/** First and last address of every route and address on the machine; default routes do not count. */
async function rangesInUse(): Promise<[number, number][]> {
  return rangesIn(await ip("route") + await ip("addr"));
}

function rangesIn(text: string): [number, number][] {
  return [...text.matchAll(/(?<![\d.])(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?/g)].map(([, address, bits]) => {
    const size = 2 ** (32 - Number(bits ?? 32));
    const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    const from = Math.floor(number / size) * size;
    return [from, from + size - 1];
  });
}

/** Removes what the Engine in `directory` consists of, whatever state it is in. */
async function clear(directory: string): Promise<void> {
  const host = `unix://${directory}/docker.sock`;
  if (await engineAnswers(host, 2_000) === true) await removeContainers(host);
  const daemon = Number(readText(`${directory}/pid`));
  if (daemon > 0 && processesOf(directory).includes(daemon)) {
    signal(daemon, "SIGTERM");
    await until(() => !processesOf(directory).includes(daemon), STOP_MS);
  }
  // What is left was started by it (containerd, shims, port proxies) and bears the directory in its command line.
  const rest = processesOf(directory);
  for (const pid of rest) signal(pid, "SIGTERM");
  if (rest.length > 0) await until(() => processesOf(directory).length === 0, KILL_MS);
  for (const pid of processesOf(directory)) signal(pid, "SIGKILL");
  await until(() => processesOf(directory).length === 0, KILL_MS);

  for (const mount of mountsUnder(directory).reverse()) {
    await new Deno.Command("umount", { args: ["-l", mount] }).output();
  }
  await removeNetwork(directory);
  try {
    Deno.removeSync(directory, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return; // Another run sweeps too.
    console.error(`with_engine: cannot remove ${directory}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Containers end at once this way; dockerd itself would grant each its ten seconds. */
async function removeContainers(host: string): Promise<void> {
  try {
    const docker = dockerAt(host);
    const all = docker.listContainers({ all: true });
    await Promise.race([
      all.then((list) =>
        Promise.allSettled(list.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })))
      ),
      sleep(STOP_MS),
    ]);
  } catch { /* the daemon is on its way out already */ }
}

function processesOf(directory: string): number[] {
  const pids: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    // The program tells ours from an editor that has our log open.
    const [program, ...args] = readText(`/proc/${name}/cmdline`).split("\0");
    if (/(^|\/)(dockerd|containerd|containerd-shim[\w-]*|docker-proxy|runc)$/.test(program)) {
      if (args.some((arg) => arg.includes(`${directory}/`))) pids.push(Number(name));
    }
  }
  return pids;
}

function mountsUnder(directory: string): string[] {
  const points = readText("/proc/mounts").split("\n").map((line) => line.split(" ")[1] ?? "");
  return points.filter((point) => point.startsWith(`${directory}/`));
}

/** Control groups are directories that only rmdir removes, the innermost first; version 1 has a tree for each controller. */
function removeControlGroups(name: string): void {
  const roots = ["/sys/fs/cgroup"];
  try {
    for (const entry of Deno.readDirSync(roots[0])) if (entry.isDirectory) roots.push(`${roots[0]}/${entry.name}`);
  } catch { /* none here */ }
  const remove = (path: string) => {
    try {
      for (const entry of Deno.readDirSync(path)) if (entry.isDirectory) remove(`${path}/${entry.name}`);
      Deno.removeSync(path);
    } catch { /* not there, or still in use */ }
  };
  for (const root of roots) remove(`${root}/${name}`);
}

/** Field 22 of /proc/PID/stat: tells a process from a later one with its number. Empty when there is none. */
function startTimeOf(pid: number): string {
  return readText(`/proc/${pid}/stat`).replace(/^.*\) /s, "").split(" ")[19] ?? "";
}

async function ip(...args: string[]): Promise<string> {
  // busybox has all of it that is needed, and iproute2 may not be installed.
  const { success, stdout, stderr } = await new Deno.Command("busybox", { args: ["ip", ...args] }).output();
  if (!success) throw new Error(`cannot run ip ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch { /* it has ended */ }
}

async function until(condition: () => boolean, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition() && performance.now() < deadline) await sleep(25);
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
