/**
 * The launcher of dist/ormen: where it unpacks, what it refuses, and that it becomes the program.
 * A script of a few lines stands in for deno, so that a first start takes milliseconds.
 */
import assert from "node:assert/strict";
import { skipUnless } from "../fixtures/skip.ts";
import { packRuntime, selfExtractingFile } from "../../tools/self_extracting.ts";

const RUNTIME = `#!/bin/sh
[ "$1" != --version ] || exit 0
flags=
while [ "\${1##*/}" != main.js ]; do flags="$flags $1"; shift; done
shift
case "$1" in
  args) shift; for arg; do printf '[%s]' "$arg"; done ;;
  cat) exec cat ;;
  flags | deck) echo "$flags" ;;
  where) echo "\${0%/*/deno}" ;;
  wait) trap 'echo told; exit 42' TERM; echo "$$"; while :; do sleep 0.01; done ;;
esac
`;
const FILE = selfExtractingFile({
  version: "1.2.3",
  commit: "abc",
  packedRuntime: packRuntime(new TextEncoder().encode(RUNTIME)),
  program: new Map([["main.js", "main"], ["chunk-a.js", "a"]]),
});
const ROOT_ONLY = skipUnless(
  Deno.build.os === "linux" && Deno.uid() === 0,
  "disks and users of the launcher's tests are made by root on Linux",
);

type Place = { readonly dir: string; readonly home: string; readonly ormen: string };
type Answer = { readonly code: number; readonly out: string; readonly err: string };

