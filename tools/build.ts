/**
 * Makes `dist/ormen`: one executable file that needs nothing else on its host. Does nothing when nothing it is made from changed.
 *
 * 1. The program is bundled into a few files: those that a command does not need are not loaded.
 * 2. `deno compile` puts them into Deno's small runtime, where that can be had (DENORT_BIN, or a download that is tried once and
 *    given a few seconds).
 * 3. Otherwise they go, packed together with this very deno, behind a shell script that unpacks them at its first start
 *    (tools/launcher.sh).
 *
 * Either way the file has to say its version before it is put in place.
 */
import { createHash } from "node:crypto";
import { packRuntime, selfExtractingFile } from "./self_extracting.ts";

const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const OUT = `${ROOT}/dist/ormen`;
const STAMP = `${ROOT}/dist/.ormen.inputs`;
const CACHE = `${ROOT}/.toolchain`;
const COMMIT_MARK = "@ormen-commit@";
const DOWNLOAD_MS = 10_000;

const started = performance.now();
const version: string = JSON.parse(Deno.readTextFileSync(`${ROOT}/deno.json`)).version;
const commit = await commitOfTree();
const inputs = hashOfInputs();
if (readText(STAMP) === inputs && exists(OUT)) {
  console.log("dist/ormen is up to date");
  Deno.exit(0);
}

Deno.mkdirSync(`${ROOT}/dist`, { recursive: true });
Deno.mkdirSync(CACHE, { recursive: true });
removeLeftovers();
const work = Deno.makeTempDirSync({ dir: CACHE, prefix: "build." });
try {
  const files = await bundle(`${work}/bundle`);
  const how = await compiled(`${work}/bundle`, `${work}/ormen`) ?? await selfExtracting(files, `${work}/ormen`);
  Deno.renameSync(`${work}/ormen`, OUT);
  Deno.writeTextFileSync(STAMP, inputs);
  const mib = (Deno.statSync(OUT).size / 2 ** 20).toFixed(1);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`dist/ormen ${version} (${commit}): ${mib} MiB, ${how}, built in ${seconds} s`);
} catch (error) {
  console.error(`cannot build dist/ormen: ${error instanceof Error ? error.message : error}`);
  Deno.exitCode = 1;
} finally {
  Deno.removeSync(work, { recursive: true });
}

/** What builds that were killed left behind, and packed runtimes that nothing has used for a month. */
function removeLeftovers(): void {
  for (const { name } of Deno.readDirSync(CACHE)) {
    const keptHours = name.startsWith("build.") ? 1 : name.startsWith("runtime-") ? 24 * 30 : Infinity;
    const path = `${CACHE}/${name}`;
    const ageMs = Date.now() - (Deno.statSync(path).mtime?.getTime() ?? Date.now());
    if (ageMs > keptHours * 3_600_000) Deno.removeSync(path, { recursive: true });
  }
}

/** Bundles main.ts and what it imports into `directory`; gives each file's name and content, main.js first. */
async function bundle(directory: string): Promise<Map<string, string>> {
  await run("bundle", Deno.execPath(), [
    "bundle",
    "--quiet",
    "--frozen",
    "--minify",
    "--code-splitting",
    "--outdir",
    directory,
    `${ROOT}/main.ts`,
  ]);
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  if (!names.includes("main.js")) throw new Error(`the bundle has no main.js: ${names.join(", ")}`);
  const files = new Map<string, string>();
  for (const name of ["main.js", ...names.filter((name) => name !== "main.js")]) {
    const text = Deno.readTextFileSync(`${directory}/${name}`).replaceAll(COMMIT_MARK, commit);
    Deno.writeTextFileSync(`${directory}/${name}`, text);
    files.set(name, text);
  }
  return files;
}

