/** checkSource(): one row for each rule, with what it says and where; and what it lets pass. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { checkSource } from "../../../lib/core/workflow/validate.ts";
import type { SourceProblem } from "../../../lib/core/workflow/source.ts";

function problemsIn(text: string, included: Readonly<Record<string, string>> = {}): readonly SourceProblem[] {
  const documents = Object.fromEntries(Object.entries(included).map(([name, each]) => [name, parse(each)]));
  const checked = checkSource({ workflow: parse(text), included: documents }, {
    cronProblem: (cron) => cron === "never" ? "no time" : undefined,
  });
  return checked.kind === "valid" ? [] : checked.problems;
}

/** A workflow of these steps, and what else stands at the top. */
const flow = (steps: string, top = "") => `name: w\n${top}\nsteps:\n${steps.replace(/^/gm, "  ")}`;
const A = "a: { run: echo, task: { image: i } }";

interface Row {
  readonly name: string;
  readonly text: string;
  readonly included?: Readonly<Record<string, string>>;
  /** Each as `rule path[@offset]: detail`, or a beginning of it that ends with `...`. */
  readonly says: readonly string[];
}

const SHAPE: readonly Row[] = [
  {
    name: "an unknown key, with a suggestion",
    text: flow("a: { need: [b], sleep: 1s }"),
    says: ["unknownKey steps.a.need: unknown key `need`; did you mean `needs`?"],
  },
  {
    name: "an unknown key at the top",
    text: flow(A, "step: 1"),
    says: ["unknownKey step: unknown key `step`; did you mean `steps`?"],
  },
  { name: "a wrong type", text: flow("a: { sleep: 5 }"), says: ["wrongType steps.a.sleep: must be a string"] },
  {
    name: "a wrong value",
    text: flow("a: { sleep: 1s, timeout: soon }"),
    says: ['wrongValue steps.a.timeout: not a duration: "soon"...'],
  },
  { name: "what is missing", text: "steps: { a: { sleep: 1s } }", says: ["missing name: is missing (string)"] },
  { name: "no steps", text: "name: w\nsteps: {}", says: ["wrongValue steps: a workflow needs at least one step"] },
  { name: "a document that is none", text: "[1]", says: ["wrongType : must be an object"] },
  {
    name: "a step that does nothing",
    text: flow("a: { env: { A: b } }"),
    says: ["wrongValue steps.a: a step needs one of task, run, http, approval, sleep, workflow, rollout"],
  },
  {
    name: "a step that does two things",
    text: flow("a: { sleep: 1s, run: x }"),
    says: ["wrongValue steps.a.sleep: a step does one thing: run and sleep exclude each other"],
  },
  {
    name: "`${{ }}` where nothing is filled in",
    text: flow('a: { sleep: 1s, timeout: "${{ params.t }}" }', "params: { t: {} }"),
    says: ["fixedText steps.a.timeout: not a duration..."],
  },
  {
    name: "several slips at once, though the shape is broken",
    text: flow("a: { need: [b], sleep: 1s }\nb: { sleep: 1s, needs: [c] }\nc: { sleep: 1s, needs: [b] }"),
    says: ["unknownKey steps.a.need...", "cycle steps.b.needs.0: cycle: b -> c -> b"],
  },
  {
    name: "nothing of what follows from a slip alone",
    text: flow(
      'a: { sleep: 5, output: { x: y } }\nb: { needs: [a], sleep: "${{ steps.a.outputs.x }}" }\nBad Name: { sleep: 1s }',
    ),
    says: [
      "wrongType steps.a.sleep...",
      "unknownKey steps.a.output...",
      "wrongValue steps.Bad Name: not a step's name...",
    ],
  },
];

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

