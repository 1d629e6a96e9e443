/** Bugs that the simulator must find: each is a change to copies of the sources, never to the sources themselves. */
import type { Rule } from "./invariants.ts";

export interface Edit {
  /** Below the project's top directory. */
  readonly file: string;
  /** Found there exactly once. */
  readonly text: string;
  readonly instead: string;
}

export interface Plant {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** What it may break first. */
  readonly breaks: readonly Rule[];
  /** Where to begin: those that are found late take most of the time otherwise; 1 unless said. */
  readonly from?: number;
}

export const PLANTS: readonly Plant[] = [
  {
    name: "the store skips its term check",
    edits: [{ file: "lib/adapters/memory_store.ts", text: "if (term !== disk.term)", instead: "if (term < 0)" }],
    breaks: ["I1", "I2", "I3", "I6"],
  },
  {
    name: "an older deck is obeyed",
    edits: [
      { file: "lib/sailor/deck_host.ts", text: "if (welcome.term < highestTerm)", instead: "if (welcome.term < 0)" },
      { file: "lib/core/decide_hello.ts", text: "hello.highestTerm > settings.term", instead: "hello.highestTerm < 0" },
    ],
    from: 190,
    breaks: ["term", "I3"],
  },
  {
    name: "a report is lost with its commit, and nobody asks for it again",
    edits: [{
      file: "lib/deck/loop.ts",
      text: 'the store refused the write"));\n      if ("sessionId" in waiting.input)',
      instead: 'the store refused the write"));\n      if (false && "sessionId" in waiting.input)',
    }],
    breaks: ["I9"],
  },
  {
    name: "a stale attempt is kept",
    edits: [
      {
        file: "lib/sailor/deck_host.ts",
        text: "...[...unlisted, ...foreign].map",
        instead: "...foreign.map",
      },
      {
        file: "lib/core/decide_reports.ts",
        text: 'draft.sends.push({ kind: "drop", nodeId, attemptId: attempt.id });',
        instead: "",
      },
    ],
    breaks: ["I9"],
  },
  {
    name: "a lost task is placed twice",
    edits: [{
      file: "lib/core/decide_place.ts",
      text: 'putAttempt(draft, attempt, { state: "lost", desired: "stop", reason: `node ${name} is down` });',
      instead: "",
    }],
    breaks: ["I2"],
  },
  {
    name: "a reply comes before its commit",
    edits: [{
      file: "lib/deck/loop.ts",
      text: "const durable = groups.length === 0",
      instead:
        "for (const { waiting, draft } of decided) waiting.reply?.resolve(draft.reply);\n    const durable = groups.length === 0",
    }],
    breaks: ["I3"],
  },
  {
    name: "a retry is forgotten over a crash",
    edits: [
      { file: "lib/adapters/memory_store.ts", text: "for (const id of disk.alarms.keys()) arm(id);", instead: "" },
      {
        file: "lib/core/decide_place.ts",
        text: "if (retryInMs(sail, draft.context.wallMs) > 0) continue;",
        instead: "if (sail.retryAtMs !== null) continue;",
      },
    ],
    breaks: ["I9"],
  },
  {
    name: "a stop is lost while its node is away",
    edits: [{
      file: "lib/core/decide_hello.ts",
      text: "assignments.push(assignmentOf(world, attempt));",
      instead: 'assignments.push({ ...assignmentOf(world, attempt), desired: "run" as const });',
    }],
    breaks: ["I9"],
  },
  {
    name: "a port is given twice",
    edits: [{ file: "lib/core/rudder/filters.ts", text: "book?.hostPorts.has(port) || ", instead: "" }],
    breaks: ["I4"],
  },
  {
    name: "readers see what is not durable",
    edits: [{
      file: "lib/deck/deck.ts",
      text: "        committed,\n        settings,",
      instead: "        committed: working,\n        settings,",
    }],
    breaks: ["I3"],
  },
  {
    name: "a container that vanished is made again",
    edits: [{
      file: "lib/sailor/supervisor.ts",
      text: 'if (!container) return await this.#end("lost", "vanished", { message: "its container vanished" });',
      instead: 'if (!container) {\n      this.entry.phase = "accepted";\n      return "again";\n    }',
    }],
    breaks: ["I2"],
  },
  {
    name: "a lost attempt gives back its room before its node is heard of",
    edits: [{
      file: "lib/core/decide_place.ts",
      text: '{ state: "lost", desired: "stop", reason:',
      instead: '{ state: "lost", desired: "stop", holding: false, reason:',
    }],
    breaks: ["I4", "I5"],
  },
  {
    name: "a gap in a session goes unnoticed",
    edits: [{ file: "lib/session/frame_order.ts", text: 'return "gap";', instead: "taken = number - 1;" }],
    breaks: ["I9"],
  },
  {
    name: "what was in doubt is taken for durable, though another deck has written since",
    edits: [{
      file: "lib/deck/loop.ts",
      text: "if (last !== undefined && last < first) return last;",
      instead: "if (last !== undefined) return last;",
    }],
    from: 490,
    breaks: ["I1", "I2", "I3"],
  },
  {
    name: "the retry of a step is forgotten over a crash",
    edits: [
      { file: "lib/adapters/memory_store.ts", text: "for (const id of disk.alarms.keys()) arm(id);", instead: "" },
      { file: "lib/core/workflow/look_at_run.ts", text: "if (step.dueMs !== null)", instead: "if (false)" },
      { file: "lib/core/workflow/wake.ts", text: "const isDue = dueMs !== null &&", instead: "const isDue = false &&" },
    ],
    breaks: ["I9"],
  },
  {
    name: "the end of a sub-workflow is not told to its parent after a crash",
    edits: [
      {
        file: "lib/core/workflow/look_at_run.ts",
        text: 'draft.follow.push({ kind: "childEnded", runId: step.childRunId });',
        instead: "{ /* Nobody is told. */ }",
      },
      // What follows from a decision is written with it as a rule: few crashes come between.
      { file: "lib/deck/loop.ts", text: "const DRAFTS_PER_TURN = 2_000;", instead: "const DRAFTS_PER_TURN = 1;" },
    ],
    from: 170,
    breaks: ["I9"],
  },
  {
    name: "the number of a step's attempt is not raised",
    edits: [{
      file: "lib/core/workflow/step_start.ts",
      text: "attempts: before.attempts + 1,",
      instead: "attempts: Math.max(1, before.attempts),",
    }],
    breaks: ["I6", "I7"],
  },
  {
    name: "steps begin though their run is being ended",
    edits: [
      {
        file: "lib/core/workflow/step_start.ts",
        text: "if (isPhaseEnding(run)) {",
        instead: "if (run.ending === undefined) {",
      },
      {
        file: "lib/core/workflow/advance.ts",
        text: 'if (step && (isStepFinal(step.state) || (step.ending !== null && run.ending !== "killed"))) continue;',
        instead: "if (!step || isStepFinal(step.state) || step.ending !== null) continue;",
      },
    ],
    breaks: ["ending"],
  },
  {
    name: "a step that was skipped fails those who need it",
    edits: [{
      file: "lib/core/workflow/needs.ts",
      text: 'if (ended && step.state === "skipped") return "satisfied";',
      instead: "",
    }],
    breaks: ["needs"],
  },
  {
    name: "the end of an attempt that was given up counts for the next one",
    edits: [
      { file: "lib/core/workflow/task_changes.ts", text: "step.taskId !== sail.id || ", instead: "" },
      // As if every step said onNodeLost: retry, which few do.
      {
        file: "lib/core/workflow/task_changes.ts",
        text: '.spec.onNodeLost !== "retry") return;',
        instead: ".spec === null) return;",
      },
    ],
    breaks: ["I7", "I9", "ending", "needs"],
  },
  {
    name: "a group of runs takes one too many",
    edits: [{
      file: "lib/core/workflow/make_run.ts",
      text: "return plan.spec.concurrency?.limit ?? 1;",
      instead: "return (plan.spec.concurrency?.limit ?? 1) + 1;",
    }],
    breaks: ["turns", "slot"],
  },
  {
    name: "what the store refused stays counted among the users of a service",
    edits: [{
      file: "lib/core/workflow/run_index.ts",
      text: "if (ended === 0) return;",
      instead: "if (ended <= 0) return;",
    }],
    breaks: ["counts", "I9"],
  },
  {
    name: "stop-first takes away what it likes",
    edits: [{
      file: "lib/core/service/replace.ts",
      text: "if (isServing && up - 1 < least) continue;",
      instead: "",
    }],
    breaks: ["I8"],
  },
  {
    name: "an old replica goes as soon as its successor has begun",
    edits: [{
      file: "lib/core/service/replace.ts",
      text: "if (isUp(current[0])) retire.push(",
      instead: "if (current[0]) retire.push(",
    }],
    breaks: ["I8"],
  },
  {
    name: "a rollout waits for ever",
    edits: [
      {
        file: "lib/core/service/plan_service.ts",
        text: "if (limitMs === null || nowMs < limitMs) return null;",
        instead: "if (limitMs !== -1) return null;",
      },
    ],
    breaks: ["I9"],
  },
];

const COPIED = ["lib", "tests/sim"];

/** A copy of the sources with the bug in it, where npm packages resolve; answers the program to run. */
export function plant({ name, edits }: Plant): URL {
  const top = new URL("../../", import.meta.url);
  const copy = new URL(`dist/sim/${name.replace(/[^a-z]+/g, "-")}/`, top);
  for (const folder of COPIED) copyFolder(new URL(`${folder}/`, top), new URL(`${folder}/`, copy));
  for (const { file, text, instead } of edits) {
    const url = new URL(file, copy);
    const source = Deno.readTextFileSync(url);
    const found = source.split(text).length - 1;
    if (found !== 1) throw new Error(`the plant "${name}" finds its text ${found} times in ${file}, and needs it once`);
    Deno.writeTextFileSync(url, source.replace(text, () => instead));
  }
  return new URL("tests/sim/range.ts", copy);
}

function copyFolder(from: URL, to: URL): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const entry of Deno.readDirSync(from)) {
    if (entry.isDirectory) copyFolder(new URL(`${entry.name}/`, from), new URL(`${entry.name}/`, to));
    else Deno.copyFileSync(new URL(entry.name, from), new URL(entry.name, to));
  }
}
