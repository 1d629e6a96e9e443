/** A runtime with one container, "box", whose logs and commands a test scripts; it has nothing else. */
import type { ExecOptions, ExecSession, LogOptions, OutputChunk, Runtime } from "../../lib/contracts/runtime.ts";
import { RuntimeError } from "../../lib/contracts/runtime.ts";

export interface Script {
  readonly logs?: (options: LogOptions, signal: AbortSignal) => AsyncIterable<OutputChunk>;
  readonly exec?: (options: ExecOptions) => Promise<ExecSession>;
}

export function scriptedRuntime(script: Script): Runtime {
  const only = (name: string) => {
    if (name !== "box") throw new RuntimeError("missing", `no container ${name}`);
  };
  const runtime: Pick<Runtime, "kind" | "inspect" | "logs" | "exec"> = {
    kind: "docker",
    inspect: (name) => Promise.resolve(name === "box" || name === "ghost" ? { name } as never : undefined),
    logs(name, options, signal) {
      only(name);
      return script.logs!(options, signal);
    },
    async exec(name, options) {
      only(name);
      return await script.exec!(options);
    },
  };
  return runtime as Runtime;
}

/** Attempts "a" (box), "ghost" (inspected, then gone) and "lost" (journalled, never there). */
export function findIn(runtime: Runtime): (attemptId: string) => { runtime: Runtime; name: string } | undefined {
  const names: Record<string, string> = { a: "box", ghost: "ghost", lost: "lost" };
  return (attemptId) => attemptId in names ? { runtime, name: names[attemptId] } : undefined;
}

export const chunk = (text: string, stream: "stdout" | "stderr" = "stdout"): OutputChunk => ({
  stream,
  data: new TextEncoder().encode(text),
});

/** A command that says its size, echoes its stdin in upper case and exits with the number of lines it was given. */
export class ShoutingCommand implements ExecSession {
  closed = false;
  readonly sizes: number[][] = [];
  readonly output: AsyncIterable<OutputChunk>;
  readonly exitCode: Promise<number>;
  readonly #exit = Promise.withResolvers<number>();
  readonly #chunks: OutputChunk[] = [];
  #wake: () => void = () => {};
  #lines = 0;
  #over = false;

  constructor(readonly options: ExecOptions) {
    this.exitCode = this.#exit.promise;
    this.output = this.#read();
  }

  write(data: Uint8Array): Promise<void> {
    const text = new TextDecoder().decode(data);
    this.#lines += text.split("\n").length - 1;
    this.#say(chunk(text.toUpperCase()));
    return Promise.resolve();
  }

  closeStdin(): Promise<void> {
    this.#say(chunk("bye", "stderr"));
    this.#finish(this.#lines);
    return Promise.resolve();
  }

  resize(columns: number, rows: number): Promise<void> {
    this.sizes.push([columns, rows]);
    this.#say(chunk(`<${columns}x${rows}>`));
    return Promise.resolve();
  }

  close(): void {
    this.closed = true;
    this.#finish(137);
  }

  #say(what: OutputChunk): void {
    this.#chunks.push(what);
    this.#wake();
  }

  #finish(exitCode: number): void {
    this.#over = true;
    this.#exit.resolve(exitCode);
    this.#wake();
  }

  async *#read(): AsyncIterable<OutputChunk> {
    while (true) {
      const next = this.#chunks.shift();
      if (next) yield next;
      else if (this.#over) return;
      else await new Promise<void>((wake) => this.#wake = wake);
    }
  }
}