const GRAPH: readonly Row[] = [
  {
    name: "a cycle, told in the direction of time",
    text: flow(
      "build: { sleep: 1s, needs: [package] }\ntest: { sleep: 1s, needs: [build] }\npackage: { sleep: 1s, needs: [test] }",
    ),
    says: ["cycle steps.build.needs.0: cycle: build -> test -> package -> build"],
  },
  {
    name: "a step that needs itself",
    text: flow("a: { sleep: 1s, needs: [a] }"),
    says: ["cycle steps.a.needs.0: cycle: a -> a"],
  },
  {
    name: "a need that is no step",
    text: flow("build: { sleep: 1s }\ntest: { sleep: 1s, needs: [biuld] }"),
    says: ["danglingNeed steps.test.needs.0: unknown step `biuld`; did you mean `build`?"],
  },
  {
    name: "a need that runs at the end",
    text: flow("a: { sleep: 1s, needs: [b] }", "finally: [{ id: b, sleep: 1s }]"),
    says: ["danglingNeed steps.a.needs.0: step `b` runs after all others and cannot be needed"],
  },
  {
    name: "a need that stands twice",
    text: flow("a: { sleep: 1s }\nb: { sleep: 1s, needs: [a, a] }"),
    says: ["duplicateNeed steps.b.needs.1: step `a` is needed twice"],
  },
  {
    name: "a closing step named like another",
    text: flow("a: { sleep: 1s }", "finally: [{ id: a, sleep: 1s }]"),
    says: ["duplicateId finally.0.id: two steps are named `a`: steps.a and finally[0]"],
  },
  {
    name: "a step named as closing steps are",
    text: flow("finally-1: { sleep: 1s }", "finally: [{ sleep: 1s }]"),
    says: [
      "duplicateId finally.0: two steps are named `finally-1`: steps.finally-1 and finally[0]; a step of `finally`...",
    ],
  },
  {
    name: "health of a task without a check",
    text: flow(`${A}\nb: { sleep: 1s, needs: [{ step: a, condition: healthy }] }`),
    says: ["neverHealthy steps.b.needs.0: step a is never healthy: its task has no `health`"],
  },
  {
    name: "health of what is no container",
    text: flow("a: { sleep: 1s }\nb: { sleep: 1s, needs: [{ step: a, condition: healthy }] }"),
    says: ["neverHealthy steps.b.needs.0: step a is never healthy: only a task or a rollout can be"],
  },
  {
    name: "a matrix that is too large",
    text: flow(`a: { sleep: 1s, matrix: ${JSON.stringify({ x: numbers(101), y: numbers(10) })} }`),
    says: ["tooLarge steps.a.matrix: 1010 combinations; at most 1000"],
  },
  {
    name: "a matrix that would take for ever to write out",
    text: flow(`a: { sleep: 1s, matrix: ${JSON.stringify({ x: numbers(1000), y: numbers(1000), z: numbers(1000) })} }`),
    says: ["tooLarge steps.a.matrix: 1000000000 combinations; at most 1000"],
  },
  {
    name: "a matrix of which nothing is left",
    text: flow("a: { sleep: 1s, matrix: { x: [1], exclude: [{ x: 1 }] } }"),
    says: ["emptyMatrix steps.a.matrix: no combination is left"],
  },
  {
    name: "an exclusion that names no axis",
    text: flow("a: { sleep: 1s, matrix: { os: [b], exclude: [{ so: b }] } }"),
    says: [
      "badReference steps.a.matrix.exclude.0.so: `exclude` names `so`, which is no axis of the matrix; did you mean `os`?",
    ],
  },
];

const PARAMS: readonly Row[] = [
  {
    name: "a default of another type",
    text: flow(A, "params: { n: { type: number, default: many } }"),
    says: ["param params.n.default: must be a number, as `type` says"],
  },
  {
    name: "a default outside the enum",
    text: flow(A, "params: { e: { enum: [staging, prod], default: stagin } }"),
    says: ["param params.e.default: must be one of staging, prod"],
  },
  {
    name: "a default that does not match",
    text: flow(A, 'params: { v: { pattern: "^v", default: 1.2 } }').replace("1.2", '"1.2"'),
    says: ["param params.v.default: must match ^v"],
  },
  {
    name: "an enum of another type",
    text: flow(A, "params: { e: { type: boolean, enum: [yes] } }"),
    says: ["param params.e.enum.0: must be a boolean, as `type` says"],
  },
  {
    name: "a pattern that is none",
    text: flow(A, 'params: { v: { pattern: "(" } }'),
    says: ["param params.v.pattern: not a regular expression..."],
  },
  {
    name: "a pattern that is none once, though a schedule gives a value for it",
    text: flow(A, 'params: { v: { pattern: "(" } }\nschedule: { cron: "0 3 * * *", params: { v: x } }'),
    says: ["param params.v.pattern: not a regular expression..."],
  },
  {
    name: "a pattern of RE2 that JavaScript has besides",
    text: flow(A, 'params: { v: { pattern: "(?=x)" } }'),
    says: ["param params.v.pattern: not a regular expression..."],
  },
  {
    name: "a pattern of a number",
    text: flow(A, "params: { n: { type: number, pattern: x } }"),
    says: ["param params.n.pattern: `pattern` belongs to a string"],
  },
  {
    name: "a default of what is required",
    text: flow(A, "params: { v: { required: true, default: x } }"),
    says: ["param params.v.default: what is required needs no default: leave one of the two out"],
  },
  {
    name: "inputs of an approval, by the same rules",
    text: flow("a: { approval: { prompt: Go?, inputs: { n: { type: number, default: x } } } }"),
    says: ["param steps.a.approval.inputs.n.default: must be a number, as `type` says"],
  },
  {
    name: "a schedule that gives what is not allowed",
    text: flow(A, 'params: { v: { enum: [x] } }\nschedule: { cron: "0 3 * * *", params: { v: y, w: 1 } }'),
    says: [
      "param schedule.params.v: must be one of x",
      "unknownParam schedule.params.w: unknown parameter `w`; did you mean `v`?",
    ],
  },
  {
    name: "a schedule that is none",
    text: flow(A, "schedule: { cron: never }"),
    says: ["schedule schedule.cron: no time"],
  },
];

const SECRETS: readonly Row[] = [
  {
    name: "a secret named twice",
    text: flow(A, "secrets: [S, S]"),
    says: ["duplicateSecret secrets.1: secret S is named twice"],
  },
  {
    name: "a secret that every step has already",
    text: flow("a: { run: x, secrets: [S] }", "secrets: [S]"),
    says: ["duplicateSecret steps.a.secrets.0: secret S is handed to every step already, by the workflow's `secrets`"],
  },
  {
    name: "a secret that is a variable too",
    text: flow("a: { run: x, secrets: [S], env: { S: x } }"),
    says: ["duplicateSecret steps.a.secrets.0: S is a variable of `env` too; which of the two should the step see?"],
  },
  {
    name: "two secrets in one file",
    text: flow("a: { run: x, secrets: { S: { file: /s }, T: { file: /s } } }"),
    says: ["duplicateSecret steps.a.secrets.T: /s is the file of secret S too"],
  },
];