/** Tries `deno compile`; undefined, with the reason said, when its base program cannot be had or what comes out does not run. */
async function compiled(directory: string, out: string): Promise<string | undefined> {
  const given = Deno.env.get("DENORT_BIN");
  const memory = `${CACHE}/no-denort-${Deno.version.deno}`;
  if (!given && exists(memory)) return undefined;
  try {
    // The bundle has no packages and no configuration of its own: nothing of the tree may be mixed in again.
    await run("compile", Deno.execPath(), [
      ...["compile", "--quiet", "--no-check", "--no-config", "--no-lock", "--no-npm", "--no-remote", "--no-prompt"],
      ...["--unstable-kv", "-A", "--include", directory, "--output", out, `${directory}/main.js`],
    ], DOWNLOAD_MS);
    await saysItsVersion(out);
    return "compiled";
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const words = reason.split("\n\nStack backtrace")[0].trim().split("\n").at(-1)?.trim();
    console.log(`deno compile gives nothing that runs here (${words}): building a self-extracting file`);
    // Not tried again by every build; `make clean` forgets it.
    if (!given) Deno.writeTextFileSync(memory, `${reason}\n`);
    return undefined;
  }
}

async function selfExtracting(files: Map<string, string>, out: string): Promise<string> {
  const file = selfExtractingFile({ version, commit, packedRuntime: packedRuntime(), program: files });
  Deno.writeFileSync(out, file, { mode: 0o755 });
  await saysItsVersion(out);
  return "self-extracting";
}

/** This deno, packed; that takes seconds and it rarely changes, so it is kept. */
function packedRuntime(): Uint8Array {
  const runtime = Deno.readFileSync(Deno.execPath());
  const kept = `${CACHE}/runtime-${createHash("sha256").update(runtime).digest("hex").slice(0, 16)}.tar.gz`;
  if (!exists(kept)) {
    Deno.writeFileSync(`${work}/runtime`, packRuntime(runtime));
    Deno.renameSync(`${work}/runtime`, kept);
  }
  Deno.utimeSync(kept, new Date(), new Date());
  return Deno.readFileSync(kept);
}

async function saysItsVersion(path: string): Promise<void> {
  const said = await run("start what was built", path, ["--version"], 60_000, { ORMEN_CACHE_DIR: `${work}/cache` });
  if (!said.includes(version)) {
    throw new Error(`what was built says "${said.split("\n")[0]}" when asked for its version (${version})`);
  }
}

/** "-dirty": the tree differs from the commit, so that the commit alone does not say what this was built from. */
async function commitOfTree(): Promise<string> {
  try {
    const head = (await run("git", "git", ["-C", ROOT, "rev-parse", "--short=12", "HEAD"])).trim();
    const changes = await run("git", "git", [
      "-C",
      ROOT,
      "status",
      "--porcelain",
      "--",
      "main.ts",
      "lib",
      "deno.json",
      "deno.lock",
    ]);
    return changes.trim() === "" ? head : `${head}-dirty`;
  } catch {
    return "unknown";
  }
}

function hashOfInputs(): string {
  const hash = createHash("sha256").update(
    `${Deno.version.deno} ${Deno.build.target} ${commit} ${Deno.env.get("DENORT_BIN") ?? ""}\n`,
  );
  const add = (path: string) => {
    const stat = Deno.lstatSync(path);
    if (stat.isDirectory) {
      for (const name of [...Deno.readDirSync(path)].map((entry) => entry.name).sort()) add(`${path}/${name}`);
    } else hash.update(`${path.slice(ROOT.length)} ${stat.size}\n`).update(Deno.readFileSync(path));
  };
  for (
    const path of [
      "main.ts",
      "lib",
      "deno.json",
      "deno.lock",
      "tools/build.ts",
      "tools/self_extracting.ts",
      "tools/launcher.sh",
      "tools/stubs",
    ]
  ) {
    add(`${ROOT}/${path}`);
  }
  return hash.digest("hex");
}

/** Runs a program to its end and gives what it printed; throws with what it complained of. */
async function run(
  what: string,
  program: string,
  args: string[],
  withinMs = 120_000,
  env: Record<string, string> = {},
): Promise<string> {
  const signal = AbortSignal.timeout(withinMs);
  const { success, code, stdout, stderr } = await new Deno.Command(program, {
    args,
    env: { NO_COLOR: "1", ...env },
    cwd: ROOT,
    stdin: "null",
    signal,
  }).output();
  if (signal.aborted) throw new Error(`cannot ${what}: not done after ${withinMs / 1000} s`);
  if (!success) throw new Error(`cannot ${what} (exit ${code}): ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
