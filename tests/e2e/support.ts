/**
 * Decks and sailors as processes of dist/ormen on free ports, with data of their own; commands run as users run them.
 * Whatever was started is ended by pid, and the containers of the test's own nodes are removed.
 *
 * ORMEN_BIN names another file to test. With ORMEN_FROM_SOURCE=1, for work on the program, it runs as it stands.
 */
import assert from "node:assert/strict";
import type { TaskDetailView, TaskView } from "../../lib/messages/api.ts";
import type { Engine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { ensureImages } from "../fixtures/images.ts";

export const ORMEN = Deno.env.get("ORMEN_BIN") ?? new URL("../../dist/ormen", import.meta.url).pathname;
export const FROM_SOURCE = Deno.env.get("ORMEN_FROM_SOURCE") === "1";
const MAIN = new URL("../../main.ts", import.meta.url).pathname;
/** More than an orderly end takes on a busy machine. */
const END_MS = 20_000;
const encoder = new TextEncoder();

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  readonly env?: Record<string, string>;
  /** Given on standard input; none by default. */
  readonly input?: string;
  /** A command that becomes the program, such as `nsenter ...`. */
  readonly through?: readonly string[];
}

/** A command that goes on: its output so far, and its end by its own pid. */
export class Process {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  #log = "";
  #out = "";

  constructor(readonly args: readonly string[], { env = {}, input, through = [] }: ProcessOptions = {}) {
    const [program, ...rest] = [...through, ...invocation(args)];
    const stdin = input === undefined ? "null" : "piped";
    this.#child = new Deno.Command(program, { args: rest, stdin, stdout: "piped", stderr: "piped", env }).spawn();
    this.#reading = Promise.all([
      read(this.#child.stderr, (text) => this.#log += text),
      read(this.#child.stdout, (text) => this.#out += text),
      input === undefined ? undefined : write(this.#child.stdin, input),
    ]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** What it wrote to standard error. */
  get log(): string {
    return this.#log;
  }

  /** What it wrote to standard output. */
  get out(): string {
    return this.#out;
  }

  /** Its exit code once it has ended by itself. */
  async ended(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#reading;
    return code;
  }

  /** Its exit code. One that does not obey is killed, and fails the test. */
  async end(signal: Deno.Signal = "SIGTERM"): Promise<number> {
    this.#kill(signal);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#kill("SIGKILL");
    }, END_MS);
    const code = await this.ended();
    clearTimeout(timer);
    if (late) throw new Error(`ormen ${this.args[0]} had not ended ${END_MS / 1000} s after ${signal}:\n${this.log}`);
    return code;
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }
}

export interface FleetOptions {
  readonly sailors?: number;
  /** They dial the deck, instead of being dialled. */
  readonly join?: boolean;
  readonly deckFlags?: readonly string[];
  /** `dir` is the fleet's. */
  readonly sailorFlags?: (index: number, dir: string) => readonly string[];
  /** A command that becomes the sailor, such as `nsenter ...`. */
  readonly sailorThrough?: (index: number) => readonly string[];
  /** The host at which deck and sailor find each other; localhost. */
  readonly deckHost?: (index: number) => string;
  readonly sailorHost?: (index: number) => string;
  /** Everybody's, for listeners outside loopback. */
  readonly token?: string;
}

/** A deck and its sailors. `use` runs with them; everything is gone afterwards. */
export class Fleet {
  readonly dir = Deno.makeTempDirSync({ prefix: "ormen-e2e-" });
  readonly deckPort: number;
  readonly sailorPorts: readonly number[];
  deck: Process | undefined;
  readonly sailors: (Process | undefined)[] = [];

  private constructor(readonly engine: Engine | undefined, readonly options: FleetOptions) {
    const ports = freePorts(1 + (options.sailors ?? 1));
    this.deckPort = ports[0];
    this.sailorPorts = ports.slice(1);
  }

  static async use(
    engine: Engine | undefined,
    options: FleetOptions,
    test: (fleet: Fleet) => Promise<void>,
  ): Promise<void> {
    if (engine) await ensureImages(engine.docker);
    const fleet = new Fleet(engine, options);
    try {
      for (const index of fleet.sailorPorts.keys()) fleet.startSailor(index);
      fleet.startDeck();
      await fleet.ready();
      await test(fleet);
    } catch (error) {
      console.error(`deck:\n${fleet.deck?.log}\nsailors:\n${fleet.sailors.map((s) => s?.log).join("\n--\n")}`);
      throw error;
    } finally {
      await fleet.#end();
    }
  }