const TASKS: readonly Row[] = [
  {
    name: "an unknown key of a task",
    text: flow("a: { task: { image: i, memry: 1GiB } }"),
    says: ["unknownKey steps.a.task.memry: unknown key `memry`; did you mean `memory`?"],
  },
  {
    name: "a task without an image",
    text: flow("a: { task: { cmd: [x] } }"),
    says: ["task steps.a.task: image: a task needs an image"],
  },
  {
    name: "a value of a task",
    text: flow("a: { task: { image: i, memory: lots } }"),
    says: ['task steps.a.task.memory: memory: not a size: "lots"; write bytes or a unit, such as 64MiB'],
  },
  {
    name: "what is fixed of a task beside what is not",
    text: flow('a: { task: { image: "i:${{ run.id }}", cpu: "${{ 1 }}", memory: lots, ports: ["1:1", "1:2"] } }'),
    says: ["task steps.a.task.memory..."],
  },
  {
    name: "what parts of a task are to each other, where another part is not fixed",
    text: flow('a: { task: { image: "i:${{ run.id }}", cpu: "${{ 1 }}", ports: ["1:1", "1:2"] } }'),
    says: ["task steps.a.task.ports: ports: host port 1/tcp is listed twice"],
  },
  {
    name: "a restart policy",
    text: flow("a: { task: { image: i, restart: always } }"),
    says: ["takenOver steps.a.task.restart: a step's container is not restarted; write `retry` on the step"],
  },
  {
    name: "placing anew",
    text: flow("a: { task: { image: i, reschedule: true } }"),
    says: ["takenOver steps.a.task.reschedule..."],
  },
  {
    name: "a command beside a script",
    text: flow("a: { run: x, task: { image: i, cmd: [x] } }"),
    says: ["takenOver steps.a.task.cmd: `run` stands in its place: leave `cmd` or `run` out"],
  },
  {
    name: "a file that was not read",
    text: flow("a: { task: { image: i }, files: { /f: { from: f } } }"),
    says: ["unreadFile steps.a.files./f: f was not read into the document..."],
  },
  {
    name: "a file in two places",
    text: flow("a: { task: { image: i, files: { /f: x } }, files: { /f: y } }"),
    says: ["duplicateFile steps.a.files./f: /f stands in `task.files` too"],
  },
  {
    name: "files that are too large together",
    text: flow(`a: { task: { image: i }, files: { /f: ${"x".repeat(30_000)}, /g: ${"x".repeat(30_000)} } }`),
    says: ["task steps.a.files..."],
  },
  {
    name: "a script that is too large beside its files",
    text: flow(`a: { run: ${"x".repeat(30_000)}, task: { image: i }, files: { /f: ${"x".repeat(32_000)} } }`),
    says: ["tooLarge steps.a.run..."],
  },
  {
    name: "an address that is none",
    text: flow("a: { http: { url: ftp://x } }"),
    says: ["wrongValue steps.a.http.url: must begin with http:// or https:// and a host"],
  },
  {
    name: "a sleep that is no duration",
    text: flow("a: { sleep: long }"),
    says: ['wrongValue steps.a.sleep: not a duration: "long"; write it with a unit, such as 5s or 1m30s'],
  },
  {
    name: "delays that shrink",
    text: flow("a: { sleep: 1s, retry: { limit: 1, delay: 1h, maxDelay: 1s } }"),
    says: ["wrongValue steps.a.retry: `maxDelay` is shorter than `delay`"],
  },
  {
    name: "no time at all",
    text: flow('a: { sleep: 1s, timeout: "0" }'),
    says: ["wrongValue steps.a.timeout: must be longer than 0"],
  },
];

