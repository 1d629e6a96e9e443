/** Data that a deck must not touch, and data that it cannot write: it says so, harms nothing, and loses nothing. */
import assert from "node:assert/strict";
import { eventually } from "../fixtures/eventually.ts";
import { skipUnless } from "../fixtures/skip.ts";
import { command, freePorts, http, Process } from "./support.ts";

const SBIN = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;
const mayMount = isRoot && (await sh("unshare -m true")).success;

/** A tmpfs that holds an image, so that everything ends with the namespace. */
const EXT4 = 'mount -t tmpfs tmpfs "$0"; truncate -s 64M "$0/image"; mkfs.ext4 -q "$0/image"; mkdir "$0/disk"; ' +
  'mount -o loop "$0/image" "$0/disk"';

const mayLoop = mayMount && await canLoop();

/** A deck on `dir`; without workers it places nothing. */
class Deck {
  readonly process: Process;
  readonly url: string;

  constructor(readonly dir: string, readonly port: number, through: readonly string[] = [], workers = "") {
    this.url = `http://localhost:${port}`;
    this.process = new Process(["deck", "-p", `${port}`, "-w", workers, "--data-dir", dir], { through });
  }

  async ready(): Promise<void> {
    await eventually("the deck is ready", async () => (await http("GET", `${this.url}/readyz`)).status === 200, 30_000);
  }

  /** A task for an Engine, which no node here has. */
  submit(name: string) {
    return http("POST", `${this.url}/v1/tasks`, { name, image: "x:1" });
  }

  async names(): Promise<string[]> {
    const { body } = await http("GET", `${this.url}/v1/tasks?limit=1000`);
    // Two of one millisecond may change places with a restart.
    return body.tasks.map((task: { name: string }) => task.name).sort();
  }
}

