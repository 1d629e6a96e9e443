/** `ormen exec`: a command in a task's container, with this terminal if asked. */
import type { Command } from "commander";
import type { ExecSession } from "../client/exec.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJsonLine } from "./context.ts";
import { withDeck, withExample, withJson } from "./context.ts";
import { wrongUsage } from "./failure.ts";
import type { Io } from "./io.ts";

interface ExecOptions extends DeckOption, JsonOption {
  readonly stdin?: boolean;
  readonly tty?: boolean;
}

export function addExec(program: Command, context: Context): void {
  const command = program.command("exec").argument("<id>", "id, beginning of an id, or name of a task")
    .argument("<command...>", "after -- if it has options of its own before its name")
    .description("run a command in a task's container").passThroughOptions();
  withDeck(command)
    .option("-i, --stdin", "pass standard input on")
    .option("-t, --tty", "give it a terminal");
  withExample(withJson(command), "ormen exec web -- ls -l /", "ormen exec -it web -- sh");
  command.action(action(context, (id, words, options) => exec(context, id, words, options)));
}

async function exec(context: Context, id: string, words: readonly string[], given: ExecOptions): Promise<number> {
  const { io } = context;
  const { command, stdin, tty } = splitCommand(words, given);
  if (command.length === 0) throw wrongUsage("there is no command after --");
  if (tty && !io.inIsTerminal) {
    throw wrongUsage("-t needs a terminal, and standard input is none", "leave -t out: ormen exec -i ID -- CMD");
  }
  if (tty && given.json) throw wrongUsage("--json and -t exclude each other");
  const session = await deckOf(context, given).exec(id, { command, stdin, tty, ...(tty ? io.size() : {}) });
  const restore = tty ? takeTerminal(io, session) : () => {};
  let code: number;
  try {
    if (stdin) pump(io, session);
    code = await show(io, session, given);
  } finally {
    restore();
  }
  // A read of standard input that waits would keep the process from ending.
  if (stdin) io.exit(code);
  return code;
}

async function show(io: Io, session: ExecSession, options: ExecOptions): Promise<number> {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  for await (const { stream, data } of session.output) {
    if (options.json) printJsonLine(io, { stream, text: decoders[stream].decode(data, { stream: true }) });
    else if (stream === "stdout") io.out(data);
    else io.err(data);
  }
  const exitCode = await session.exitCode;
  if (options.json) printJsonLine(io, { exitCode });
  return exitCode;
}

/** Options may also stand between the id and the dashes: `exec web -it -- sh`. Without dashes all is the command's. */
export function splitCommand(
  words: readonly string[],
  options: ExecOptions,
): { command: string[]; stdin: boolean; tty: boolean } {
  let stdin = options.stdin === true;
  let tty = options.tty === true;
  const dashes = words.indexOf("--");
  const before = words.slice(0, Math.max(0, dashes));
  if (dashes < 0 || !before.every((word) => /^(-[it]{1,2}|--stdin|--tty)$/.test(word))) {
    return { command: [...words], stdin, tty };
  }
  for (const word of before) {
    const short = !word.startsWith("--");
    stdin ||= word === "--stdin" || (short && word.includes("i"));
    tty ||= word === "--tty" || (short && word.includes("t"));
  }
  return { command: words.slice(dashes + 1), stdin, tty };
}

function takeTerminal(io: Io, session: ExecSession): () => void {
  io.setRaw(true);
  const unlisten = io.onSignal("SIGWINCH", () => {
    const { columns, rows } = io.size();
    session.resize(columns, rows);
  });
  return () => {
    unlisten();
    io.setRaw(false);
  };
}

async function pump(io: Io, session: ExecSession): Promise<void> {
  try {
    for await (const chunk of io.readChunks()) await session.write(chunk);
  } finally {
    session.closeStdin();
  }
}
