/** A secret from the command line to the container, and where it must never be seen. */
import assert from "node:assert/strict";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { command, Fleet } from "./support.ts";

const VALUE = "s3cr3t-of-a-test-9f2c";
const NEXT = "another-v4lue-of-a-test";

testWithEngine(
  "a secret reaches environment and file of its task, over crashes, and is seen nowhere else",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const env = { ORMEN_DECK: `localhost:${fleet.deckPort}` };
      const set = await command(["secret", "set", "DB_URL"], env, `${VALUE}\n`);
      assert.deepEqual([set.code, set.stdout], [0, "DB_URL  revision 1\n"], set.stderr);
      const script = 'echo "env $DB_URL"; echo "file $(cat /run/db 2>/dev/null)"; sleep 1000';
      const missing = await command(["run", "--secret", "NONE", image, "true"], env);
      assert.match(missing.stderr, /there is no secret NONE; set it with {2}ormen secret set NONE/);
      await fleet.submit({ name: "env", image, cmd: ["sh", "-c", script], secrets: ["DB_URL"] });
      await fleet.submit({ name: "file", image, cmd: ["sh", "-c", script], secrets: { DB_URL: { file: "/run/db" } } });
      for (const name of ["env", "file"]) await fleet.until(name, "running");
      await eventually("both are masked in logs", async () =>
        (await fleet.ok("logs", "env")) === "env ***\nfile \n" &&
        (await fleet.ok("logs", "file")) === "env \nfile ***\n");
      assert.equal(
        await fleet.ok("exec", "env", "sh", "-c", "echo $DB_URL | wc -c; echo $DB_URL"),
        `${VALUE.length + 1}\n***\n`,
      );

      await fleet.deck!.end("SIGKILL");
      fleet.startDeck();
      await fleet.ready();
      assert.equal(await fleet.ok("logs", "env"), "env ***\nfile \n", "after a restart it is opened again");
      await command(["secret", "set", "DB_URL"], env, NEXT);
      await fleet.submit({ name: "next", image, cmd: ["sh", "-c", "echo ${#DB_URL}"], secrets: ["DB_URL"] });
      await fleet.until("next", "completed");
      assert.equal(await fleet.ok("logs", "next"), `${NEXT.length}\n`, "the next attempt has the new value");

      const refused = await command(["secret", "rm", "DB_URL"], env);
      assert.match(refused.stderr, /task (env|file) uses the secret DB_URL; stop it first, or .*--force/);
      for (const path of ["/v1/tasks/env", "/v1/events?after=0", "/v1/secrets", "/v1/tasks"]) {
        const text = await (await fetch(`http://localhost:${fleet.deckPort}${path}`)).text();
        assert.ok(!text.includes(VALUE) && !text.includes(NEXT), path);
      }
      for (const process of [fleet.deck!, ...fleet.sailors]) {
        assert.ok(!process!.log.includes(VALUE) && !process!.log.includes(NEXT), "logs of the programs");
      }
      await fleet.ok("stop", "env");
      await fleet.ok("stop", "file");
      await eventually("both have ended", async () => (await fleet.tasks()).every(({ endedAt }) => endedAt !== null));
      assert.equal(await fleet.ok("secret", "rm", "DB_URL"), "DB_URL  removed\n");
      await fleet.deck!.end("SIGTERM");
      await fleet.sailors[0]!.end("SIGTERM");
      for await (const path of filesUnder(fleet.dir)) {
        const bytes = new TextDecoder("latin1").decode(await Deno.readFile(path));
        assert.ok(!bytes.includes(VALUE) && !bytes.includes(NEXT), path);
      }
      fleet.startSailor(0);
      fleet.startDeck();
      await fleet.ready();
    }),
);

async function* filesUnder(directory: string): AsyncGenerator<string> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(directory)) {
    if (isDirectory) yield* filesUnder(`${directory}/${name}`);
    else if (isFile) yield `${directory}/${name}`;
  }
}