  startDeck(): void {
    const workers = this.options.join ? "" : this.sailorPorts.map((_, index) => this.#addressOf(index)).join(",");
    this.deck = new Process([
      "deck",
      "-p",
      `${this.deckPort}`,
      "-w",
      workers,
      "--data-dir",
      `${this.dir}/deck`,
      ...this.options.deckFlags ?? [],
    ], { env: this.#env });
  }

  #addressOf(index: number): string {
    return `${this.options.sailorHost?.(index) ?? "localhost"}:${this.sailorPorts[index]}`;
  }

  /** A deck, a sailor and the client take the same token from there. */
  get #env(): Record<string, string> {
    const { token } = this.options;
    return { ORMEN_DECK: `localhost:${this.deckPort}`, ...(token === undefined ? {} : { ORMEN_TOKEN: token }) };
  }

  startSailor(index: number, more: readonly string[] = []): void {
    this.sailors[index] = new Process([
      "sailor",
      "-p",
      `${this.sailorPorts[index]}`,
      "--data-dir",
      `${this.dir}/sailor-${index}`,
      ...this.options.join
        ? ["--join", `http://${this.options.deckHost?.(index) ?? "localhost"}:${this.deckPort}`]
        : [],
      ...this.options.sailorFlags?.(index, this.dir) ?? [],
      ...more,
    ], {
      env: { ...this.#env, DOCKER_HOST: this.engine?.host ?? "unix:///nowhere/docker.sock" },
      through: this.options.sailorThrough?.(index) ?? [],
    });
  }

  async ready(): Promise<void> {
    await eventually("every sailor is ready", async () => {
      const { nodes } = (await this.http("GET", "/v1/nodes?limit=1000")).body as { nodes: { status: string }[] };
      return nodes.filter((node) => node.status === "ready").length === this.sailorPorts.length;
    }, 30_000);
  }

  get url(): string {
    return `http://localhost:${this.deckPort}`;
  }

  run(...args: string[]): Promise<Output> {
    return command(args, this.#env);
  }

  runWithInput(input: string, ...args: string[]): Promise<Output> {
    return command(args, this.#env, input);
  }

  /** The command's output where it is meant to succeed. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    assert.equal(code, 0, `ormen ${args.join(" ")}: ${stderr}${stdout}`);
    return stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, "--json"));
  }

  async tasks(): Promise<TaskView[]> {
    return (await this.json<{ tasks: TaskView[] }>("status", "--all")).tasks;
  }

  async task(reference: string): Promise<TaskDetailView> {
    const { status, body, text } = await this.http("GET", `/v1/tasks/${reference}`);
    assert.equal(status, 200, text);
    return body;
  }

  async submit(document: Record<string, unknown>): Promise<TaskView> {
    const { status, body, text } = await this.http("POST", "/v1/tasks", { grace: "0s", ...document });
    assert.equal(status, 201, text);
    return body as TaskView;
  }

  /** One request to the deck; a body that is no string is sent as JSON. */
  http(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const { token } = this.options;
    const bearer: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return http(method, `${this.url}${path}`, body, { ...bearer, ...headers });
  }

  /** A command that goes on, with this deck. */
  start(...args: string[]): Process {
    return new Process(args, { env: { NO_COLOR: "1", ...this.#env } });
  }

  until(reference: string, states: string | readonly string[], deadlineMs?: number): Promise<TaskDetailView> {
    return eventually(`${reference} is ${states}`, async () => {
      const task = await this.task(reference);
      return [states].flat().includes(task.state) && task;
    }, deadlineMs);
  }

  /** All containers of this fleet's nodes, whatever their state. */
  async containers(all = true): Promise<{ id: string; task: string; attempt: string; state: string }[]> {
    const rows = await this.engine!.docker.listContainers({ all, filters: { label: ["ormen.node"] } });
    const own = await this.#nodeIds();
    return rows.filter((row) => own.has(row.Labels["ormen.node"])).map((row) => ({
      id: row.Id,
      task: row.Labels["ormen.task"],
      attempt: row.Labels["ormen.attempt"],
      state: row.State,
    }));
  }

  async #nodeIds(): Promise<Set<string>> {
    const ids = new Set<string>();
    for (const index of this.sailorPorts.keys()) {
      try {
        ids.add(JSON.parse(await Deno.readTextFile(`${this.dir}/sailor-${index}/identity.json`)).nodeId);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error; // It never came to have one.
      }
    }
    return ids;
  }

  async #end(): Promise<void> {
    await Promise.all([this.deck, ...this.sailors].map((process) => process?.end("SIGKILL")));
    for (const index of this.sailorPorts.keys()) endProcesses(`${this.dir}/sailor-${index}/processes`);
    if (this.engine) {
      const { docker } = this.engine;
      await Promise.all((await this.containers()).map(({ id }) => remove(docker, id)));
    }
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** Host processes outlive their sailor. Each leads a group of its own. */
function endProcesses(dir: string): void {
  for (const name of namesIn(dir)) {
    if (namesIn(`${dir}/${name}`).includes("exit")) continue;
    try {
      Deno.kill(-Number(Deno.readTextFileSync(`${dir}/${name}/pid`)), "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

function namesIn(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}

/** A sailor that was killed may have told the Engine already: what is gone, or on its way, is as good as removed. */
async function remove(docker: Engine["docker"], id: string): Promise<void> {
  try {
    await docker.getContainer(id).remove({ force: true, v: true });
  } catch (error) {
    if (![404, 409].includes((error as { statusCode?: number }).statusCode ?? 0)) throw error;
  }
}

export async function command(
  args: readonly string[],
  env: Record<string, string> = {},
  input?: string,
): Promise<Output> {
  const process = new Process(args, { env: { NO_COLOR: "1", ...env }, ...(input === undefined ? {} : { input }) });
  const code = await process.ended();
  return { code, stdout: process.out, stderr: process.log };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined when the text is no JSON. */
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

export async function http(
  method: string,
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
  const response = await fetch(url, {
    method,
    headers: { ...type, ...headers },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The program and its arguments. A deck from source gives up the rights that the launcher keeps from it. */
export function invocation(args: readonly string[]): string[] {
  if (!FROM_SOURCE) return [ORMEN, ...args];
  const limits = args[0] === "deck" ? ["--deny-run", "--deny-ffi"] : [];
  // Several starts at once would each lay out node_modules anew, under the others' feet.
  return [Deno.execPath(), "run", "--quiet", "--node-modules-dir=manual", "-A", ...limits, MAIN, ...args];
}

async function read(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const texts = new TextDecoder();
  for await (const chunk of stream) take(texts.decode(chunk, { stream: true }));
}

async function write(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stream.getWriter();
  try {
    await writer.write(encoder.encode(text));
    await writer.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error; // It ended without reading all of it.
  }
}

/** Free a moment ago. Listeners that are open at the same time never get the same one. */
export function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map((listener) => (listener.addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return ports;
}
