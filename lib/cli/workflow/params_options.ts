/** `-p k=v` and `--params-file`: the values that a person gives to a run or an approval. The deck knows their types. */
import type { Command } from "commander";
import type { DeckError } from "../../client/errors.ts";
import type { Context } from "../context.ts";
import { collect } from "../context.ts";
import { CommandFailure, wrongUsage } from "../failure.ts";
import { clean } from "../render.ts";
import { readTextFile } from "../text_file.ts";

type Scalar = string | number | boolean;

export interface ParamsOptions {
  readonly param?: readonly string[];
  readonly paramsFile?: string;
}

export function withParams(command: Command): Command {
  return command
    .option("-p, --param <key=value>", "a parameter; may be repeated", collect)
    .option("--params-file <file>", "parameters from a YAML or JSON file, - for standard input; those of -p win");
}

export async function paramsOf({ io }: Context, options: ParamsOptions): Promise<Record<string, Scalar>> {
  const { paramsFile } = options;
  const ofFile = paramsFile === undefined ? {} : await readParams(
    paramsFile,
    paramsFile === "-" ? await io.readText() : readTextFile(paramsFile, "the parameters"),
  );
  return { ...ofFile, ...pairsOf("-p", options.param ?? []) };
}

/** Values stay text: what they stand for is the workflow's to say. */
export function pairsOf(flag: string, pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw wrongUsage(`${flag} needs KEY=VALUE, not "${pair}"`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  }));
}

async function readParams(file: string, text: string): Promise<Record<string, Scalar>> {
  const { parseDocument } = await import("../yaml.ts");
  const document = parseDocument(text, { prettyErrors: false });
  if (document.errors.length > 0) {
    throw new CommandFailure(`cannot read the parameters in ${file}: ${document.errors[0].message}`);
  }
  const value = document.toJS({ maxAliasCount: 100 });
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CommandFailure(`${file} holds no parameters: write one  key: value  a line`);
  }
  for (const [key, each] of Object.entries(value)) {
    if (!["string", "number", "boolean"].includes(typeof each)) {
      throw new CommandFailure(`${file}: the parameter ${clean(key)} must be a text, a number, true or false`);
    }
  }
  return value as Record<string, Scalar>;
}

/** What a deck did not like of the values; undefined: its refusal is about something else. */
export function explainGiven(error: DeckError, where: "params" | "inputs", flag: string): CommandFailure | undefined {
  const given = (error.problem?.errors ?? []).filter(({ pointer }) => pointer.startsWith(`/${where}/`));
  if (error.status !== 422 || given.length === 0) return undefined;
  const what = where === "params" ? "parameter" : "input";
  const problems = given.map(({ pointer, detail }) => {
    const name = pointer.slice(where.length + 2).replaceAll("~1", "/").replaceAll("~0", "~");
    return { name, detail };
  });
  return wrongValues(what, problems, flag);
}

/** One sentence for each value that is wrong or missing; pure. */
export function wrongValues(
  what: "parameter" | "input",
  problems: readonly { readonly name: string; readonly detail: string }[],
  flag: string,
): CommandFailure {
  const isUnknown = (detail: string) => detail.startsWith("unknown parameter");
  const [first, ...rest] = problems.map(({ name, detail }) =>
    isUnknown(detail)
      ? `there is no ${what} ${name}${detail.slice("unknown parameter".length)}`
      : `${what} ${name} ${detail}`
  );
  const missing = problems.find(({ detail }) => !isUnknown(detail));
  return new CommandFailure(first, [...rest, ...(missing ? [`give it with  ${flag} ${missing.name}=VALUE`] : [])], 2);
}