/** Runs `fn` with the file and an empty home in a directory of their own. */
async function inPlace(fn: (place: Place) => Promise<void>): Promise<void> {
  const dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "ormen-launcher." }));
  try {
    Deno.chmodSync(dir, 0o755);
    Deno.mkdirSync(`${dir}/home`);
    Deno.mkdirSync(`${dir}/tmp`);
    Deno.writeFileSync(`${dir}/ormen`, FILE, { mode: 0o755 });
    await fn({ dir, home: `${dir}/home`, ormen: `${dir}/ormen` });
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

async function start(
  { dir, home, ormen }: Place,
  args: string[],
  options: { env?: Record<string, string>; input?: string; program?: string; cwd?: string } = {},
): Promise<Answer> {
  const env = { PATH: Deno.env.get("PATH") ?? "", HOME: home, TMPDIR: `${dir}/tmp`, ...options.env };
  const child = new Deno.Command(options.program ?? ormen, {
    args,
    env,
    clearEnv: true,
    cwd: options.cwd ?? dir,
    stdin: options.input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (options.input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.input));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder().decode(stdout).trimEnd(), err: new TextDecoder().decode(stderr) };
}

const names = (path: string) => [...Deno.readDirSync(path)].map((entry) => entry.name).sort();

Deno.test("launcher unpacks once, into the home's cache", () =>
  inPlace(async (place) => {
    assert.deepEqual(await start(place, ["where"]), { code: 0, out: `${place.home}/.cache/ormen`, err: "" });
    const [id, ...rest] = names(`${place.home}/.cache/ormen`);
    assert.deepEqual(rest, ["lock"]);
    assert.deepEqual(names(`${place.home}/.cache/ormen/${id}`), ["chunk-a.js", "deno", "main.js"]);
    assert.equal(Deno.statSync(`${place.home}/.cache/ormen`).mode! & 0o777, 0o700);
    // Proof that the second start does not need the packed part.
    Deno.writeFileSync(place.ormen, FILE.subarray(0, 16_384), { mode: 0o755 });
    assert.equal((await start(place, ["where"])).out, `${place.home}/.cache/ormen`);
  }));

Deno.test("launcher hands arguments and standard input on as they are, at the first start and later", () =>
  inPlace(async (place) => {
    const args = ["", "a b", "new\nline", "*", "$HOME", "--", "-x", "it's", 'a"b'];
    for (let i = 0; i < 2; i++) {
      assert.equal((await start(place, ["args", ...args])).out, args.map((arg) => `[${arg}]`).join(""));
      assert.equal((await start(place, ["cat"], { input: "some\ninput" })).out, "some\ninput");
    }
  }));

Deno.test("launcher becomes the program: its process id, its signals, its exit code", () =>
  inPlace(async ({ home, ormen }) => {
    const child = new Deno.Command(ormen, { args: ["wait"], env: { HOME: home }, stdin: "null", stdout: "piped" })
      .spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    assert.equal((await reader.read()).value?.trim(), String(child.pid));
    child.kill("SIGTERM");
    assert.equal((await reader.read()).value?.trim(), "told");
    await reader.cancel();
    assert.equal((await child.status).code, 42);
  }));

Deno.test("launcher takes the right to run programs from the deck, and from nobody else", () =>
  inPlace(async (place) => {
    assert.match((await start(place, ["deck"])).out, / -A --deny-run --deny-ffi /);
    assert.doesNotMatch((await start(place, ["flags"])).out, /deny/);
  }));

Deno.test("launcher runs through a symbolic link, PATH, a relative path and `sh`", () =>
  inPlace(async (place) => {
    Deno.mkdirSync(`${place.dir}/bin`);
    Deno.symlinkSync(place.ormen, `${place.dir}/bin/other-name`);
    const env = { PATH: `${place.dir}/bin:${Deno.env.get("PATH")}` };
    assert.equal((await start(place, ["-c", "other-name args 1"], { program: "sh", env })).out, "[1]");
    Deno.removeSync(`${place.home}/.cache`, { recursive: true });
    assert.equal((await start(place, ["-c", "cd bin; ./other-name args 2"], { program: "sh" })).out, "[2]");
    Deno.removeSync(`${place.home}/.cache`, { recursive: true });
    assert.equal((await start(place, ["ormen", "args", "3"], { program: "sh" })).out, "[3]");
  }));

Deno.test("launcher goes to XDG_CACHE_HOME, and to ORMEN_CACHE_DIR before all", () =>
  inPlace(async (place) => {
    Deno.mkdirSync(`${place.dir}/xdg`);
    const env = { XDG_CACHE_HOME: `${place.dir}/xdg` };
    assert.equal((await start(place, ["where"], { env })).out, `${place.dir}/xdg/ormen`);
    const given = { ...env, ORMEN_CACHE_DIR: `${place.dir}/a/b` };
    assert.equal((await start(place, ["where"], { env: given })).out, `${place.dir}/a/b`);
    const { code, err } = await start(place, ["where"], { env: { ORMEN_CACHE_DIR: "/proc/nowhere" } });
    assert.equal(code, 1);
    assert.match(err, /^ormen: cannot unpack .*\n {2}\/proc\/nowhere: cannot be created\n {2}set ORMEN_CACHE_DIR/s);
  }));

Deno.test("launcher goes to the temporary directory without HOME, or where HOME is not there", () =>
  inPlace(async (place) => {
    const expected = `${place.dir}/tmp/ormen-${Deno.uid()}`;
    assert.equal((await start(place, ["where"], { env: { HOME: "" } })).out, expected);
    assert.equal((await start(place, ["where"], { env: { HOME: "/nonexistent" } })).out, expected);
    assert.equal(Deno.statSync(expected).mode! & 0o777, 0o700);
  }));

Deno.test("launcher executes nothing from a temporary directory that others can write to", () =>
  inPlace(async (place) => {
    const env = { HOME: "" };
    const theirs = (await start(place, ["where"], { env })).out;
    Deno.chmodSync(theirs, 0o777);
    for (const id of names(theirs).filter((name) => name !== "lock")) {
      Deno.writeTextFileSync(`${theirs}/${id}/deno`, "#!/bin/sh\necho stolen\n");
    }
    const answer = await start(place, ["args", "mine"], { env: { ...env, TMPDIR: `${place.dir}/tmp` } });
    assert.notEqual(answer.out, "stolen");
    // It went to /tmp or /var/tmp instead: leave nothing there.
    const where = (await start(place, ["where"], { env })).out;
    assert.notEqual(where, theirs);
    const own = [...FILE.subarray(0, 2048)].map((byte) => String.fromCharCode(byte)).join("").match(/^id=(\w+)/m)![1];
    Deno.removeSync(`${where}/${own}`, { recursive: true });
  }));

for (
  const c of [
    { name: "read-only", mount: "mount -t tmpfs -o ro none home" },
    { name: "that refuses programs", mount: "mount -t tmpfs -o noexec none home" },
    { name: "that is full", mount: "mount -t tmpfs -o size=4k none home" },
  ]
) {
  Deno.test({
    ...ROOT_ONLY,
    name: `launcher goes to the temporary directory from a home ${c.name}`,
    fn: () =>
      inPlace(async (place) => {
        const script = `${c.mount} && ./ormen where && ./ormen args again`;
        const { out, err } = await start(place, ["-m", "sh", "-c", script], { program: "unshare" });
        assert.equal(out, `${place.dir}/tmp/ormen-0\n[again]`, err);
      }),
  });
}

Deno.test({
  ...ROOT_ONLY,
  name: "launcher runs nothing from another user's home as root",
  fn: () =>
    inPlace(async (place) => {
      Deno.chownSync(place.home, 1234, 1234);
      assert.equal((await start(place, ["where"])).out, `${place.dir}/tmp/ormen-0`);
      assert.deepEqual(names(place.home), []);
    }),
});

Deno.test("launcher says that a cut or a damaged file is one, and leaves nothing half unpacked", () =>
  inPlace(async (place) => {
    Deno.writeFileSync(place.ormen, FILE.subarray(0, FILE.length - 100), { mode: 0o755 });
    const cut = await start(place, ["where"]);
    assert.equal(cut.code, 1);
    assert.match(cut.err, /^ormen: this file is damaged: it has \d+ bytes instead of \d+; copy it here again/);

    const damaged = FILE.slice();
    for (let i = 0; i < 40; i++) damaged[16_384 + 60 + i] ^= 0xff;
    Deno.writeFileSync(place.ormen, damaged, { mode: 0o755 });
    const { code, err } = await start(place, ["where"], { env: { ORMEN_CACHE_DIR: `${place.dir}/cache` } });
    assert.equal(code, 1);
    assert.match(err, /unpacking failed/);
    assert.deepEqual(names(`${place.dir}/cache`), ["lock"]);
  }));

Deno.test("launcher unpacks once for ten first starts at a time", () =>
  inPlace(async (place) => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => start(place, ["args", `${i}`])));
    assert.deepEqual(answers, Array.from({ length: 10 }, (_, i) => ({ code: 0, out: `[${i}]`, err: "" })));
    assert.equal(names(`${place.home}/.cache/ormen`).length, 2);
  }));

Deno.test("launcher removes what a killed first start left, and makes whole what a cleaner took a part of", () =>
  inPlace(async (place) => {
    const cache = `${place.home}/.cache/ormen`;
    Deno.mkdirSync(`${cache}/.unpack.killed`, { recursive: true });
    assert.equal((await start(place, ["args", "1"])).out, "[1]");
    const [id, ...rest] = names(cache);
    assert.deepEqual(rest, ["lock"]);
    Deno.removeSync(`${cache}/${id}/chunk-a.js`);
    assert.equal((await start(place, ["args", "2"])).out, "[2]");
    assert.deepEqual(names(`${cache}/${id}`), ["chunk-a.js", "deno", "main.js"]);
    assert.deepEqual(names(cache), [id, "lock"]);
  }));
