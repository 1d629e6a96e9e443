/**
 * Decks and sailors as processes of dist/ormen on free ports, with data of their own; commands run as users run them.
 * Whatever was started is ended by pid, and the containers of the test's own nodes are removed.
 */
import assert from "node:assert/strict";
import type { TaskDetailView, TaskView } from "../../lib/messages/api.ts";
import type { Engine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { ensureImages } from "../fixtures/images.ts";

export const ORMEN = Deno.env.get("ORMEN_BIN") ?? new URL("../../dist/ormen", import.meta.url).pathname;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Process {
  readonly #child: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #reading: Promise<void>;

  constructor(readonly args: readonly string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(ORMEN, { args: [...args], stdin: "null", stdout: "null", stderr: "piped", env })
      .spawn();
    this.#reading = this.#read();
  }

  get pid(): number {
    return this.#child.pid;
  }

  get log(): string {
    return this.#lines.join("");
  }

  async end(signal: Deno.Signal = "SIGTERM"): Promise<number> {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
    const { code } = await this.#child.status;
    await this.#reading;
    return code;
  }

  async #read(): Promise<void> {
    for await (const chunk of this.#child.stderr) this.#lines.push(decoder.decode(chunk));
  }
}

export interface FleetOptions {
  readonly sailors?: number;
  readonly deckFlags?: readonly string[];
  readonly sailorFlags?: (index: number) => readonly string[];
}

/** A deck and its static sailors. `use` runs with them; everything is gone afterwards. */
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
    const workers = this.sailorPorts.map((port) => `localhost:${port}`).join(",");
    this.deck = new Process([
      "deck",
      "-p",
      `${this.deckPort}`,
      "-w",
      workers,
      "--data-dir",
      `${this.dir}/deck`,
      ...this.options.deckFlags ?? [],
    ]);
  }

  startSailor(index: number): void {
    this.sailors[index] = new Process([
      "sailor",
      "-p",
      `${this.sailorPorts[index]}`,
      "--data-dir",
      `${this.dir}/sailor-${index}`,
      ...this.options.sailorFlags?.(index) ?? [],
    ], this.engine ? { DOCKER_HOST: this.engine.host } : {});
  }

  async ready(): Promise<void> {
    await eventually("every sailor is ready", async () => {
      const { nodes } = await this.json<{ nodes: { status: string }[] }>("mast");
      return nodes.filter((node) => node.status === "ready").length === this.sailorPorts.length;
    }, 30_000);
  }

  get url(): string {
    return `http://localhost:${this.deckPort}`;
  }

  run(...args: string[]): Promise<Output> {
    return command(args, { ORMEN_DECK: `localhost:${this.deckPort}` });
  }

  runWithInput(input: string, ...args: string[]): Promise<Output> {
    return command(args, { ORMEN_DECK: `localhost:${this.deckPort}` }, input);
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
    const response = await fetch(`${this.url}/v1/tasks/${reference}`);
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  }

  async submit(document: Record<string, unknown>): Promise<TaskView> {
    const response = await fetch(`${this.url}/v1/tasks`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ grace: "0s", ...document }),
    });
    const body = await response.json();
    assert.equal(response.status, 201, JSON.stringify(body));
    return body;
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

  async #remove(id: string): Promise<void> {
    try {
      await this.engine!.docker.getContainer(id).remove({ force: true, v: true });
    } catch (error) {
      // A sailor that was killed had it made, and the Engine has taken it back since it was listed.
      if ((error as { statusCode?: number }).statusCode !== 404) throw error;
    }
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
    if (this.engine) await Promise.all((await this.containers()).map(({ id }) => this.#remove(id)));
    await Deno.remove(this.dir, { recursive: true });
  }
}

export async function command(
  args: readonly string[],
  env: Record<string, string> = {},
  input?: string,
): Promise<Output> {
  const child = new Deno.Command(ORMEN, {
    args: [...args],
    env: { NO_COLOR: "1", ...env },
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(encoder.encode(input));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Free a moment ago. Listeners that are open at the same time never get the same one. */
export function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map((listener) => (listener.addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return ports;
}
