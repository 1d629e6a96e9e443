/** `ormen workflow`: the commands of workflows, one file each. */
import type { Command } from "commander";
import { action, type Context, withExample, withJson } from "../context.ts";
import { wrongUsage } from "../failure.ts";
import { addGraph } from "./graph.ts";
import { addSchema } from "./schema.ts";
import { addValidate } from "./validate.ts";

export function addWorkflow(program: Command, context: Context): void {
  const workflow = program.command("workflow").description("chains of tasks: judge and draw their files");
  withExample(withJson(workflow), "ormen workflow validate deploy.yaml");
  workflow.action(action(context, () => {
    throw wrongUsage("workflow needs a verb", "see what is wrong with a file with  ormen workflow validate FILE");
  }));
  addValidate(workflow, context);
  addGraph(workflow, context);
  addSchema(workflow, context);
}
