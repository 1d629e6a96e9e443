/** `ormen workflow validate`: what is wrong with workflow files, and where; asks no deck. */
import type { Command } from "commander";
import { action, type Context, type JsonOption, printJson, withExample, withJson } from "../context.ts";
import { clean } from "../render.ts";
import type { PlacedProblem } from "./source_file.ts";

interface Verdict {
  readonly file: string;
  readonly problems: readonly PlacedProblem[];
  readonly steps: number;
}

export function addValidate(workflow: Command, context: Context): void {
  const command = workflow.command("validate").argument("<file...>", "workflows in YAML or JSON; - is standard input")
    .description("tell what is wrong with workflow files, without a deck");
  withExample(withJson(command), "ormen workflow validate deploy.yaml");
  command.action(action(context, (files, options) => validate(context, files, options)));
}

async function validate(context: Context, files: readonly string[], options: JsonOption): Promise<number> {
  const verdicts: Verdict[] = [];
  for (const file of files) verdicts.push(await judge(context, file));
  if (options.json) {
    printJson(context.io, {
      files: verdicts.map(({ file, problems }) => ({ file, valid: problems.length === 0, problems })),
    });
  } else for (const verdict of verdicts) await print(context, verdict);
  return verdicts.every(({ problems }) => problems.length === 0) ? 0 : 1;
}

async function judge({ io }: Context, path: string): Promise<Verdict> {
  const { checkFile, readSource } = await import("./source_file.ts");
  const checked = await checkFile(await readSource(path, () => io.readText()));
  const file = path === "-" ? "stdin" : path;
  if (checked.kind === "invalid") return { file, problems: checked.problems, steps: 0 };
  const { steps, onFailure, finally: last } = checked.spec;
  return { file, problems: [], steps: steps.length + onFailure.length + last.length };
}

async function print({ io }: Context, { file, problems, steps }: Verdict): Promise<void> {
  const { countProblems, describeProblem } = await import("./source_file.ts");
  if (problems.length === 0) {
    io.out(`${clean(file)}  is valid: ${steps === 1 ? "1 step" : `${steps} steps`}\n`);
    return;
  }
  for (const problem of problems) io.out(`${describeProblem(problem)}\n`);
  io.out(`${countProblems(clean(file), problems.length)}\n`);
}
