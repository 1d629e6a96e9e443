/** Where a deck or a sailor keeps its data unless it is told. */
import assert from "node:assert/strict";
import { defaultDataDir } from "../../lib/cli/options.ts";

const at = (uid: number, env: Record<string, string>, port = 5555) =>
  defaultDataDir("deck", port === 5555, port, (name) => env[name], uid);

Deno.test("defaultDataDir() is systemd's, root's or the user's own place, one for each port", () => {
  assert.equal(at(0, {}), "/var/lib/ormen/deck");
  assert.equal(at(0, {}, 5556), "/var/lib/ormen/deck-5556");
  assert.equal(at(0, { STATE_DIRECTORY: "/var/lib/private/ormen:/var/lib/b" }), "/var/lib/private/ormen/deck");
  assert.equal(at(1000, { HOME: "/home/a" }), "/home/a/.local/share/ormen/deck");
  assert.equal(at(1000, { HOME: "/home/a", XDG_DATA_HOME: "/data" }), "/data/ormen/deck");
});

Deno.test("defaultDataDir() keeps nothing where others write: without a HOME it asks for --data-dir", () => {
  assert.throws(() => at(1000, {}), {
    message: "there is no HOME to keep data in",
    hints: ["give the deck a --data-dir"],
  });
});