const TEXTS: readonly Row[] = [
  {
    name: "an expression in a script",
    text: flow('a: { run: "echo ${{ params.x }}", task: { image: i } }', "params: { x: {} }"),
    says: [
      'expressionInScript steps.a.run@5: `${{ }}` is never put into a script: write `env: { X: "${{ params.x }}" }` and use "$X"',
    ],
  },
  {
    name: "`${{ }}` around a condition",
    text: flow("a: { sleep: 1s, when: \"${{ params.x == 'a' }}\" }", "params: { x: {} }"),
    says: ["bareExpression steps.a.when@0: write the expression without `${{ }}`: `params.x == 'a'`"],
  },
  {
    name: "`${{ }}` around what an answer must be",
    text: flow('a: { http: { url: http://h, expect: "${{ status == 200 }}" } }'),
    says: ["bareExpression steps.a.http.expect@0: write the expression without `${{ }}`: `status == 200`"],
  },
  {
    name: "`${{ }}` around when to retry",
    text: flow('a: { run: x, retry: { limit: 1, when: "${{ exitCode == 1 }}" } }'),
    says: ["bareExpression steps.a.retry.when@0..."],
  },
  {
    name: "`${{ }}` in a matrix",
    text: flow('a: { sleep: 1s, matrix: { x: ["${{ params.x }}"] } }', "params: { x: {} }"),
    says: [
      "fixedText steps.a.matrix.x.0@0: `${{ }}` is not filled in here: a matrix has fixed values; use `forEach`...",
    ],
  },
  {
    name: "`${{ }}` in a default",
    text: flow(A, 'params: { x: { default: "${{ run.id }}" } }'),
    says: ["fixedText params.x.default@0..."],
  },
  {
    name: "what is not closed",
    text: flow('a: { sleep: "1${{ run.id" }'),
    says: ["syntax steps.a.sleep@1: `${{` without its `}}`"],
  },
  {
    name: "what is empty",
    text: flow('a: { sleep: "${{ }}" }'),
    says: ["syntax steps.a.sleep@0: `${{ }}` without an expression in it"],
  },
  {
    name: "what is no expression",
    text: flow('a: { sleep: "x${{ 1 + }}" }'),
    says: ["syntax steps.a.sleep@8: Unexpected token: EOF"],
  },
  {
    name: "a condition that is no condition",
    text: flow("a: { sleep: 1s, when: \"'x'\" }"),
    says: ["type steps.a.when@0: gives a string; it must give true or false"],
  },
  {
    name: "types that do not go together",
    text: flow("a: { sleep: 1s, when: params.x == 1 }", "params: { x: { default: a } }"),
    says: ["type steps.a.when@0: no such overload: string == int"],
  },
  {
    name: "a forEach with something around it",
    text: flow('a: { sleep: 1s, forEach: "x ${{ [1] }}" }'),
    says: ["type steps.a.forEach: must be one `${{ }}` that gives a list, with nothing around it"],
  },
  {
    name: "a forEach over no list",
    text: flow("a: { sleep: 1s, forEach: \"${{ run.id + 'x' }}\" }"),
    says: ["type steps.a.forEach@4: gives a string; `forEach` needs a list"],
  },
  {
    name: "a pattern that is none, at its place",
    text: flow("a: { sleep: 1s, when: \"params.x.matches('(')\" }", "params: { x: {} }"),
    says: ["syntax steps.a.when@17: not a regular expression..."],
  },
];

const NAMES: readonly Row[] = [
  {
    name: "an unknown name",
    text: flow('a: { sleep: "${{ parms.x }}" }'),
    says: ["unknownName steps.a.sleep@4: unknown name `parms`; did you mean `params`?"],
  },
  {
    name: "an unknown parameter",
    text: flow('a: { sleep: "${{ params.evn }}" }', "params: { env: {} }"),
    says: ["badReference steps.a.sleep@4: unknown parameter `evn`; did you mean `env`?"],
  },
  {
    name: "an unknown variable",
    text: flow('a: { sleep: "${{ env.AP }}" }', "env: { APP: x }"),
    says: ["badReference steps.a.sleep@4: unknown variable `AP`; did you mean `APP`?"],
  },
  {
    name: "a step's own variable in its own env",
    text: flow('a: { sleep: 1s, env: { A: x, B: "${{ env.A }}" } }'),
    says: ["badReference steps.a.env.B@4: unknown variable `A`"],
  },
  {
    name: "an unknown key of the run",
    text: flow('a: { sleep: "${{ run.idd }}" }'),
    says: ["badReference steps.a.sleep@4: unknown key of `run` `idd`; did you mean `id`?"],
  },
  {
    name: "a value outside the enum",
    text: flow("a: { sleep: 1s, when: params.e == 'prdo' }", "params: { e: { enum: [staging, prod] } }"),
    says: ['outsideEnum steps.a.when@12: "prdo" is none of its values staging, prod; did you mean `prod`?'],
  },
  {
    name: "a value outside the enum, in a list",
    text: flow("a: { sleep: 1s, when: \"params.e in ['prod', 'dev']\" }", "params: { e: { enum: [staging, prod] } }"),
    says: ['outsideEnum steps.a.when@21: "dev" is none of its values staging, prod...'],
  },
  {
    name: "the matrix of a step that has none",
    text: flow('a: { sleep: "${{ matrix.os }}" }'),
    says: ["unknownName steps.a.sleep@4: `matrix` is known in a step with `matrix` only"],
  },
  {
    name: "an unknown key of the matrix",
    text: flow('a: { sleep: "${{ matrix.so }}", matrix: { os: [x] } }'),
    says: ["badReference steps.a.sleep@4: unknown key of the matrix `so`; did you mean `os`?"],
  },
  {
    name: "a key that only some combinations have",
    text: flow('a: { sleep: "${{ matrix.slow }}", matrix: { os: [x], include: [{ os: y, slow: 1s }] } }'),
    says: ["mayBeMissing steps.a.sleep@4: not every combination has `slow`: write `matrix.?slow.orValue(...)`"],
  },
  {
    name: "a combination where all are asked at once",
    text: flow("a: { sleep: 1s, matrix: { os: [x] }, when: matrix.os == 'x' }"),
    says: ["unknownName steps.a.when@0: `matrix` is not known here, which is asked once for all instances"],
  },
  {
    name: "an item where all are asked at once",
    text: flow('a: { sleep: 1s, forEach: "${{ [1] }}", when: item == 1 }'),
    says: ["unknownName steps.a.when@0: `item` is not known here, which is asked once for all instances"],
  },
  {
    name: "the answer of a step that asks for none",
    text: flow('a: { run: x, outputs: { v: "${{ fromJSON(body).v }}" } }'),
    says: ["unknownName steps.a.outputs.v@13: `body` is known in a step with `http` only"],
  },
  {
    name: "what is printed of a step that prints nothing",
    text: flow('a: { sleep: 1s, outputs: { v: "${{ stdout }}" } }'),
    says: ["unknownName steps.a.outputs.v@4: `stdout` is known in a step that prints something"],
  },
  {
    name: "an item of nothing",
    text: flow('a: { sleep: "${{ item }}" }'),
    says: ["unknownName steps.a.sleep@4: `item` is known in a step with `forEach` only"],
  },
  {
    name: "what is printed before it is",
    text: flow("a: { run: x, when: stdout == 'x' }"),
    says: ["unknownName steps.a.when@0: `stdout` is not known here, but in `outputs`, in `retry.when`"],
  },
  {
    name: "steps in a retry's condition",
    text: flow("a: { run: x, retry: { limit: 1, when: steps.b.outputs.x == 1 } }"),
    says: [
      "unknownName steps.a.retry.when@0: `steps` is not known here, but before a step starts, in `outputs`, in `http.expect`",
    ],
  },
  {
    name: "steps in the workflow's variables",
    text: flow(A, 'env: { A: "${{ steps.a.outputs.x }}" }'),
    says: ["unknownName env.A@4: `steps` is not known here..."],
  },
  {
    name: "secrets in an expression",
    text: flow('a: { sleep: "${{ secrets.S }}" }'),
    says: ["unknownName steps.a.sleep@4: secrets are not filled in: name it in `secrets`..."],
  },
  {
    name: "a status function where a step has ended",
    text: flow('a: { run: x, outputs: { ok: "${{ success() }}" } }'),
    says: ["unknownName steps.a.outputs.ok@4: success() is known in `when` only"],
  },
  {
    name: "a status function in what a step does",
    text: flow("a: { sleep: \"${{ success() ? '1s' : '2s' }}\" }"),
    says: ["unknownName steps.a.sleep@4: success() is known in `when` only"],
  },
  {
    name: "a status function of a step without quotes",
    text: flow("a: { sleep: 1s }\nb: { sleep: 1s, needs: [a], when: failed(a) }"),
    says: [
      "unknownName steps.b.when@7: unknown name `a`",
      "badReference steps.b.when@0: failed() needs the name of a step in quotes",
    ],
  },
  {
    name: "the name behind status functions",
    text: flow("a: { sleep: 1s, when: status.success }"),
    says: ["unknownName steps.a.when@0: unknown name `status`; write `success()` or `failure()`"],
  },
];

