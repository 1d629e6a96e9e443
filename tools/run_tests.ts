/**
 * Runs every test in one `deno test` and closes with one plain line of its counts. Arguments are passed on to it.
 * Signals that end this end the test run too.
 */
const report = Deno.makeTempFileSync({ prefix: "ormen-tests." });
const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

const command = new Deno.Command(Deno.execPath(), {
  // Types are checked by `make check` already.
  args: ["test", "-A", "--no-check", `--junit-path=${report}`, ...(Deno.args.length > 0 ? Deno.args : ["tests/"])],
  cwd: new URL("..", import.meta.url).pathname,
}).spawn();
for (const signal of SIGNALS) {
  Deno.addSignalListener(signal, () => {
    // After ctrl-C the terminal has told it itself.
    if (signal === "SIGINT" && Deno.stdin.isTerminal()) return;
    try {
      command.kill(signal);
    } catch { /* it has ended already */ }
  });
}
const { code } = await command.status;
const results = Deno.readTextFileSync(report);
Deno.removeSync(report);

const count = (pattern: RegExp) => results.match(pattern)?.length ?? 0;
const all = count(/<testcase /g);
const failed = count(/<failure[ >]/g) + count(/<error[ >]/g);
const skipped = count(/<skipped ?\/>/g);
if (all > 0) console.log(`${all - failed - skipped} passed, ${failed} failed, ${skipped} skipped`);
else if (code < 128) console.error("no test ran");
Deno.exit(code === 0 && all === 0 ? 1 : code);
