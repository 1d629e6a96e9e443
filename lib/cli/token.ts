/** `ormen token`: tokens that the deck makes for others, so that the operator's own stays with the operator. */
import type { Command } from "commander";
import { Option } from "commander";
import { ROLES } from "../core/token.ts";
import type { Role } from "../core/token.ts";
import type { TokenView } from "../messages/api.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "./context.ts";
import { withDeck, withExample, withJson } from "./context.ts";
import { wrongUsage } from "./failure.ts";
import { clean, type Column, renderTable } from "./render.ts";
import { ago, humanDuration } from "./times.ts";

interface CreateOptions extends DeckOption, JsonOption {
  readonly role?: Role;
  readonly name?: string;
  readonly expires?: string;
}

export function addToken(program: Command, context: Context): void {
  const token = program.command("token").description("list tokens; make one, take one back");
  withExample(withJson(withDeck(token)), "ormen token", "ormen token create --role join");
  token.action(action(context, (options) => list(context, options)));

  const create = token.command("create").description("make a token; it is shown this once")
    .addOption(
      new Option("--role <role>", "admin: everything; join: for sailors; read: changes nothing").choices(ROLES),
    )
    .option("--name <name>", "for the list (default: made of the role)")
    .option("--expires <duration>", "such as 30d (default: never)");
  withExample(withJson(withDeck(create)), "ormen token create --role read --name dashboard --expires 30d");
  create.action(action(context, (options) => make(context, options)));

  const lists = token.command("list").alias("ls").description("list the tokens that the deck has made");
  withExample(withJson(withDeck(lists)), "ormen token list");
  lists.action(action(context, (options) => list(context, options)));

  const revoke = token.command("revoke").argument("<token>", "id or name").description(
    "take a token back; what was opened with it ends",
  );
  withExample(withJson(withDeck(revoke)), "ormen token revoke dashboard");
  revoke.action(action(context, (reference, options) => takeBack(context, reference, options)));
}

async function make(context: Context, options: CreateOptions): Promise<void> {
  const { io } = context;
  const { role, name, expires } = options;
  if (role === undefined) throw wrongUsage("a token needs a --role", `one of ${ROLES.join(", ")}`);
  const made = await deckOf(context, options).createToken({
    role,
    ...(name === undefined ? {} : { name }),
    ...(expires === undefined ? {} : { expires }),
  });
  if (options.json) return printJson(io, made);
  // Alone on standard output, so that it can be written into a file; the rest is for the person.
  io.err(`${clean(made.name)} (${made.id})  ${made.role}  ${expiryOf(made, io.nowMs())}\n`);
  io.out(`${made.token}\n`);
  io.err(`${NEXT[made.role]}\nit is not shown again; take it back with   ormen token revoke ${clean(made.name)}\n`);
}

const NEXT: Readonly<Record<Role, string>> = {
  admin: "give it to commands with --token-file or ORMEN_TOKEN",
  read: "give it to commands and dashboards with --token-file or ORMEN_TOKEN",
  join: "put it into a file on the sailor's host:  ormen sailor --join URL --join-token-file FILE",
};

async function list(context: Context, options: DeckOption & JsonOption): Promise<void> {
  const { io } = context;
  const tokens = await deckOf(context, options).tokens();
  if (options.json) return printJson(io, { tokens });
  const nowMs = io.nowMs();
  const columns: Column<TokenView>[] = [
    { head: "ID", value: (token) => token.id },
    { head: "NAME", value: (token) => token.name, min: 8 },
    { head: "ROLE", value: (token) => token.role },
    { head: "CREATED", value: (token) => ago(token.createdAt, nowMs) },
    { head: "EXPIRES", value: (token) => expiryOf(token, nowMs) },
  ];
  io.out(await renderTable(io, columns, tokens));
}

function expiryOf(token: TokenView, nowMs: number): string {
  if (token.expiresAt === null) return "never";
  const leftMs = Date.parse(token.expiresAt) - nowMs;
  return leftMs > 0 ? `in ${humanDuration(leftMs)}` : "expired";
}

async function takeBack(context: Context, reference: string, options: DeckOption & JsonOption): Promise<void> {
  await deckOf(context, options).revokeToken(reference);
  if (options.json) return printJson(context.io, { token: reference, revoked: true });
  context.io.out(`${clean(reference)}  revoked\n`);
}
