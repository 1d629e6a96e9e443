import assert from "node:assert/strict";
import type { Io } from "../../lib/cli/io.ts";
import { renderTable, shortIds } from "../../lib/cli/render.ts";

const TAIL = "-4c3a-8f6b-8a21-0123456789ab";
const piped = { outIsTerminal: false, env: () => undefined } as unknown as Io;

Deno.test("shortIds() shows eight digits, more where that does not tell two apart, and what users chose as it is", () => {
  const alike = [`9e20b7d1${TAIL}`, `9e20b7d1-4c3b${TAIL.slice(5)}`];
  const ids = [...alike, `1e20b7d1${TAIL}`, "web", "web-2"];
  const idOf = shortIds(ids);
  assert.deepEqual(ids.map(idOf), ["9e20b7d1-4c3a", "9e20b7d1-4c3b", "1e20b7d1", "web", "web-2"]);
  assert.equal(idOf(`77777777${TAIL}`), "77777777", "one that it was not told of");
});

Deno.test("renderTable() keeps its columns over hundreds of rows, wide letters included", async () => {
  const items = Array.from(
    { length: 301 },
    (_, i) => ({ name: i === 260 ? "漢字-name-longest" : `n${i}`, state: `s${i}` }),
  );
  const text = await renderTable(piped, [
    { head: "NAME", value: ({ name }) => name },
    { head: "STATE", value: ({ state }) => state },
  ], items);
  const lines = text.split("\n");
  assert.equal(lines.pop(), "");
  assert.equal(lines.length, items.length + 1);
  // The longest takes 17 columns of a terminal, two for each of its wide letters.
  assert.equal(lines[0], "NAME".padEnd(19) + "STATE");
  assert.equal(lines[301], "n300".padEnd(19) + "s300");
  assert.equal(lines[261], "漢字-name-longest  s260");
});

Deno.test("renderTable() of nothing is its heads", async () => {
  assert.equal(
    await renderTable(piped, [{ head: "NAME", value: String }, { head: "STATE", value: String }], []),
    "NAME  STATE\n",
  );
});
