import assert from "node:assert/strict";

/** In a process of its own: rights that are given up do not come back. */
Deno.test("giveUpRights() leaves a deck that cannot spawn", async () => {
  const module = new URL("../../lib/cli/start_deck.ts", import.meta.url).href;
  const script = `
    const { giveUpRights } = await import(${JSON.stringify(module)});
    const spawn = () => new Deno.Command("true").outputSync().code;
    console.log(spawn());
    await giveUpRights();
    try { console.log(spawn()); } catch (error) { console.log(error.name); }`;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, script);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--no-prompt", "--config", config, file],
      stderr: "inherit",
    }).output();
    assert.deepEqual(new TextDecoder().decode(stdout).trim().split("\n"), ["0", "NotCapable"]);
  } finally {
    await Deno.remove(file);
  }
});
