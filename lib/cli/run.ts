/** `ormen run`: starts a task from a file or from flags, and follows it if asked. */
import type { Command } from "commander";
import { DeckError } from "../client/errors.ts";
import type { Deck } from "../client/client.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, nextCommand, printJson } from "./context.ts";
import { printJsonLine, withDeck, withExample, withJson } from "./context.ts";
import { readTextFile } from "./text_file.ts";
import { explainRefusal, parseFile } from "./document_file.ts";
import { CommandFailure, wrongUsage } from "./failure.ts";
import { followOutput, untilArrived } from "./follow.ts";
import { clean, portTexts, shortId } from "./render.ts";
import { documentOf, explainFlags, flagsGiven, type RunFlags, withRunFlags } from "./run_flags.ts";
import { exitCodeOf, failedTask, isFinal } from "./task_facts.ts";
import { span } from "./times.ts";

interface RunOptions extends DeckOption, JsonOption, RunFlags {
  readonly filename?: string;
  readonly wait?: boolean;
  readonly attach?: boolean;
}

const DEFAULT_FILE = "task.json";

export function addRun(program: Command, context: Context): void {
  const command = program.command("run").argument("[image]").argument(
    "[arg...]",
    "the command; options here are its own",
  )
    .description("start a task").passThroughOptions();
  withDeck(command)
    .option("-f, --filename <file>", `task document, JSON or YAML; - is standard input (default: ${DEFAULT_FILE})`);
  withRunFlags(command)
    .option("--wait", "follow it until it runs (and is healthy, if it has a health check)")
    .option("--attach", "follow its output and exit with its code; ctrl-C stops it");
  withExample(
    withJson(command),
    "ormen run -f task1.json --wait",
    "ormen run --publish 8080:80 --restart always nginx:1",
    "ormen run --attach busybox:latest sh -c 'echo hello'",
  );
  command.action(action(context, (image, args, options) => run(context, image, args, options)));
}

async function run(context: Context, image: string | undefined, args: string[], options: RunOptions): Promise<number> {
  if (image !== undefined && options.filename !== undefined) {
    throw wrongUsage("an image and --filename exclude each other");
  }
  const deck = deckOf(context, options);
  const startedMs = context.io.nowMs();
  const task = image === undefined
    ? await submitFile(context, deck, options)
    : await submitFlags(context, deck, image, args, options);
  if (options.attach) return await attach(context, deck, task, options);
  if (options.wait) return await waitFor(context, deck, task, startedMs, options);
  if (options.json) printJson(context.io, task.view);
  else {
    context.io.out(`${clean(task.name)} (${shortId(task.id)})  accepted\n`);
    context.io.out(`next   ${nextCommand(`status ${shortId(task.id)}`, options)}\n`);
  }
  return 0;
}

interface Submitted {
  readonly id: string;
  readonly name: string;
  readonly view: unknown;
}

async function submitFile(context: Context, deck: Deck, options: RunOptions): Promise<Submitted> {
  const flags = flagsGiven(options);
  if (flags.length > 0) throw wrongUsage(`${flags[0]} needs an IMAGE; in a file it is a key`);
  const path = options.filename ?? DEFAULT_FILE;
  const name = path === "-" ? "stdin" : path;
  if (options.filename === undefined && !exists(path)) {
    throw wrongUsage(`nothing to run: no IMAGE given, and there is no ${DEFAULT_FILE} here`);
  }
  const text = path === "-" ? await context.io.readText() : readTextFile(path, "the task file");
  const document = await parseFile(text, name);
  if (document.kind === "original") {
    const task = await deck.submitOriginal(document.event);
    return { id: task.ID, name: task.Name, view: task };
  }
  try {
    const view = await deck.submit(document.task);
    return { id: view.id, name: view.name, view };
  } catch (error) {
    if (!isRefusedDocument(error)) throw error;
    throw error.problem?.errors?.length ? await explainRefusal(text, name, error.problem) : error;
  }
}

async function submitFlags(
  context: Context,
  deck: Deck,
  image: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Submitted> {
  const document = documentOf(image, args, options, context.io.env, randomEnding);
  try {
    const view = await deck.submit(document);
    return { id: view.id, name: view.name, view };
  } catch (error) {
    throw (isRefusedDocument(error) && explainFlags(error)) || error;
  }
}

/** The state line grows step by step, so that it tells the truth at any moment. */
async function waitFor(
  context: Context,
  deck: Deck,
  { id, name }: Submitted,
  startedMs: number,
  options: RunOptions,
): Promise<number> {
  const { io } = context;
  const print = (text: string) => options.json || io.out(text);
  print(`${clean(name)} (${shortId(id)})  `);
  let steps = 0;
  try {
    const task = await untilArrived(deck, id, (step) => print(`${steps++ === 0 ? "" : " -> "}${step}`));
    print(`   ${span(io.nowMs() - startedMs)}\n`);
    if (options.json) printJson(io, task);
    if (task.state === "failed" || task.state === "stopped") throw failedTask(task);
    for (const port of portTexts(task.attempt)) print(`ports  ${port}\n`);
    print(`next   ${nextCommand(`logs ${isFinal(task.state) ? "" : "-f "}${shortId(id)}`, options)}\n`);
    return 0;
  } catch (error) {
    if (error instanceof DeckError) print("\n");
    throw error;
  }
}

/** The first ctrl-C stops the task and goes on showing what it says; the second leaves it to the deck. */
async function attach(context: Context, deck: Deck, { id, name }: Submitted, options: RunOptions): Promise<number> {
  const { io } = context;
  let asked = false;
  const restore = io.onSignal("SIGINT", () => {
    if (asked) io.exit(130);
    asked = true;
    io.err(`\nstopping ${clean(name)}; ctrl-C again leaves it to the deck\n`);
    deck.stop(id).catch((error) => io.err(`error: cannot stop ${clean(name)}: ${(error as Error).message}\n`));
  });
  try {
    const task = await followOutput(deck, id, (piece) => {
      if (options.json) printJsonLine(io, piece);
      else if (piece.stream === "stdout") io.out(piece.text);
      else io.err(piece.text);
    }, io.nowMs);
    if (options.json) printJsonLine(io, task);
    // What it said has been shown; only what it could not say itself is told.
    if (task.state === "failed" && !task.attempt?.startedAt) throw failedTask(task);
    if (task.attempt?.oomKilled) throw new CommandFailure(`${task.name} ran out of memory`, [], exitCodeOf(task));
    return exitCodeOf(task);
  } finally {
    restore();
  }
}

function isRefusedDocument(error: unknown): error is DeckError {
  return error instanceof DeckError && (error.status === 400 || error.status === 422);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Four letters and digits: enough to tell a person's tasks apart. */
function randomEnding(): string {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789";
  return Array.from(crypto.getRandomValues(new Uint8Array(4)), (byte) => letters[byte % letters.length]).join("");
}