const TWO = "build: { run: x, outputs: { digest: x } }\n";
const READS: readonly Row[] = [
  {
    name: "an unknown step",
    text: flow(`${TWO}b: { needs: [build], sleep: "\${{ steps.biuld.outputs.digest }}" }`),
    says: ["badReference steps.b.sleep@4: unknown step `biuld`; did you mean `build`?"],
  },
  {
    name: "an unknown step in a status function",
    text: flow(`${TWO}b: { needs: [build], sleep: 1s, when: "failed('biuld')" }`),
    says: ["badReference steps.b.when@0: unknown step `biuld`; did you mean `build`?"],
  },
  {
    name: "a step that is not waited for",
    text: flow(`${TWO}b: { sleep: "\${{ steps.build.outputs.digest }}" }`),
    says: ["notUpstream steps.b.sleep@4: step b does not wait for step build; add it to `needs`"],
  },
  {
    name: "a step that reads itself",
    text: flow('a: { run: x, outputs: { x: "${{ steps.a.outputs.y }}" } }'),
    says: ["notUpstream steps.a.outputs.x@4: step a reads itself"],
  },
  {
    name: "a step that runs at the end",
    text: flow('a: { sleep: "${{ steps.z.state }}" }', "finally: [{ id: z, sleep: 1s }]"),
    says: ["badReference steps.a.sleep@4: step z runs later"],
  },
  {
    name: "a step with a dash",
    text: flow('my-step: { run: x }\nb: { needs: [my-step], sleep: "${{ steps.my-step.outputs.x }}" }'),
    says: ['badReference steps.b.sleep@4: `steps.my-step` reads as a subtraction; write `steps["my-step"]`'],
  },
  {
    name: "a step with a dash whose beginning is a step too",
    text: flow(
      'my: { run: x }\nmy-step: { run: x, needs: [my] }\nb: { needs: [my-step], sleep: "${{ steps.my-step.outputs.x }}" }',
    ),
    says: ['badReference steps.b.sleep@13: `steps.my-step` reads as a subtraction; write `steps["my-step"]`'],
  },
  {
    name: "a field that steps do not have",
    text: flow(`${TWO}b: { needs: [build], sleep: "\${{ steps.build.output.digest }}" }`),
    says: ["badReference steps.b.sleep@4: a step has no `output`; did you mean `outputs`?"],
  },
  {
    name: "an output read without `outputs`",
    text: flow(`${TWO}b: { needs: [build], sleep: "\${{ steps.build.digest }}" }`),
    says: ["badReference steps.b.sleep@4: a step has no `digest`; did you mean `outputs.digest`?"],
  },
  {
    name: "an output that an http step does not declare",
    text: flow(
      'a: { http: { url: http://h }, outputs: { up: x } }\nb: { needs: [a], sleep: "${{ steps.a.outputs.ups }}" }',
    ),
    says: ["badReference steps.b.sleep@4: step a has no output `ups`; did you mean `up`?"],
  },
  {
    name: "an input that an approval does not ask for",
    text: flow(
      'a: { approval: { prompt: p, inputs: { ticket: {} } } }\nb: { needs: [a], sleep: "${{ steps.a.outputs.tiket }}" }',
    ),
    says: ["badReference steps.b.sleep@4: step a has no output `tiket`; did you mean `ticket`?"],
  },
  {
    name: "an output of a step that may be skipped",
    text: flow(
      'a: { run: x, when: params.e }\nb: { needs: [a], sleep: "${{ steps.a.outputs.x }}" }',
      "params: { e: { type: boolean, default: true } }",
    ),
    says: ["mayBeMissing steps.b.sleep@4: step a may be skipped: write `steps.a.outputs.?x.orValue(...)`"],
  },
  {
    name: "an output of a step that may fail",
    text: flow('a: { run: x, continueOnError: true }\nb: { needs: [a], sleep: "${{ steps.a.outputs.x }}" }'),
    says: ["mayBeMissing steps.b.sleep@4: step a may have failed..."],
  },
  {
    name: "an output read by a step that runs after failures",
    text: flow('a: { run: x }\nb: { needs: [a], when: always(), sleep: "${{ steps.a.outputs.x }}" }'),
    says: ["mayBeMissing steps.b.sleep@4: step a may have failed..."],
  },
  {
    name: "an output of a step of which only an end is asked",
    text: flow('a: { run: x }\nb: { needs: [{ step: a, condition: finished }], sleep: "${{ steps.a.outputs.x }}" }'),
    says: ["mayBeMissing steps.b.sleep@4: step a may have failed..."],
  },
  {
    name: "an output of a step far behind one that runs after failures",
    text: flow(
      'a: { run: x }\nb: { needs: [a], when: always(), sleep: 1s }\nc: { needs: [b], sleep: "${{ steps.a.outputs.x }}" }',
    ),
    says: ["mayBeMissing steps.c.sleep@4: step a may have failed..."],
  },
  {
    name: "an output of a step that still runs",
    text: flow(
      "a: { task: { image: i, health: { tcp: 1 } }, outputs: { x: y } }\n" +
        'b: { needs: [{ step: a, condition: healthy }], sleep: "${{ steps.a.outputs.x }}" }',
    ),
    says: ["mayBeMissing steps.b.sleep@4: step a may still run..."],
  },
  {
    name: "an output read at the end, whatever happened",
    text: flow("a: { run: x }", 'finally: [{ sleep: "${{ steps.a.outputs.x }}" }]'),
    says: ["mayBeMissing finally.0.sleep@4: step a may not have run: ..."],
  },
  {
    name: "an output of the workflow that may be missing",
    text: flow("a: { run: x, when: run.id == 'x' }", 'outputs: { x: "${{ steps.a.outputs.x }}" }'),
    says: ["mayBeMissing outputs.x@4: step a may be skipped: ..."],
  },
  {
    name: "an output with a dash in its step's name that may be missing",
    text: flow("a-b: { run: x, when: run.id == 'x' }\nb: { needs: [a-b], sleep: '${{ steps[\"a-b\"].outputs.x }}' }"),
    says: ['mayBeMissing steps.b.sleep@4: step a-b may be skipped: write `steps["a-b"].outputs.?x.orValue(...)`'],
  },
];

