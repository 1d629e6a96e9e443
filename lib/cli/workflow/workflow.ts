/** `ormen workflow`: the commands of workflows, one file each. What they need beyond their options they load when called. */
import type { Command } from "commander";
import { action, type Context, withExample, withJson } from "../context.ts";
import { wrongUsage } from "../failure.ts";
import { addApply } from "./apply.ts";
import { addCancel, addRerun, addResume } from "./change_run.ts";
import { addApprove, addReject } from "./decide.ts";
import { addGraph } from "./graph.ts";
import { addHistory } from "./history.ts";
import { addList } from "./list.ts";
import { addPause, addRemove, addUnpause } from "./registered.ts";
import { addRunLogs } from "./run_logs.ts";
import { addRunStatus } from "./run_status.ts";
import { addSchema } from "./schema.ts";
import { addStart } from "./start.ts";
import { addValidate } from "./validate.ts";

export function addWorkflow(program: Command, context: Context): void {
  const workflow = program.command("workflow").description("chains of tasks: write them, run them, look after them");
  withExample(withJson(workflow), "ormen workflow run deploy.yaml -p version=v42", "ormen workflow status deploy");
  workflow.action(action(context, () => {
    throw wrongUsage("workflow needs a verb", "run one with  ormen workflow run FILE", "see  ormen workflow --help");
  }));
  addStart(workflow, context);
  addRunStatus(workflow, context);
  addRunLogs(workflow, context);
  addCancel(workflow, context);
  addApprove(workflow, context);
  addReject(workflow, context);
  addResume(workflow, context);
  addRerun(workflow, context);
  addList(workflow, context);
  addHistory(workflow, context);
  addApply(workflow, context);
  addPause(workflow, context);
  addUnpause(workflow, context);
  addRemove(workflow, context);
  addValidate(workflow, context);
  addGraph(workflow, context);
  addSchema(workflow, context);
}
