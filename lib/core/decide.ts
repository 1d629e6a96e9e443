/**
 * One way in: a state, an input, a context; one way out: a draft of changes, sends, alarms and a reply.
 * The order that the shell must honour: commit the changes and alarms, then apply them to what readers see, then send
 * and reply. `memory` is what the deck remembers between inputs and may forget at any time.
 */
import { decideAlarm, decideCatchUp, decideStart } from "./decide_alarm.ts";
import { decideHello, decideHelloDone, decideSessionClosed } from "./decide_hello.ts";
import { decideEligibility, decideRemoveNode } from "./decide_node.ts";
import { decidePlace } from "./decide_place.ts";
import { decideReports } from "./decide_reports.ts";
import { decideRemoveSecret, decideSetSecret } from "./decide_secret.ts";
import { decideOpenBatch, decideStop, decideSubmit } from "./decide_submit.ts";
import { decideSweep } from "./decide_sweep.ts";
import { decideNodeLost, decideTick } from "./decide_tick.ts";
import { decideCreateToken, decideRevokeToken } from "./decide_token.ts";
import type { Context } from "./draft.ts";
import { Draft } from "./draft.ts";
import type { Input, Settings } from "./input.ts";
import type { State } from "./state.ts";
import { decideChangeRollout } from "./service/change_rollout.ts";
import {
  decideApplyService,
  decideRemoveService,
  decideRestartService,
  decideRollbackService,
  decideScaleService,
} from "./service/decide_service.ts";
import { followServices } from "./service/follow_services.ts";
import { decideLookAtService } from "./service/look_at_service.ts";
import { decideAdvance, decideCancelSteps } from "./workflow/advance.ts";
import { decideApproval, decideCancelRun, decideStartRun } from "./workflow/decide_run.ts";
import {
  decideApplyWorkflow,
  decidePauseWorkflow,
  decidePutDefinition,
  decideRemoveWorkflow,
  decideSlot,
} from "./workflow/decide_workflow.ts";
import { decideFanOut } from "./workflow/fan_out.ts";
import { decideCrashed, decideLookAtRun } from "./workflow/look_at_run.ts";
import { decidePrepareRun } from "./workflow/prepare_run.ts";
import { decideRolloutEnded } from "./workflow/rollout_step.ts";
import { followTasks } from "./workflow/task_changes.ts";
import { decideChildEnded, decideDeadline, decideEndService } from "./workflow/wake.ts";

/** Kept between inputs, lost with the process; nothing that must survive may live here. */
export interface Memory {
  /** Placements so far, for schedulers that take turns. */
  turn: number;
  lastTickMonoMs: number;
  /** When nodes became silent all at once and the deck began to suspect itself; null: it does not. */
  suspectSinceMonoMs: number | null;
  /** By rollout: the monotonic time at which its record's `activeMs` was right. Forgotten, its clock goes on from there. */
  readonly rolloutClocks: Map<string, number>;
}

export interface World {
  readonly state: State;
  readonly settings: Settings;
  readonly memory: Memory;
}

export function createMemory(): Memory {
  return { turn: 0, lastTickMonoMs: -1, suspectSinceMonoMs: null, rolloutClocks: new Map() };
}

export function decide(world: World, input: Input, context: Context): Draft {
  const draft = new Draft(world.state, context);
  try {
    carryOut(world, draft, input);
    followTasks(world, draft);
    followServices(world, draft, input);
  } catch (error) {
    // Half a decision must not stay in the state that later ones build on.
    draft.undo();
    throw error;
  }
  return draft;
}

function carryOut(world: World, draft: Draft, input: Input): void {
  switch (input.kind) {
    case "submit":
      decideSubmit(world, draft, input);
      break;
    case "openBatch":
      decideOpenBatch(world, draft, input);
      break;
    case "stop":
      decideStop(world, draft, input);
      break;
    case "setEligibility":
      decideEligibility(world, draft, input);
      break;
    case "removeNode":
      decideRemoveNode(world, draft, input);
      break;
    case "createToken":
      decideCreateToken(world, draft, input);
      break;
    case "revokeToken":
      decideRevokeToken(world, draft, input);
      break;
    case "setSecret":
      decideSetSecret(world, draft, input);
      break;
    case "removeSecret":
      decideRemoveSecret(world, draft, input);
      break;
    case "putDefinition":
      decidePutDefinition(world, draft, input);
      break;
    case "applyWorkflow":
      decideApplyWorkflow(world, draft, input);
      break;
    case "removeWorkflow":
      decideRemoveWorkflow(world, draft, input);
      break;
    case "pauseWorkflow":
      decidePauseWorkflow(world, draft, input);
      break;
    case "slot":
      decideSlot(world, draft, input);
      break;
    case "startRun":
      decideStartRun(world, draft, input);
      break;
    case "cancelRun":
      decideCancelRun(world, draft, input);
      break;
    case "approval":
      decideApproval(world, draft, input);
      break;
    case "advance":
      decideAdvance(world, draft, input);
      break;
    case "prepareRun":
      decidePrepareRun(world, draft, input);
      break;
    case "fanOut":
      decideFanOut(world, draft, input);
      break;
    case "cancelSteps":
      decideCancelSteps(world, draft, input);
      break;
    case "endService":
      decideEndService(world, draft, input);
      break;
    case "childEnded":
      decideChildEnded(world, draft, input);
      break;
    case "deadline":
      decideDeadline(world, draft, input);
      break;
    case "crashed":
      decideCrashed(world, draft, input);
      break;
    case "lookAtRun":
      decideLookAtRun(world, draft, input);
      break;
    case "applyService":
      decideApplyService(world, draft, input);
      break;
    case "scaleService":
      decideScaleService(world, draft, input);
      break;
    case "rollbackService":
      decideRollbackService(world, draft, input);
      break;
    case "restartService":
      decideRestartService(world, draft, input);
      break;
    case "removeService":
      decideRemoveService(world, draft, input);
      break;
    case "changeRollout":
      decideChangeRollout(world, draft, input);
      break;
    case "lookAtService":
      decideLookAtService(world, draft, input);
      break;
    case "rolloutEnded":
      decideRolloutEnded(world, draft, input);
      break;
    case "hello":
      decideHello(world, draft, input);
      break;
    case "reports":
      decideReports(world, draft, input);
      break;
    case "helloDone":
      decideHelloDone(world, draft, input);
      break;
    case "sessionClosed":
      decideSessionClosed(world, draft, input);
      break;
    case "tick":
      decideTick(world, draft);
      break;
    case "nodeLost":
      decideNodeLost(world, draft, input);
      break;
    case "alarm":
      decideAlarm(world, draft, input);
      break;
    case "place":
      decidePlace(world, draft);
      break;
    case "sweep":
      decideSweep(world, draft);
      break;
    case "start":
      decideStart(world, draft);
      break;
    case "catchUp":
      decideCatchUp(world, draft);
      break;
    default:
      input satisfies never;
  }
}
