/** `ormen service`: the commands of services, one file each. What they need beyond their options they load when called. */
import type { Command } from "commander";
import { action, type Context, withExample, withJson } from "../context.ts";
import { wrongUsage } from "../failure.ts";
import { addAddresses } from "./addresses.ts";
import { addApply, addPlan } from "./apply.ts";
import { addRemove, addRestart, addRollback, addScale } from "./change.ts";
import { addHistory } from "./history.ts";
import { addList } from "./list.ts";
import { addStatus } from "./status.ts";

export function addService(program: Command, context: Context): void {
  const service = program.command("service").description("replicated tasks: apply them, roll out new revisions, scale");
  withExample(withJson(service), "ormen service apply -f web.yaml", "ormen service status web");
  service.action(action(context, () => {
    throw wrongUsage("service needs a verb", "make one with  ormen service apply -f FILE", "see  ormen service --help");
  }));
  addApply(service, context);
  addPlan(service, context);
  addList(service, context);
  addStatus(service, context);
  addScale(service, context);
  addRollback(service, context);
  addRestart(service, context);
  addHistory(service, context);
  addAddresses(service, context);
  addRemove(service, context);
}
