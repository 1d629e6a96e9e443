/** `ormen workflow schema`: the JSON Schema of workflow files, for editors. */
import type { Command } from "commander";
import { action, type Context, printJson, withExample, withJson } from "../context.ts";

export function addSchema(workflow: Command, context: Context): void {
  const command = workflow.command("schema").description("print the JSON Schema of workflow files, for editors");
  withExample(
    withJson(command),
    "ormen workflow schema > ormen-workflow.schema.json",
    "sed -i '1i # yaml-language-server: $schema=./ormen-workflow.schema.json' deploy.yaml",
  );
  command.action(action(context, async () => {
    const { workflowJsonSchema } = await import("../../core/documents/workflow_schema.ts");
    printJson(context.io, workflowJsonSchema());
  }));
}