const UNREACHABLE: readonly Row[] = [
  {
    name: "false",
    text: flow('a: { sleep: 1s, when: "false" }'),
    says: ["unreachable steps.a.when@0: `false` is always false, so the step never runs"],
  },
  {
    name: "a part that is constant",
    text: flow("a: { sleep: 1s, when: params.x == 'a' && 1 > 2 }", "params: { x: {} }"),
    says: ["unreachable steps.a.when@19: `1 > 2` is always false, so the step never runs"],
  },
  {
    name: "failure of nothing",
    text: flow("a: { sleep: 1s, when: failure() }"),
    says: [
      "unreachable steps.a.when@0: `failure()` asks of the steps that are needed, and none are, so the step never runs",
    ],
  },
  {
    name: "skipping of what is never skipped",
    text: flow("a: { sleep: 1s }\nb: { sleep: 1s, needs: [a], when: \"skipped('a')\" }"),
    says: ["unreachable steps.b.when@0: step a is never skipped: it has no `when`, so the step never runs"],
  },
  {
    name: "two ends of one step",
    text: flow(
      "a: { sleep: 1s, when: run.id == 'x' }\nb: { sleep: 1s, needs: [a], when: \"succeeded('a') && failed('a')\" }",
    ),
    says: ["unreachable steps.b.when@18: step a cannot have ended both ways, so the step never runs"],
  },
];

const SUB =
  "name: sub\nparams: { shards: { type: number, required: true } }\nsteps: { x: { sleep: 1s } }\noutputs: { sum: x }";
