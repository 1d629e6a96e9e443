/**
 * Pulls from a real registry, Debian's docker-registry on loopback: by tag and by digest, what is missing, a registry that is
 * away, and credentials, which lie with the sailor and never pass the deck.
 */
import assert from "node:assert/strict";
import type Docker from "dockerode";
import type { Engine } from "../fixtures/engine.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE } from "../fixtures/images.ts";
import { onDebianAsRoot, withPackages } from "../../tools/debian.ts";
import { Fleet, freePorts } from "./support.ts";

/** The password `ahoy` for the user `ormen`, as htpasswd -B writes it. */
const HTPASSWD = "ormen:$2y$05$rXIv/fOrtQUvstNIxjEfq.qQrP4cBIREUG3CW/0olKJMYLfcu7vju";
const REGISTRY = "docker-registry";
/** The Engine wants credentials for every push, if empty ones. */
const NOBODY = { username: "", password: "", serveraddress: "" };

class Registry {
  private constructor(
    readonly port: number,
    readonly dir: string,
    readonly auth: boolean,
    readonly child: Deno.ChildProcess,
  ) {}

  static async start(auth = false): Promise<Registry> {
    if (!await isInstalled()) await withPackages([REGISTRY]);
    const [port] = freePorts(1);
    const dir = await Deno.makeTempDir({ prefix: "ormen-registry-" });
    await Deno.writeTextFile(`${dir}/htpasswd`, HTPASSWD);
    await Deno.writeTextFile(
      `${dir}/config.yml`,
      JSON.stringify({
        version: "0.1",
        log: { level: "error", accesslog: { disabled: true } },
        storage: { filesystem: { rootdirectory: `${dir}/data` }, delete: { enabled: true } },
        http: { addr: `127.0.0.1:${port}` },
        ...(auth ? { auth: { htpasswd: { realm: "test", path: `${dir}/htpasswd` } } } : {}),
      }),
    );
    const registry = new Registry(port, dir, auth, spawn(dir));
    await eventually("the registry answers", async () => {
      const response = await fetch(`http://127.0.0.1:${port}/v2/`);
      await response.body?.cancel();
      return response.status === (auth ? 401 : 200);
    });
    return registry;
  }

  async push(docker: Docker, name: string, authconfig: Record<string, string> = NOBODY): Promise<string> {
    const [repo, tag] = name.split(":");
    const reference = `127.0.0.1:${this.port}/${repo}`;
    await docker.getImage(BUSYBOX_IMAGE).tag({ repo: reference, tag });
    const image = docker.getImage(`${reference}:${tag}`);
    const stream = await image.push({ authconfig: authconfig as unknown as Docker.AuthConfig });
    const digest = await new Promise<string>((resolve, reject) => {
      let found = "";
      docker.modem.followProgress(
        stream,
        (error: Error | null) => error ? reject(error) : resolve(found),
        (event: { aux?: { Digest?: string } }) => void (found = event.aux?.Digest ?? found),
      );
    });
    await image.remove();
    return digest;
  }

  async end(): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It was ended by the test.
    }
    await this.child.status;
    await Deno.remove(this.dir, { recursive: true });
  }
}

function spawn(dir: string): Deno.ChildProcess {
  return new Deno.Command(REGISTRY, {
    args: ["serve", `${dir}/config.yml`],
    stdout: "null",
    stderr: "null",
    stdin: "null",
  }).spawn();
}

async function isInstalled(): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${REGISTRY}`], stdout: "null" }).output()).success;
}

const mayRun = await isInstalled() || onDebianAsRoot() || Deno.env.get("ORMEN_REQUIRE_DOCKER") === "1";
if (!mayRun) {
  console.log(`skipped tests that need ${REGISTRY}: it is not installed, and only root on Debian installs it`);
}
const testWithRegistry: typeof testWithEngine = mayRun
  ? testWithEngine
  : (name) => Deno.test({ name, ignore: true, fn: () => {} });

testWithRegistry("pull: by tag, by digest, a missing tag, a registry that is away", async (engine) => {
  const registry = await Registry.start();
  try {
    await Fleet.use(engine, {}, async (fleet) => {
      const digest = await registry.push(engine.docker, "tool:1");
      const name = `127.0.0.1:${registry.port}/tool`;
      await fleet.submit({ name: "tag", image: `${name}:1`, cmd: ["echo", "pulled"] });
      await fleet.until("tag", "completed");
      await forget(engine, fleet, "tag", `${name}:1`);
      assert.match(digest, /^sha256:/);
      await fleet.submit({ name: "digest", image: `${name}@${digest}`, cmd: ["echo", "pulled"] });
      await fleet.until("digest", "completed");

      await fleet.submit({ name: "missing", image: `${name}:2`, cmd: ["true"] });
      assert.match((await fleet.until("missing", "failed")).why!, /cannot pull .*manifest.*(unknown|not found)/);

      registry.child.kill("SIGKILL");
      await registry.child.status;
      await fleet.submit({ name: "away", image: `${name}:3`, cmd: ["true"] });
      assert.match((await fleet.until("away", "failed")).why!, /cannot pull .*connection refused/);
      await forget(engine, fleet, "digest", `${name}@${digest}`);
    });
  } finally {
    await registry.end();
  }
});

testWithRegistry("credentials: wrong and right ones, which stay with the sailor", async (engine) => {
  const registry = await Registry.start(true);
  const auths = `${registry.dir}/auth.json`;
  const write = (password: string) =>
    Deno.writeTextFile(
      auths,
      JSON.stringify({ auths: { [`127.0.0.1:${registry.port}`]: { auth: btoa(`ormen:${password}`) } } }),
    );
  try {
    await write("wrong");
    await Fleet.use(engine, { sailorFlags: () => ["--registry-auth", auths] }, async (fleet) => {
      const image = `127.0.0.1:${registry.port}/secret:1`;
      await registry.push(engine.docker, "secret:1", { username: "ormen", password: "ahoy", serveraddress: "" });
      await fleet.submit({ name: "wrong", image, cmd: ["true"] });
      assert.match(
        (await fleet.until("wrong", "failed")).why!,
        /cannot pull .*(unauthorized|no basic auth|authentication)/,
      );
      await write("ahoy");
      await fleet.submit({ name: "right", image, cmd: ["true"] });
      await fleet.until("right", "completed");
      const everything = await (await fetch(`${fleet.url}/v1/tasks/right`)).text() + fleet.deck!.log +
        fleet.sailors[0]!.log;
      assert.ok(!everything.includes("ahoy") && !everything.includes(btoa("ormen:ahoy")));
      await forget(engine, fleet, "right", image);
    });
  } finally {
    await registry.end();
  }
});

/** Removes a task's container and its image, so that the next pull is one. */
async function forget(engine: Engine, fleet: Fleet, task: string, image: string): Promise<void> {
  const { attempt } = await fleet.task(task);
  await engine.docker.getContainer(attempt!.containerId!).remove({ force: true });
  await engine.docker.getImage(image).remove({ force: true });
}
