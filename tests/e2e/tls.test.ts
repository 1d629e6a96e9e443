/** Deck, sailors and commands that speak TLS with each other, with certificates of `ormen cert`. */
import assert from "node:assert/strict";
import type { NodeView } from "../../lib/messages/api.ts";
import { eventually } from "../fixtures/eventually.ts";
import { command, freePorts, Process } from "./support.ts";

Deno.test("TLS: sailors that join and sailors that are dialled, commands, output and exec; who does not know the authority stays out", async () => {
  const [deckPort, staticPort, joinPort, strangerPort] = freePorts(4);
  const dir = await Deno.makeTempDir();
  const certs = `${dir}/certs`;
  const ca = `${certs}/ca.pem`;
  const tls = (name: string) => ["--tls-cert", `${certs}/${name}.pem`, "--tls-key", `${certs}/${name}.key`];
  const sailor = (name: string, port: number) => [
    ...["sailor", "--runtime", "process", "-p", `${port}`, "--data-dir", `${dir}/${name}`, "-n", name],
  ];
  for (const args of [["ca"], ["issue", "deck", "--hosts", "localhost"], ["issue", "sailor", "--hosts", "localhost"]]) {
    const made = await command(["cert", ...args, "--dir", certs], {});
    assert.equal(made.code, 0, made.stderr);
  }
  const url = `https://localhost:${deckPort}`;
  const started = [
    new Process([
      ...["deck", "-p", `${deckPort}`, "-w", `https://localhost:${staticPort}`, "--data-dir", `${dir}/deck`],
      ...tls("deck"),
      ...["--ca", ca],
    ]),
    new Process([...sailor("dialled", staticPort), ...tls("sailor")]),
    new Process([...sailor("joins", joinPort), "--join", url, "--ca", ca]),
    // It checks whom it dials: without the authority it does not talk to this deck.
    new Process([...sailor("stranger", strangerPort), "--join", url]),
  ];
  const env = { ORMEN_DECK: url, ORMEN_CA: ca };
  try {
    const nodes = await eventually("both are ready", async () => {
      const { code, stdout } = await command(["mast", "--json"], env);
      const { nodes } = (code === 0 ? JSON.parse(stdout) : { nodes: [] }) as { nodes: NodeView[] };
      return nodes.filter(({ status }) => status === "ready").length === 2 && nodes;
    });
    assert.deepEqual(nodes.map(({ name }) => name).sort(), ["joins", `localhost:${staticPort}`]);
    for (const { name } of nodes) {
      const run = [
        "run",
        "--runtime",
        "process",
        "--constraint",
        `node.name == ${name}`,
        "--attach",
        "echo",
        "over there",
      ];
      const { code, stdout, stderr } = await command(run, env);
      assert.deepEqual([code, stdout], [0, "over there\n"], stderr);
    }
    await eventually("the stranger says why", () => /signed by no authority that is trusted here/.test(started[3].log));
    const blind = await command(["status"], { ORMEN_DECK: url });
    assert.equal(blind.code, 1);
    assert.match(blind.stderr, /its certificate is signed by no authority that is trusted here.*--ca FILE/);
    const plain = await command(["status"], { ORMEN_DECK: `http://localhost:${deckPort}` });
    assert.match(plain.stderr, /it speaks TLS; write https:/);
  } finally {
    for (const each of started) await each.end("SIGKILL");
    await Deno.remove(dir, { recursive: true });
  }
});
