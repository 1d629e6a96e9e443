/** `ormen cert`, and what clients and dialers make of the certificates. */
import assert from "node:assert/strict";
import { issueCertificate, makeAuthority } from "../../lib/adapters/certificates.ts";
import { createDialer } from "../../lib/adapters/web_socket_link.ts";
import { connect } from "../../lib/client/client.ts";
import { ormen } from "./support.ts";

const DAY_MS = 86_400_000;

interface Certs {
  readonly dir: string;
  readonly ca: string;
}

async function withCerts(run: (certs: Certs) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const made = await ormen(["cert", "ca", "--dir", `${dir}/certs`]);
    assert.equal(made.code, 0, made.err);
    await run({ dir: `${dir}/certs`, ca: await Deno.readTextFile(`${dir}/certs/ca.pem`) });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Answers /v1/info and sockets with the certificate of `name`. */
async function withServer(dir: string, name: string | null, run: (port: number) => Promise<void>): Promise<void> {
  const handler = (request: Request) => {
    if (request.headers.get("upgrade") !== "websocket") return Response.json({ version: "1", clusterId: "c" });
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(`${data} back`);
    return response;
  };
  const quiet = { port: 0, hostname: "127.0.0.1", onListen() {} };
  const server = name === null ? Deno.serve(quiet, handler) : Deno.serve({
    ...quiet,
    cert: await Deno.readTextFile(`${dir}/${name}.pem`),
    key: await Deno.readTextFile(`${dir}/${name}.key`),
  }, handler);
  try {
    await run(server.addr.port);
  } finally {
    await server.shutdown();
  }
}

const issue = (dir: string, name: string, hosts: string, ...rest: string[]) =>
  ormen(["cert", "issue", name, "--hosts", hosts, "--dir", dir, ...rest]);

/** Neither a request nor a socket gets through, and both say the same. */
async function assertRefused(url: string, caCerts: readonly string[], sentence: RegExp): Promise<void> {
  await assert.rejects(connect(url, { caCerts }).info(), sentence);
  await assert.rejects(createDialer(1_000, caCerts).dial(url, {}), sentence);
}

Deno.test({
  name: "a certificate of the authority is trusted with --ca by requests and sockets, and by nobody else",
  // The clients that trust an authority live as long as their process.
  sanitizeResources: false,
  fn: () =>
    withCerts(async ({ dir, ca }) => {
      const issued = await issue(dir, "deck", "localhost,127.0.0.1,::1");
      assert.equal(issued.code, 0, issued.err);
      assert.match(issued.out, /ormen deck --tls-cert .*deck\.pem --tls-key .*deck\.key/);
      for (const key of ["ca.key", "deck.key"]) {
        assert.equal((await Deno.stat(`${dir}/${key}`)).mode! & 0o777, 0o600, key);
      }
      await withServer(dir, "deck", async (port) => {
        for (const host of ["localhost", "127.0.0.1"]) {
          assert.equal((await connect(`https://${host}:${port}`, { caCerts: [ca] }).info()).version, "1");
        }
        const link = await createDialer(1_000, [ca]).dial(`https://localhost:${port}/v1/session`, {});
        const frame = Promise.withResolvers<unknown>();
        link.onFrame(frame.resolve);
        link.send("there and");
        assert.equal(await frame.promise, "there and back");
        const closed = Promise.withResolvers<string>();
        link.onClose(closed.resolve);
        link.close("done");
        await closed.promise;

        await assertRefused(`https://localhost:${port}`, [], /no authority that is trusted here.*--ca FILE/);
        const other = await Deno.makeTempDir();
        await ormen(["cert", "ca", "--dir", other]);
        const foreign = await Deno.readTextFile(`${other}/ca.pem`);
        await Deno.remove(other, { recursive: true });
        await assertRefused(`https://localhost:${port}`, [foreign], /no authority that is trusted here/);
        await assertRefused(`http://localhost:${port}`, [ca], /it speaks TLS; write https:/);
      });
    }),
});

Deno.test({
  name: "a certificate for another name, one that has expired, and none at all are refused",
  sanitizeResources: false,
  fn: () =>
    withCerts(async ({ dir }) => {
      const now = Date.now();
      const authority = await makeAuthority("Ormen CA", 10, now - 5 * DAY_MS);
      const ca = authority.certificate;
      await Deno.writeTextFile(`${dir}/ca.pem`, ca);
      await Deno.writeTextFile(`${dir}/ca.key`, authority.key);
      await issue(dir, "named", "deck.example");
      await withServer(dir, "named", (port) =>
        assertRefused(`https://localhost:${port}`, [ca], /its certificate is for another name/));
      const old = await issueCertificate({
        authority,
        name: "old",
        hosts: ["localhost"],
        days: 1,
        nowMs: now - 3 * DAY_MS,
      });
      await Deno.writeTextFile(`${dir}/old.pem`, old.certificate);
      await Deno.writeTextFile(`${dir}/old.key`, old.key);
      await withServer(dir, "old", (port) =>
        assertRefused(`https://localhost:${port}`, [ca], /has expired/));
      await withServer(dir, null, (port) =>
        assertRefused(`https://localhost:${port}`, [ca], /it does not speak TLS; write http:/));
    }),
});

Deno.test("cert overwrites nothing, and says what is missing", () =>
  withCerts(async ({ dir, ca }) => {
    const again = await ormen(["cert", "ca", "--dir", dir]);
    assert.deepEqual([again.code, /ca\.pem is there already/.test(again.err)], [1, true]);
    assert.equal(await Deno.readTextFile(`${dir}/ca.pem`), ca);
    await issue(dir, "deck", "a.example");
    assert.match((await issue(dir, "deck", "b.example")).err, /deck\.pem is there already/);
    assert.match(
      (await issue(`${dir}/none`, "deck", "a.example")).err,
      /no such file\n {2}make one with {2}ormen cert ca/,
    );
    assert.match((await ormen(["cert", "issue", "x", "--dir", dir])).err, /--hosts names nothing/);
    assert.match((await issue(dir, "x", "a b")).err, /--hosts has no name or address in "a b"/);
    assert.match((await issue(dir, "../x", "a")).err, /not a name for a certificate/);
    assert.match((await issue(dir, "y", "a", "--days", "0")).err, /--days is from 1 to/);
    // A key that belongs to another authority.
    await ormen(["cert", "ca", "--dir", `${dir}/b`]);
    await Deno.copyFile(`${dir}/b/ca.key`, `${dir}/ca.key`);
    assert.match((await issue(dir, "z", "a.example")).err, /the authority's key does not belong to its certificate/);
  }));

Deno.test("--ca takes what ORMEN_CA names, and refuses a file without a certificate", async () => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, "nothing\n");
  const setups: readonly (readonly [args: string[], env: Record<string, string>])[] = [
    [["--ca", file], {}],
    [[], { ORMEN_CA: file }],
  ];
  for (const [args, env] of setups) {
    const { code, err } = await ormen(["status", ...args], { env });
    assert.deepEqual([code, /holds no certificate \(PEM\)/.test(err)], [1, true], err);
  }
  await Deno.remove(file);
});
