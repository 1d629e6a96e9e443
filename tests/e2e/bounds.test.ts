/** What a sailor's operator allows, tried on a real Engine: by the deck's users, by a link, by the sailor's own API. */
import assert from "node:assert/strict";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { command, Fleet, http } from "./support.ts";

const OPEN = "open";

testWithEngine(
  "bounds: binds and the host's network are refused unless the sailor allows them",
  (engine) =>
    Fleet.use(engine, {
      sailors: 2,
      sailorFlags: (index, dir) => index === 1 ? ["--allow-binds", `${dir}/${OPEN}`] : [],
    }, async (fleet) => {
      const open = `${fleet.dir}/${OPEN}`;
      await Deno.mkdir(open);
      await Deno.writeTextFile(`${open}/given`, "given\n");
      await Deno.symlink(fleet.dir, `${open}/out`);
      const cat = { image, cmd: ["cat", "/in/given"] };

      await fleet.submit({ ...cat, name: "allowed", volumes: [`${open}:/in:ro`] });
      const allowed = await fleet.until("allowed", "completed");
      assert.equal(allowed.attempt!.node, `localhost:${fleet.sailorPorts[1]}`);
      assert.equal(await fleet.ok("logs", "allowed"), "given\n");

      await fleet.submit({ ...cat, name: "closed", volumes: ["/etc:/in:ro"] });
      assert.equal((await fleet.task("closed")).why, "2 nodes: 2 do not allow the bind /etc (--allow-binds)");
      await fleet.submit({ ...cat, name: "above", volumes: [`${fleet.dir}:/in:ro`] });
      assert.match((await fleet.task("above")).why!, /2 do not allow the bind/);
      await fleet.submit({ ...cat, name: "host", network: "host" });
      assert.match((await fleet.task("host")).why!, /2 do not allow the host's network \(--allow-host-network\)/);
      assert.match(await fleet.ok("status", "closed"), /next +start a sailor there with --allow-binds \/etc/);

      // The deck sees no files: only the sailor knows where this leads.
      await fleet.submit({
        ...cat,
        name: "link",
        volumes: [`${open}/out:/in:ro`],
        restart: "always",
      });
      const link = await fleet.until("link", "failed");
      assert.match(
        link.why!,
        /does not allow the bind .*\/open\/out, which leads to .*: no --allow-binds of its sailor covers that/,
      );
      assert.equal(link.history.length, 1);

      const address = `http://localhost:${fleet.sailorPorts[0]}`;
      const id = crypto.randomUUID();
      const task = { ID: id, Name: "direct", Image: image, State: 1, Volumes: [`${open}:/in`] };
      const answer = await http("POST", `${address}/tasks`, { ID: crypto.randomUUID(), State: 2, Sail: task });
      assert.equal(answer.status, 201, answer.text);
      await eventually("the task that was given directly has failed", async () => {
        const { body } = await http("GET", `${address}/tasks`);
        return body.find((t: { ID: string; State: number }) => t.ID === id)?.State === 4;
      });
      assert.deepEqual(
        (await fleet.containers()).map((c) => c.task),
        [allowed.id],
        "the Engine was asked for one alone",
      );
    }),
);

const UNKEEPABLE: readonly { name: string; env: Record<string, string>; says: RegExp }[] = [
  {
    name: "an Engine of another machine",
    env: { DOCKER_HOST: "tcp://engine.example:2376" },
    says: /^error: --allow-binds cannot be kept: the Engine at tcp:\/\/engine\.example:2376 may be on another machine/m,
  },
  {
    name: "a path that leads nowhere",
    env: {},
    says: /^error: --allow-binds .*\/link: .*is a link to what does not exist/m,
  },
];
for (const { name, env, says } of UNKEEPABLE) {
  Deno.test(`bounds: a sailor does not start with bounds that it cannot keep: ${name}`, async () => {
    const dir = await Deno.makeTempDir();
    try {
      await Deno.symlink(`${dir}/nowhere`, `${dir}/link`);
      const flags = ["--data-dir", `${dir}/data`, "--allow-binds", `${dir}/link`];
      const { code, stderr } = await command(["sailor", "-p", "0", ...flags], env);
      assert.equal(code, 1);
      assert.match(stderr, says);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}