const INCLUDES: readonly Row[] = [
  {
    name: "a document that did not come along",
    text: flow("a: { workflow: wram.yaml }\nb: { workflow: warm.yaml }"),
    included: { "warm.yaml": flow(A) },
    says: ["missingWorkflow steps.a.workflow: no document `wram.yaml` came with this one; did you mean `warm.yaml`?"],
  },
  {
    name: "what is neither a file nor a name",
    text: flow('a: { workflow: "a b" }'),
    says: ["missingWorkflow steps.a.workflow: `a b` is neither a file nor a name"],
  },
  {
    name: "a problem of the included document, as its own",
    text: flow("a: { workflow: s.yaml }"),
    included: { "s.yaml": flow("x: { sleep: 1s, needs: [y] }") },
    says: ["danglingNeed s.yaml steps.x.needs.0: unknown step `y`; did you mean `x`?"],
  },
  {
    name: "parameters that the included document does not have, or must have",
    text: flow("a: { workflow: s.yaml, with: { shrads: 2 } }"),
    included: { "s.yaml": SUB },
    says: [
      "unknownParam steps.a.with.shrads: unknown parameter `shrads`; did you mean `shards`?",
      "missingParam steps.a: `with` must give the required parameter `shards`",
    ],
  },
  {
    name: "a parameter of another type",
    text: flow("a: { workflow: s.yaml, with: { shards: many } }"),
    included: { "s.yaml": SUB },
    says: ["param steps.a.with.shards: must be a number"],
  },
  {
    name: "an output that the included document does not give",
    text: flow('a: { workflow: s.yaml, with: { shards: 2 } }\nb: { needs: [a], sleep: "${{ steps.a.outputs.smu }}" }'),
    included: { "s.yaml": SUB },
    says: ["badReference steps.b.sleep@4: step a has no output `smu`; did you mean `sum`?"],
  },
  {
    name: "documents that include each other",
    text: flow("a: { workflow: s.yaml }"),
    included: { "s.yaml": flow("x: { workflow: t.yaml }"), "t.yaml": flow("x: { workflow: s.yaml }") },
    says: ["cycle t.yaml steps.x.workflow: cycle: s.yaml -> t.yaml -> s.yaml"],
  },
  {
    name: "a workflow that calls itself by its name",
    text: flow("a: { workflow: w }"),
    says: ["cycle steps.a.workflow: cycle: w -> w"],
  },
  {
    name: "documents that go too deep",
    text: flow("a: { workflow: 1.yaml }"),
    included: Object.fromEntries(
      numbers(11).map((n) => [`${n + 1}.yaml`, flow(n === 10 ? A : `a: { workflow: ${n + 2}.yaml }`)]),
    ),
    says: ["tooDeep 10.yaml steps.a.workflow: workflows call each other more than 10 deep here"],
  },
  {
    name: "the name of a workflow that is not fixed",
    text: flow('a: { workflow: "${{ params.x }}" }', "params: { x: {} }"),
    says: ["fixedText steps.a.workflow@0: `${{ }}` is not filled in here: the name of a workflow is fixed..."],
  },
];

const inWords = ({ included, rule, path, offset, detail }: SourceProblem) =>
  `${rule} ${included === null ? "" : `${included} `}${path.map(String).join(".")}${
    offset === null ? "" : `@${offset}`
  }: ${detail}`;

const RULES = { SHAPE, GRAPH, PARAMS, SECRETS, TASKS, TEXTS, NAMES, READS, UNREACHABLE, INCLUDES };
for (const [group, rows] of Object.entries(RULES)) {
  for (const { name, text, included, says } of rows) {
    Deno.test(`checkSource() ${group.toLowerCase()}: tells of ${name}`, () => {
      const told = problemsIn(text, included).map(inWords);
      const shortened = told.map((line, index) =>
        says[index]?.endsWith("...") ? line.slice(0, says[index].length - 3) + "..." : line
      );
      assert.deepEqual(shortened, says);
    });
  }
}

