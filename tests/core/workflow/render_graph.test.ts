/** renderGraph(): the same workflow as text, for Mermaid and for Graphviz; and every expression of a step. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { workflowDocument } from "../../../lib/core/documents/workflow.ts";
import { renderGraph } from "../../../lib/core/workflow/render_graph.ts";
import { expressionsOfStep } from "../../../lib/core/workflow/texts.ts";

const SPEC = workflowDocument.parse({
  name: "deploy",
  steps: {
    ship: { needs: ["approve", { step: "db", condition: "healthy" }], workflow: "ship.yaml", timeout: "10m" },
    build: { task: { image: "builder:1" }, run: "build" },
    test: { needs: ["build"], matrix: { os: ["a", "b"] }, run: "test" },
    db: { task: { image: "db:1", health: { tcp: 1 } } },
    approve: { needs: ["test"], when: "params.env ==\n  'prod'", approval: { prompt: "Go?" } },
  },
  finally: [{ sleep: "1s" }, { http: { url: 'http://h/"x"' } }],
});

Deno.test("renderGraph() text: by stage, with what each waits for", () => {
  assert.equal(
    renderGraph(SPEC, "text"),
    `deploy
  1  build      task builder:1
  1  db         task db:1
  2  test       task on the host x 2   after build
  3  approve    approval               after test   when params.env == 'prod'
  4  ship       workflow ship.yaml     after approve, db (healthy)
finally
  1  finally-1  sleep 1s
  2  finally-2  http GET http://h/"x"
`,
  );
});

Deno.test("renderGraph() text: with what stands beside a step", () => {
  const lines = renderGraph(SPEC, "text", new Map([["build", "succeeded"], ["test", "running"]])).split("\n");
  assert.equal(lines[1], "  1  build      succeeded  task builder:1");
  assert.equal(lines[2], "  1  db                    task db:1");
  assert.equal(lines[3], "  2  test       running    task on the host x 2   after build");
});

Deno.test("renderGraph() mermaid: nodes, edges with their conditions, closing steps apart", () => {
  assert.equal(
    renderGraph(SPEC, "mermaid", new Map([["build", "succeeded"]])),
    `flowchart TD
  s0["build<br>task builder:1<br>succeeded"]
  s1["db<br>task db:1"]
  s2["test<br>task on the host x 2"]
  s3{{"approve<br>approval<br>when params.env == #39;prod#39;"}}
  s4["ship<br>workflow ship.yaml<br>at most 10m"]
  subgraph finally
    s5["finally-1<br>sleep 1s"]
    s6["finally-2<br>http GET http://h/#34;x#34;"]
  end
  s0 --> s2
  s2 --> s3
  s3 --> s4
  s1 -->|healthy| s4
  s5 --> s6
`,
  );
});

Deno.test("renderGraph() dot: quotes and backslashes do no harm", () => {
  const dot = renderGraph(SPEC, "dot");
  assert.match(dot, /^digraph "deploy" \{\n/);
  assert.match(dot, /\n {4}s6 \[label="finally-2\\nhttp GET http:\/\/h\/\\"x\\"", shape=box\];\n/);
  assert.match(dot, /\n {2}s1 -> s4 \[label="healthy"\];\n/);
  assert.match(dot, /\n\}\n$/);
});

Deno.test("renderGraph() lets no text of a document out of its label", () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), (text) => {
    const spec = workflowDocument.parse({ name: "w", steps: { a: { http: { url: text } } } });
    const [, node, ...rest] = renderGraph(spec, "mermaid").split("\n");
    assert.match(node, /^ {2}s0\["[^"\]]*"\]$/);
    assert.deepEqual(rest, [""]);
    const label = /label="((?:[^"\\]|\\.)*)", shape=box\];\n\}\n$/.exec(renderGraph(spec, "dot"));
    assert.ok(label, renderGraph(spec, "dot"));
  }));
});

Deno.test("expressionsOfStep() finds every expression with its scope and place", () => {
  const [step] = workflowDocument.parse({
    name: "w",
    steps: {
      a: {
        when: "params.w",
        forEach: "${{ params.l }}",
        env: { E: "x${{ params.e }}" },
        retry: { limit: 1, when: "exitCode == 1" },
        outputs: { o: "${{ stdout }}${{ stderr }}" },
        task: { image: "i:${{ params.t }}", cmd: ["a", "${{ params.c }}"], health: { http: "/${{ params.h }}" } },
        run: "echo ${{ not.looked.at }}",
        files: { "/f": "${{ as.it.is }}" },
      },
    },
  }).steps;
  assert.deepEqual(
    expressionsOfStep(step).map(({ source, scope, path, offset }) => `${path.join(".")}@${offset} ${scope} ${source}`)
      .sort(),
    [
      "env.E@5 step params.e",
      "forEach@4 step params.l",
      "outputs.o@17 outputs stderr",
      "outputs.o@4 outputs stdout",
      "retry.when@0 retry exitCode == 1",
      "task.cmd.1@4 step params.c",
      "task.health.http@5 step params.h",
      "task.image@6 step params.t",
      "when@0 step params.w",
    ],
  );
});

for (
  const [action, expressions] of [
    [{
      http: {
        url: "${{ params.u }}",
        headers: { A: "${{ params.a }}" },
        body: "${{ params.b }}",
        expect: "status == 1",
      },
    }, [
      "http.url step params.u",
      "http.headers.A step params.a",
      "http.body step params.b",
      "http.expect expect status == 1",
    ]],
    [{ approval: { prompt: "${{ params.p }}" } }, ["approval.prompt step params.p"]],
    [{ sleep: "${{ params.s }}" }, ["sleep step params.s"]],
    [{ workflow: "w", with: { a: "${{ params.a }}", b: 1 } }, ["with.a step params.a"]],
    [{ rollout: { spec: { image: "${{ params.i }}" } } }, ["rollout.spec.image step params.i"]],
    [{
      rollout: {
        update: { analysis: { http: { url: "http://${{ address }}/${{ params.v }}", expect: "status == 200" } } },
      },
    }, ["rollout.update.analysis.http.url step params.v"]],
  ] as const
) {
  Deno.test(`expressionsOfStep() of ${Object.keys(action)[0]}`, () => {
    const [step] = workflowDocument.parse({ name: "w", steps: { a: action } }).steps;
    assert.deepEqual(
      expressionsOfStep(step).map(({ path, scope, source }) => `${path.join(".")} ${scope} ${source}`),
      expressions,
    );
  });
}
