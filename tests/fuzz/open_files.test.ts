/** A deck that may open few files, and somebody who opens more connections than that. */
import assert from "node:assert/strict";
import { eventually } from "../fixtures/eventually.ts";

const FILES_MAX = 200;

Deno.test("a deck without files left to open lives, and serves again when connections end", async () => {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const dataDir = await Deno.makeTempDir({ prefix: "ormen-files." });
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      `ulimit -n ${FILES_MAX}; exec "$@"`,
      "sh",
      Deno.execPath(),
      ...["run", "-A", "--no-check", main, "deck", "-d", "memory", "-p", "0", "-w", "", "--data-dir", dataDir],
    ],
    env: { ORMEN_TOKEN: "" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let said = "";
  const hear = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) said += text;
  };
  const heard = Promise.all([hear(child.stdout), hear(child.stderr)]);
  const connections: Deno.TcpConn[] = [];
  try {
    const port = Number(
      await eventually("the deck listens", () => /http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1], 60_000),
    );
    await eventually("the deck has no files left", async () => {
      for (let i = 0; i < 20; i++) {
        try {
          connections.push(await Deno.connect({ hostname: "127.0.0.1", port }));
        } catch { /* Refused: that is what is waited for. */ }
      }
      return said.includes("Too many open files");
    });
    for (const connection of connections.splice(0)) connection.close();
    await eventually("the deck serves again", async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
      return await answer.text() === "ok\n";
    });
  } finally {
    for (const connection of connections) connection.close();
    child.kill("SIGTERM");
    const { code } = await child.status;
    await heard;
    await Deno.remove(dataDir, { recursive: true });
    assert.equal(code, 0, said);
  }
});
