/** `ormen secret`: values that tasks get by name. They are read from standard input, and never shown again. */
import type { Command } from "commander";
import type { SecretView } from "../messages/api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "./context.ts";
import { withDeck, withExample, withJson } from "./context.ts";
import { CommandFailure, wrongUsage } from "./failure.ts";
import type { Io } from "./io.ts";
import { clean, type Column, renderTable } from "./render.ts";
import { ago } from "./times.ts";

interface SetOptions extends DeckOption, JsonOption {
  readonly keepNewline?: boolean;
}

interface RemoveOptions extends DeckOption, JsonOption {
  readonly force?: boolean;
}

export function addSecret(program: Command, context: Context): void {
  const secret = program.command("secret").description("list secrets; set one, remove one");
  withExample(withJson(withDeck(secret)), "ormen secret", 'printf %s "$URL" | ormen secret set DB_URL');
  secret.action(action(context, (options) => list(context, options)));

  const set = secret.command("set").argument("<name>", "as tasks name it, such as DB_URL")
    .description("read a value from standard input and keep it, sealed")
    .option("--keep-newline", "keep the newline at the end of a value of one line");
  withExample(withJson(withDeck(set)), "ormen secret set DB_URL < url.txt");
  set.action(action(context, (name, options) => setOne(context, name, options)));

  const lists = secret.command("ls").alias("list").description("list the names of the secrets");
  withExample(withJson(withDeck(lists)), "ormen secret ls");
  lists.action(action(context, (options) => list(context, options)));

  const remove = secret.command("rm").argument("<name>").description("forget a secret")
    .option("--force", "even while a task needs it that has not ended");
  withExample(withJson(withDeck(remove)), "ormen secret rm DB_URL");
  remove.action(action(context, (name, options) => removeOne(context, name, options)));
}

async function setOne(context: Context, name: string, options: SetOptions): Promise<void> {
  const { io } = context;
  const text = io.inIsTerminal ? await typed(io, `value of ${name}: `) : await io.readText();
  // What an editor or echo has added is no part of it; a key of several lines keeps its last one.
  const oneLine = text.endsWith("\n") && text.indexOf("\n") === text.length - 1;
  const value = oneLine && !options.keepNewline ? text.replace(/\r?\n$/, "") : text;
  if (value === "") {
    throw wrongUsage("the value is empty", `write it to standard input:  ormen secret set ${name} < FILE`);
  }
  const kept = await deckOf(context, options).setSecret(name, value);
  if (options.json) return printJson(io, kept);
  io.out(`${clean(kept.name)}  revision ${kept.revision}\n`);
}

/** One line from the terminal, which does not show it. */
async function typed(io: Io, prompt: string): Promise<string> {
  io.err(prompt);
  io.setRaw(true);
  try {
    const decoder = new TextDecoder();
    let line = "";
    for await (const chunk of io.readChunks()) {
      for (const key of decoder.decode(chunk, { stream: true })) {
        if (key === "\r" || key === "\n" || key === "\x04") return line;
        if (key === "\x03") throw new CommandFailure("nothing was set");
        line = key === "\x7f" || key === "\b" ? line.slice(0, -1) : line + key;
      }
    }
    return line;
  } finally {
    io.setRaw(false);
    io.err("\n");
  }
}

async function list(context: Context, options: DeckOption & JsonOption): Promise<void> {
  const { io } = context;
  const secrets = await deckOf(context, options).secrets();
  if (options.json) return printJson(io, { secrets });
  const nowMs = io.nowMs();
  const columns: Column<SecretView>[] = [
    { head: "NAME", value: (secret) => secret.name, min: 8 },
    { head: "REVISION", value: (secret) => String(secret.revision) },
    { head: "CREATED", value: (secret) => ago(secret.createdAt, nowMs) },
    { head: "CHANGED", value: (secret) => ago(secret.updatedAt, nowMs) },
  ];
  io.out(await renderTable(io, columns, secrets));
}

async function removeOne(context: Context, name: string, options: RemoveOptions): Promise<void> {
  await deckOf(context, options).removeSecret(name, options.force ? { force: true } : {});
  if (options.json) return printJson(context.io, { secret: name, removed: true });
  context.io.out(`${clean(name)}  removed\n`);
}
