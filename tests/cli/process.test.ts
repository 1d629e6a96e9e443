/** The program as its own process: exit codes, pipes, and completions in a real shell. */
import assert from "node:assert/strict";
import { skipUnless } from "../fixtures/skip.ts";
import { scriptedDeck } from "../client/scripted_deck.ts";
import { event, task } from "./support.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const ROOT = new URL("../../", import.meta.url).pathname;

async function spawn(command: string, args: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(command, { args: [...args], env, cwd: ROOT }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

const ormen = (args: readonly string[], env?: Record<string, string>) =>
  spawn(Deno.execPath(), ["run", "-A", "--quiet", MAIN, ...args], env);

async function has(program: string): Promise<boolean> {
  return (await spawn("sh", ["-c", `command -v ${program}`])).code === 0;
}

Deno.test("the process exits with the command's code", async () => {
  const version = await ormen(["--version"]);
  assert.deepEqual([version.code, version.err], [0, ""]);
  assert.match(version.out, /^ormen \d+\.\d+\.\d+ \(\S+\)\n$/);
  assert.equal((await ormen(["--bogus"])).code, 2);
  assert.equal((await ormen(["run", "-f", "/nowhere.json"])).code, 1);
});

Deno.test("status reaches a deck and prints plain text into a pipe", async () => {
  await using deck = scriptedDeck(() => Response.json({ tasks: [task()], next: null }));
  const { code, out } = await ormen(["status", "-m", deck.address]);
  assert.equal(code, 0);
  assert.match(out, /^ID .*\nbb1d59ef {2}web /);
  assert.equal(out.includes("\x1b"), false);
});

Deno.test("a reader that leaves is no error", async () => {
  const events = Array.from({ length: 5000 }, (_, index) => event(index + 1, "taskRunning"));
  await using deck = scriptedDeck(() => Response.json({ events, next: null }));
  const script = `set -o pipefail; "$DENO" run -A --quiet "$MAIN" events -m ${deck.address} | head -n 1`;
  const { code, out, err } = await spawn("bash", ["-c", script], { DENO: Deno.execPath(), MAIN });
  assert.deepEqual([code, err, out.split("\n").length], [0, "", 2]);
});

Deno.test("completions bash completes commands, options, choices and files", async () => {
  const { out: script } = await ormen(["completions", "bash"]);
  const complete = async (line: string) => {
    const ask = `${script}
COMP_WORDS=(${
      line.replace(/ $/, " ''")
    }); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _ormen; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { out, err } = await spawn("bash", ["-c", ask]);
    assert.equal(err, "");
    return out.trim().split("\n");
  };
  assert.deepEqual(await complete("ormen st"), ["status", "stop"]);
  assert.deepEqual(await complete("ormen mast "), [
    "drain",
    "resume",
    "rm",
    "-m",
    "--manager",
    "--token-file",
    "--ca",
    "--wide",
    "--watch",
    "--json",
    "-h",
    "--help",
  ]);
  assert.deepEqual(await complete("ormen mast drain --j"), ["--json"]);
  assert.deepEqual(await complete("ormen deck -s b"), ["binpack"]);
  assert.deepEqual(await complete("ormen deck --dbType "), ["memory", "persistent"]);
  assert.deepEqual(await complete("ormen run -f task1"), ["task1.json"]);
  assert.deepEqual(await complete("ormen workflow un"), ["unpause"]);
  assert.deepEqual(await complete("ormen workflow run task1"), ["task1.json"]);
  assert.deepEqual(await complete("ormen workflow run --dr"), ["--dry-run"]);
  assert.deepEqual(await complete("ormen workflow graph --format m"), ["mermaid"]);
  assert.deepEqual(await complete("ormen workflow status task1"), [""], "a run is no file");
  assert.deepEqual(await complete("ormen completions "), ["bash", "zsh", "fish", "--json", "-h", "--help"]);
  assert.deepEqual(await complete("ormen stop --grace "), [""]);
});

for (const shell of ["zsh", "fish"]) {
  Deno.test({
    name: `completions ${shell} are read by ${shell}`,
    ...skipUnless(await has(shell), `${shell} is not installed, so it does not read its completions`),
    async fn() {
      const { out: script } = await ormen(["completions", shell]);
      const { code, err } = await spawn(shell, ["-n", "-c", script]);
      assert.deepEqual([code, err], [0, ""]);
    },
  });
}

Deno.test("completions fish names every command and quotes descriptions", async () => {
  const { out } = await ormen(["completions", "fish"]);
  assert.match(out, /^complete -c ormen -n 'not __fish_seen_subcommand_from deck .*' -a status -d 'list tasks, /m);
  assert.match(out, /-l tail -x -d 'only so many of the last lines'$/m);
  assert.match(out, /-d 'show a task\\'s output, also after it has ended'$/m);
});