Deno.test("a data directory that another deck has open is refused, and the other goes on unharmed", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-e2e-" });
  const [first, second] = freePorts(2);
  const holder = new Deck(dir, first);
  try {
    await holder.ready();
    assert.equal((await holder.submit("one")).status, 201);
    const before = (await http("GET", `${holder.url}/v1/info`)).body;
    const files = listing(dir);
    for (let i = 0; i < 3; i++) {
      const { code, stderr } = await command(["deck", "-p", `${second}`, "-w", "", "--data-dir", dir]);
      assert.equal(code, 1);
      assert.equal(
        stderr,
        `error: ${dir} is in use by another deck (pid ${holder.process.pid}); stop it, or choose another --data-dir\n`,
      );
    }
    assert.deepEqual(listing(dir), files);
    assert.equal((await holder.submit("two")).status, 201);
    assert.deepEqual((await http("GET", `${holder.url}/v1/info`)).body, before, "the same term");
    // The kernel frees what a killed one held.
    await holder.process.end("SIGKILL");
    const next = new Deck(dir, second);
    try {
      await next.ready();
      assert.deepEqual(await next.names(), ["one", "two"]);
    } finally {
      await next.process.end("SIGKILL");
    }
  } finally {
    await holder.process.end("SIGKILL");
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a data directory of a newer version is refused, and stays as it is", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-e2e-" });
  const [port] = freePorts(1);
  try {
    const deck = new Deck(dir, port);
    await deck.ready();
    assert.equal((await deck.submit("one")).status, 201);
    assert.equal(await deck.process.end(), 0);
    const own = await Deno.readTextFile(`${dir}/format`);
    await Deno.writeTextFile(`${dir}/format`, JSON.stringify({ kind: "deck", version: 99, more: [] }));
    const before = listing(dir);
    const { code, stderr } = await command(["deck", "-p", `${port}`, "-w", "", "--data-dir", dir]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: .* was written by a newer ormen \(format 99\); use that version, or another --data-dir/,
    );
    assert.deepEqual(listing(dir), before);
    await Deno.writeTextFile(`${dir}/format`, own);
    const again = new Deck(dir, port);
    try {
      await again.ready();
      assert.deepEqual(await again.names(), ["one"]);
    } finally {
      await again.process.end("SIGKILL");
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** A disk in a mount namespace of its own: nothing of it is left, whatever becomes of the test. */
class Disk implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "ormen-e2e-" });
  #keeper: Deno.ChildProcess | undefined;

  /** `mount` is run with the directory as $0. */
  static async with(mount: string): Promise<Disk> {
    const disk = new Disk();
    const script = `set -e; ${mount}; echo mounted; exec sleep 1000`;
    const keeper = new Deno.Command("unshare", {
      args: ["-m", "sh", "-c", script, disk.dir],
      stdout: "piped",
      env: { PATH: SBIN },
    }).spawn();
    disk.#keeper = keeper;
    const told = keeper.stdout.getReader();
    const { value } = await told.read();
    await told.cancel();
    if (value) return disk;
    await disk[Symbol.asyncDispose]();
    throw new Error(`cannot mount a disk for the test: ${mount}`);
  }

  get through(): string[] {
    return ["nsenter", "-t", `${this.#keeper!.pid}`, "-m"];
  }

  async run(script: string): Promise<Deno.CommandOutput> {
    const [program, ...args] = [...this.through, "sh", "-c", script, this.dir];
    return await new Deno.Command(program, { args, env: { PATH: SBIN }, stdin: "null" }).output();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#keeper?.kill("SIGKILL");
    await this.#keeper?.status;
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test({
  name: "a data directory on a read-only disk is refused in words, new or with data, and serves again when it may",
  ...skipUnless(mayMount, "a read-only disk is made of a tmpfs, which takes root and the right to mount"),
  async fn() {
    await using disk = await Disk.with('mount -t tmpfs tmpfs "$0"');
    const [port] = freePorts(1);
    const data = `${disk.dir}/deck`;
    const refused = async () => {
      const process = new Process(["deck", "-p", `${port}`, "-w", "", "--data-dir", data], { through: disk.through });
      assert.equal(await process.ended(), 1, process.log);
      assert.match(process.log, /^error: cannot (make|write to) the data directory .*[Rr]ead-only.*--data-dir\n$/);
    };
    assert.ok((await disk.run('mount -o remount,ro "$0"')).success);
    await refused();
    assert.ok((await disk.run('mount -o remount,rw "$0"')).success);
    const deck = new Deck(data, port, disk.through);
    await deck.ready();
    assert.equal((await deck.submit("one")).status, 201);
    assert.equal(await deck.process.end(), 0);
    assert.ok((await disk.run('mount -o remount,ro "$0"')).success);
    await refused();
    assert.ok((await disk.run('mount -o remount,rw "$0"')).success);
    const again = new Deck(data, port, disk.through);
    try {
      await again.ready();
      assert.deepEqual(await again.names(), ["one"]);
    } finally {
      await again.process.end("SIGKILL");
    }
  },
});

Deno.test({
  name: "a disk that turns read-only under a running deck: reads go on, writes and /readyz say 503, nothing is lost",
  ...skipUnless(mayLoop, "a disk that fails is an ext4 in a file, which takes root, loop devices and mkfs.ext4"),
  async fn() {
    // A tmpfs cannot turn read-only while files are open. `abort` is what ext4 does to itself when its disk fails.
    await using disk = await Disk.with(EXT4);
    const [port, sailorPort] = freePorts(2);
    const data = `${disk.dir}/disk/deck`;
    const workers = `localhost:${sailorPort}`;
    const sailor = new Process(
      ["sailor", "-p", `${sailorPort}`, "--runtime", "process", "--data-dir", `${disk.dir}/sailor`],
    );
    await using _sailor = { [Symbol.asyncDispose]: async () => void await sailor.end("SIGKILL") };
    const deck = new Deck(data, port, disk.through, workers);
    const accepted: string[] = [];
    let waiting: { retryAt: string; attempts: number };
    const again = { name: "again", runtime: "process", restart: "on-failure:1", cmd: ["false"], reschedule: true };
    try {
      await deck.ready();
      for (let i = 0; i < 20; i++) {
        assert.equal((await deck.submit(`t${i}`)).status, 201);
        accepted.push(`t${i}`);
      }
      assert.equal((await http("POST", `${deck.url}/v1/tasks`, again)).status, 201);
      accepted.push(again.name);
      const look = async () => (await http("GET", `${deck.url}/v1/tasks/again`)).body;
      waiting = await eventually("it waits for its retry", async () => {
        const task = await look();
        return task.retryAt !== null && task;
      });
      await disk.run('mount -o remount,abort "$0/disk"');
      const refused = await eventually("the deck says that it cannot write", async () => {
        const name = `t${accepted.length}`;
        const answer = await deck.submit(name);
        if (answer.status === 201) accepted.push(name);
        return answer.status !== 201 && (await http("GET", `${deck.url}/readyz`)).status === 503 && answer;
      });
      assert.deepEqual([refused.status, refused.body.code], [503, "unavailable"]);
      // An alarm falls due that cannot be taken off the queue.
      await eventually("it lives when its alarm has rung", async () => {
        assert.deepEqual(await deck.names(), accepted.toSorted());
        return Date.now() > Date.parse(waiting.retryAt) + 2_000;
      });
      assert.equal((await deck.submit("refused")).status, 503);
      assert.equal((await look()).attempts, waiting.attempts, "nothing is told that is not durable");
    } finally {
      await deck.process.end("SIGKILL");
    }
    assert.ok((await disk.run('umount "$0/disk" && mount -o loop "$0/image" "$0/disk"')).success);
    const next = new Deck(data, port, disk.through, workers);
    try {
      await next.ready();
      assert.deepEqual(await next.names(), accepted.toSorted());
      assert.equal((await next.submit("after")).status, 201);
      await eventually(
        "the retry is made",
        async () => (await http("GET", `${next.url}/v1/tasks/again`)).body.attempts > waiting.attempts,
      );
    } finally {
      await next.process.end("SIGKILL");
    }
  },
});

async function canLoop(): Promise<boolean> {
  const dir = await Deno.makeTempDir({ prefix: "ormen-e2e-" });
  try {
    return (await sh(`unshare -m sh -c '${EXT4} && mount -o remount,abort "$0/disk"' ${dir}`)).success;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function sh(script: string): Promise<Deno.CommandOutput> {
  return new Deno.Command("sh", { args: ["-c", script], env: { PATH: SBIN }, stdin: "null" }).output();
}

/** Names, sizes and times of all files but those that a running deck writes to. */
function listing(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => {
    const { size, mtime } = Deno.statSync(`${dir}/${name}`);
    return `${name} ${size} ${mtime?.getTime()}`;
  }).filter((line) => !/-(wal|shm) /.test(line)).sort();
}
