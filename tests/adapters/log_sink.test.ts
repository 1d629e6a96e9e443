import assert from "node:assert/strict";

/** What a program of its own writes to standard error: the log is one a process. */
async function logged(format: "json" | "pretty", calls: string): Promise<string[]> {
  const module = new URL("../../lib/adapters/log_sink.ts", import.meta.url).href;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const code = `const { createLogger } = await import(${JSON.stringify(module)});
    const logger = await createLogger({ name: "deck", level: "info", format: "${format}" });
    ${calls}`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--config", config, code],
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(stdout.length, 0);
  return new TextDecoder().decode(stderr).trimEnd().split("\n");
}

Deno.test("createLogger() json: a line an occurrence, with its fields; braces are no placeholders", async () => {
  const lines = await logged(
    "json",
    `logger.debug("not shown");
     logger.info("placed {node} {}", { node: "a", level: "mine" });
     logger.error("two\\nlines", { error: new Error("why"), big: 7n, none: undefined });`,
  );
  const parsed = lines.map((line) => JSON.parse(line));
  assert.ok(parsed.every(({ time }) => !Number.isNaN(Date.parse(time))));
  assert.deepEqual(parsed.map(({ time: _, ...rest }) => rest), [
    { level: "info", from: "deck", message: "placed {node} {}", node: "a" },
    { level: "error", from: "deck", message: "two\nlines", error: "why", big: "7" },
  ]);
});

Deno.test("createLogger() pretty: text of users neither starts a line nor steers the terminal", async () => {
  const lines = await logged(
    "pretty",
    `logger.info("placed", { task: "web", node: { id: 1 } });
     logger.warn("odd", { name: "a\\u001b[2J\\n12:00:00 deck: forged" });
     const round = {}; round.self = round;
     logger.error("round", { round });`,
  );
  assert.deepEqual(lines.map((line) => line.replace(/^\d\d:\d\d:\d\d/, "TIME")), [
    'TIME deck: placed task=web node={"id":1}',
    "TIME deck: warning: odd name=a\\x1b[2J",
    "  12:00:00 deck: forged",
    "TIME deck: error: round round=[object Object]",
  ]);
});
