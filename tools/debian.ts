/**
 * Debian's packages that tests and the demo need: a Docker Engine and a static busybox. Installs what is missing and nothing else,
 * and keeps the packages' own services from starting: the Engine used here is a private one that ends with its command.
 */

const POLICY = "/usr/sbin/policy-rc.d";

export function onDebianAsRoot(): boolean {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  try {
    const release = Deno.readTextFileSync("/etc/os-release");
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release);
  } catch {
    return false;
  }
}

export function missingPackages(needsEngine: boolean, needsBusybox: boolean): string[] {
  const missing: string[] = [];
  if (needsEngine && !onPath("dockerd")) missing.push("docker.io");
  if (needsEngine && !onPath("iptables")) missing.push("iptables");
  if (needsBusybox) missing.push("busybox-static");
  return missing;
}

/** Installs `packages`; throws with apt's last words when that fails. */
export async function withPackages(packages: readonly string[]): Promise<void> {
  if (packages.length === 0) return;
  // Debian's own way to say "start no service now"; one that is there already says what its owner wants.
  const ownPolicy = !exists(POLICY);
  if (ownPolicy) Deno.writeTextFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const install = ["install", "-y", "-q", "--no-install-recommends", ...packages];
    if ((await apt(install)).success) return;
    // The lists are missing or old: fetch them once.
    const update = await apt(["update", "-q"]);
    if (!update.success) throw new Error(`cannot update Debian's package lists: ${update.words}`);
    const second = await apt(install);
    if (!second.success) throw new Error(`cannot install ${packages.join(", ")}: ${second.words}`);
  } finally {
    if (ownPolicy) Deno.removeSync(POLICY);
  }
}

async function apt(args: string[]): Promise<{ success: boolean; words: string }> {
  const { success, stdout, stderr } = await new Deno.Command("apt-get", {
    // Another apt may be at work, on a machine that has just started above all.
    args: ["-o", "DPkg::Lock::Timeout=120", ...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return { success, words: text.trim().split("\n").slice(-3).join(" | ") };
}

function onPath(program: string): boolean {
  const directories = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"];
  return directories.some((directory) => directory !== "" && exists(`${directory}/${program}`));
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