const PASSES: readonly {
  readonly name: string;
  readonly text: string;
  readonly included?: Readonly<Record<string, string>>;
}[] = [
  { name: "a workflow of one step", text: flow(A) },
  {
    name: "a schedule that leaves out what is required, which runs by hand give",
    text: flow(A, 'params: { v: { required: true } }\nschedule: { cron: "0 3 * * *" }'),
  },
  {
    name: "an output with a default",
    text: flow(
      "a: { run: x, when: run.id == 'x' }\nb: { needs: [a], sleep: \"${{ steps.a.outputs.?x.orValue('1s') }}\" }",
    ),
  },
  {
    name: "an output that was asked for",
    text: flow(
      "a: { run: x, when: run.id == 'x' }\n" +
        "b: { needs: [a], sleep: \"${{ has(steps.a.outputs.x) ? steps.a.outputs.x : '1s' }}\" }",
    ),
  },
  {
    name: "an output of a step that surely succeeded",
    text: flow(
      "a: { run: x, when: run.id == 'x' }\n" +
        'b: { needs: [a], when: "succeeded(\'a\')", sleep: "${{ steps.a.outputs.x }}" }\n' +
        "c: { needs: [a], sleep: \"${{ skipped('a') ? '1s' : steps.a.outputs.x }}\" }\n" +
        "d: { needs: [a], sleep: 1s, when: \"steps.a.state == 'succeeded' && steps.a.outputs.x == 'y'\" }",
    ),
  },
  {
    name: "an output of a step under the same condition",
    text: flow(
      "a: { run: x, when: params.e == 'p' }\n" +
        "b: { needs: [a], when: \"params.e == 'p' && run.id != ''\", sleep: '${{ steps.a.outputs.x }}' }",
      "params: { e: {} }",
    ),
  },
  {
    name: "an output behind a step that may be skipped, which satisfies",
    text: flow(
      "a: { run: x }\nb: { needs: [a], when: run.id == 'x', sleep: 1s }\nc: { needs: [b], sleep: '${{ steps.a.outputs.x }}' }",
    ),
  },
  {
    name: "an output where success is asked for beside other status functions",
    text: flow(
      "a: { run: x }\nb: { needs: [a], when: \"success() && !skipped('a')\", sleep: '${{ steps.a.outputs.x }}' }",
    ),
  },
  {
    name: "any output of a container, which may write what it likes",
    text: flow('a: { run: x, outputs: { y: "${{ stdout }}" } }\nb: { needs: [a], sleep: "${{ steps.a.outputs.x }}" }'),
  },
  {
    name: "the address of a rollout that is healthy",
    text: flow(
      "a: { rollout: { service: web, task: { image: i } } }\n" +
        'b: { needs: [{ step: a, condition: healthy }], http: { url: "http://${{ steps.a.outputs.address }}" } }',
    ),
  },
  {
    name: "health that is not known yet",
    text: flow(
      'a: { task: { image: i, health: "${{ fromJSON(params.h) }}" } }\nb: { needs: [{ step: a, condition: healthy }], sleep: 1s }',
      "params: { h: { default: x } }",
    ),
  },
  {
    name: "a parameter that may be null",
    text: flow("a: { sleep: 1s, when: params.x == null || params.x == 'a' }", "params: { x: {} }"),
  },
  { name: "a condition that is always true", text: flow('a: { sleep: 1s, when: "true" }') },
  {
    name: "a registered workflow by name",
    text: flow('a: { workflow: other, with: { any: 1 } }\nb: { needs: [a], sleep: "${{ steps.a.outputs.any }}" }'),
  },
  { name: "files as they are", text: flow('a: { run: x, files: { /f: "${{ not an expression" } }') },
  {
    name: "ten documents deep",
    text: flow("a: { workflow: 1.yaml }"),
    included: Object.fromEntries(
      numbers(10).map((n) => [`${n + 1}.yaml`, flow(n === 9 ? A : `a: { workflow: ${n + 2}.yaml }`)]),
    ),
  },
  {
    name: "one document included along many ways",
    text: flow("a: { workflow: 1.yaml }"),
    included: Object.fromEntries(
      numbers(10).map((n) => [
        `${n + 1}.yaml`,
        flow(n === 9 ? A : numbers(20).map((step) => `a${step}: { workflow: ${n + 2}.yaml }`).join("\n")),
      ]),
    ),
  },
  {
    name: "closing steps that read those before them",
    text: flow(
      A,
      'onFailure: [{ id: tell, run: x }]\nfinally: [{ id: one, run: x }, { sleep: "${{ steps.one.outputs.?x.orValue(steps.tell.state) }}" }]',
    ),
  },
  {
    name: "the whole of a matrix, an item, an attempt and the run",
    text: flow(
      'a: { matrix: { os: [x] }, run: x, env: { A: "${{ toJSON(matrix) }} ${{ attempt }} ${{ run.id }}" } }\n' +
        'b: { needs: [a], forEach: "${{ steps.a.outputs.x }}", run: x, env: { I: "${{ item.name }}" } }',
    ),
  },
];
for (const { name, text, included } of PASSES) {
  Deno.test(`checkSource() lets pass ${name}`, () => assert.deepEqual(problemsIn(text, included).map(inWords), []));
}

Deno.test("checkSource() gives the specs of what it has judged", () => {
  const included = { "s.yaml": parse(SUB), "unused.yaml": { nonsense: true } };
  const checked = checkSource({ workflow: parse(flow("a: { workflow: s.yaml, with: { shards: 1 } }")), included });
  assert.equal(checked.kind, "valid");
  if (checked.kind !== "valid") return;
  assert.equal(checked.spec.name, "w");
  assert.deepEqual([...checked.included].map(([name, spec]) => [name, spec.name]), [["s.yaml", "sub"]]);
});

Deno.test("checkSource() goes no deeper than 64 levels", () => {
  const nested = (levels: number) => Array.from({ length: levels }).reduce((inner) => [inner], 1 as unknown);
  const judge = (levels: number) =>
    checkSource({ workflow: { name: "w", steps: { a: { sleep: "1s" } }, x: nested(levels) } });
  const told = (levels: number) => {
    const checked = judge(levels);
    return checked.kind === "valid" ? [] : checked.problems.map(inWords);
  };
  assert.match(told(63)[0], /^unknownKey x/);
  assert.deepEqual(told(64), ["tooLarge : is nested more than 64 deep"]);
  assert.deepEqual(told(2_000), ["tooLarge : is nested more than 64 deep"]);
});

Deno.test("checkSource() stops at a hundred problems, however many there are", () => {
  const steps = Object.fromEntries(numbers(10_000).map((n) => [`step${n}`, { sleep: "1s", needs: [`stp${n}`, "x"] }]));
  const checked = checkSource({ workflow: { name: "w", steps } });
  assert.equal(checked.kind === "invalid" && checked.problems.length, 100);
});

Deno.test("checkSource() judges ten thousand steps, each reading far back", () => {
  const steps = Object.fromEntries(
    numbers(10_000).map((n) => [`s${n}`, {
      run: "x",
      ...(n === 0 ? {} : { needs: [`s${n - 1}`], env: { A: `\${{ steps.s${n >> 1}.outputs.x }}` } }),
    }]),
  );
  assert.equal(checkSource({ workflow: { name: "w", steps } }).kind, "valid");
});
