/** `ormen token`, and the files that an operator's tokens lie in. */
import assert from "node:assert/strict";
import { currentTokens, listenerTokens } from "../../lib/cli/token_file.ts";
import { dialerWithTokens } from "../../lib/cli/serve.ts";
import { routes, scriptedDeck } from "../client/scripted_deck.ts";
import { collectingLogger } from "../fixtures/logger.ts";
import { at, fakeIo, ormen } from "./support.ts";

const VIEW = { id: "a1b2c3d4", name: "dashboard", role: "read", createdAt: at(120), expiresAt: at(-86_400 * 2) };

Deno.test("token create prints the token alone on standard output", async () => {
  await using deck = scriptedDeck(routes({
    "POST /v1/tokens": () => Response.json({ ...VIEW, token: "ormen-read-abc" }, { status: 201 }),
  }));
  const args = ["token", "create", "-m", deck.address, "--role", "read", "--name", "dashboard", "--expires", "2d"];
  const { code, out, err } = await ormen(args);
  assert.equal(code, 0);
  assert.equal(out, "ormen-read-abc\n");
  assert.match(
    err,
    /^dashboard \(a1b2c3d4\) {2}read {2}in 2 days\n[\s\S]*not shown again; .*ormen token revoke dashboard\n$/,
  );
  assert.deepEqual(JSON.parse(deck.asked[0].body), { role: "read", name: "dashboard", expires: "2d" });
});

Deno.test("token create needs a role that there is", async () => {
  assert.match(
    (await ormen(["token", "create"])).err,
    /^error: a token needs a --role\n {2}one of admin, join, read\n/,
  );
  assert.equal((await ormen(["token", "create", "--role", "root"])).code, 2);
});

Deno.test("token list shows what is kept, and token revoke takes one back", async () => {
  await using deck = scriptedDeck(routes({
    "GET /v1/tokens": () =>
      Response.json({ tokens: [VIEW, { ...VIEW, name: "host-a", role: "join", expiresAt: null }] }),
    "DELETE /v1/tokens/dashboard": () => new Response(null, { status: 204 }),
  }));
  for (const words of [["token"], ["token", "list"], ["token", "ls"]]) {
    const { out } = await ormen([...words, "-m", deck.address]);
    assert.match(
      out,
      /ID +NAME +ROLE +CREATED +EXPIRES\na1b2c3d4 +dashboard +read +2 minutes ago +in 2 days\n.* host-a +join +.*never\n/,
    );
  }
  assert.equal((await ormen(["token", "revoke", "dashboard", "-m", deck.address])).out, "dashboard  revoked\n");
});

async function withFile(text: string, run: (file: string) => Promise<void> | void): Promise<void> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, text);
    await run(file);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("listenerTokens() refuses what can be guessed, without showing it, and warns of an open file", async () => {
  for (const short of ["short-one\n", "long-enough-token-1\nshort-one\n"]) {
    await withFile(short, (file) => {
      assert.throws(
        () => listenerTokens(fakeIo(), file),
        (error: Error) =>
          /a token of 9 characters; 16 are the least/.test(error.message) && !error.message.includes("short-one"),
      );
    });
  }
  assert.throws(
    () => listenerTokens(fakeIo({ env: { ORMEN_TOKEN: "tiny" } }), undefined),
    /ORMEN_TOKEN has a token of 4/,
  );
  assert.equal(listenerTokens(fakeIo(), undefined), null);
  await withFile("long-enough-token-1\n", async (file) => {
    await Deno.chmod(file, 0o644);
    const open = fakeIo();
    listenerTokens(open, file);
    assert.match(open.output.err, /^warning: others on this machine may read the token file .*chmod 600/);
    await Deno.chmod(file, 0o600);
    const closed = fakeIo();
    listenerTokens(closed, file);
    assert.equal(closed.output.err, "");
  });
});

Deno.test("currentTokens() reads the file again when it has changed, and keeps what was right when it is not fit", async () => {
  await withFile("# mine\nfirst-token-of-mine\n", async (file) => {
    const logger = collectingLogger();
    let nowMs = 0;
    const tokens = currentTokens({ kind: "file", path: file }, logger, () => nowMs);
    const later = () => {
      nowMs += 1_000;
      return tokens();
    };
    assert.deepEqual(tokens(), ["first-token-of-mine"]);
    assert.equal(later(), tokens(), "the same list while nothing has changed");
    await Deno.writeTextFile(file, "second-token-of-mine\nfirst-token-of-mine\n");
    assert.deepEqual(later(), ["second-token-of-mine", "first-token-of-mine"]);
    for (const unfit of ["", "short\n", "two words on a line\n"]) {
      await Deno.writeTextFile(file, unfit);
      assert.deepEqual(later(), ["second-token-of-mine", "first-token-of-mine"], JSON.stringify(unfit));
    }
    await Deno.writeTextFile(file, "second-token-of-mine\n");
    assert.deepEqual(later(), ["second-token-of-mine"]);
    assert.equal(logger.lines.filter(({ level }) => level === "warn").length, 3);
    assert(!JSON.stringify(logger.lines).includes("of-mine"), "no token is told");
  });
});

Deno.test("dialerWithTokens() presents the token that is valid at the time of the dial", async () => {
  const dials: unknown[] = [];
  let token: string | undefined = "one";
  const dialer = dialerWithTokens({
    dial: (url, options) => {
      dials.push([url, options.token]);
      return Promise.reject(new Error("nobody there"));
    },
  }, (host) => host === "host-a:80" ? token : undefined);
  for (const next of ["two", undefined]) {
    await assert.rejects(dialer.dial("ws://host-a:80/v1/session", {}));
    token = next;
  }
  await assert.rejects(dialer.dial("ws://host-b:80/v1/session", {}));
  assert.deepEqual(dials, [
    ["ws://host-a:80/v1/session", "one"],
    ["ws://host-a:80/v1/session", "two"],
    ["ws://host-b:80/v1/session", undefined],
  ]);
});
