/** `ormen workflow validate`, `graph FILE` and `schema`, which ask no deck; and reading a workflow's files. */
import assert from "node:assert/strict";
import { checkFile, readCheckedSource, readSource } from "../../lib/cli/workflow/source_file.ts";
import { ormen } from "./support.ts";

type Files = Readonly<Record<string, string | Uint8Array>>;

/** A directory with these files while `use` runs; `{}` in arguments stands for it. */
async function withFiles(files: Files, use: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "ormen-workflow-" }));
  try {
    for (const [name, content] of Object.entries(files)) {
      const path = `${directory}/${name}`;
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      if (typeof content === "string") Deno.writeTextFileSync(path, content);
      else Deno.writeFileSync(path, content);
    }
    await use(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const GOOD = "name: good\nsteps:\n  build: { task: { image: i } }\n  test: { needs: [build], sleep: 1s }\n";
const BAD = `name: bad
steps:
  build:
    needs: [package]
    sleep: 1s
  test:
    need: [build]
    sleep: 1s
  package:
    sleep: 1s
    when: params.env == 'prod'
    needs: [bild,
            build]
`;

Deno.test("validate prints file, line and column of each problem, and fails", async () => {
  await withFiles({ "bad.yaml": BAD }, async (dir) => {
    const { code, out, err } = await ormen(["workflow", "validate", `${dir}/bad.yaml`]);
    assert.equal(code, 1);
    assert.equal(err, "");
    assert.equal(
      out.replaceAll(`${dir}/`, ""),
      "bad.yaml:4:13  cycle: build -> package -> build\n" +
        "bad.yaml:7:5  unknown key `need`; did you mean `needs`?\n" +
        "bad.yaml:11:11  unknown parameter `env`\n" +
        "bad.yaml:12:13  unknown step `bild`; did you mean `build`?\n" +
        "4 problems in bad.yaml\n",
    );
  });
});

Deno.test("validate judges several files, and says which are valid", async () => {
  await withFiles(
    { "good.yaml": GOOD, "bad.json": '{"name": "bad",\n "steps": {"a": {"sleep": "x"}}}' },
    async (dir) => {
      const { code, out } = await ormen(["workflow", "validate", `${dir}/good.yaml`, `${dir}/bad.json`]);
      assert.equal(code, 1);
      assert.equal(
        out.replaceAll(`${dir}/`, ""),
        "good.yaml  is valid: 2 steps\n" +
          'bad.json:2:18  steps.a.sleep: not a duration: "x"; write it with a unit, such as 5s or 1m30s\n' +
          "1 problem in bad.json\n",
      );
      assert.equal((await ormen(["workflow", "validate", `${dir}/good.yaml`])).code, 0);
    },
  );
});

Deno.test("validate --json tells the same to programs", async () => {
  await withFiles({ "good.yaml": GOOD, "bad.yaml": "name: bad\nsteps: { a: { sleep: 1s, whn: x } }" }, async (dir) => {
    const { code, out } = await ormen(["workflow", "validate", "--json", `${dir}/good.yaml`, `${dir}/bad.yaml`]);
    assert.equal(code, 1);
    assert.deepEqual(JSON.parse(out), {
      files: [
        { file: `${dir}/good.yaml`, valid: true, problems: [] },
        {
          file: `${dir}/bad.yaml`,
          valid: false,
          problems: [{
            file: `${dir}/bad.yaml`,
            line: 2,
            column: 26,
            rule: "unknownKey",
            detail: "unknown key `whn`; did you mean `when`?",
          }],
        },
      ],
    });
  });
});

Deno.test("validate - reads standard input", async () => {
  const { code, out } = await ormen(["workflow", "validate", "-"], { stdin: "name: w\nsteps: { a: {} }" });
  assert.equal(code, 1);
  assert.match(out, /^stdin:2:10 {2}a step needs one of .*\n1 problem in stdin\n$/);
});

Deno.test("validate of a file that is not there says so", async () => {
  const { code, err } = await ormen(["workflow", "validate", "/nowhere/w.yaml"]);
  assert.equal(code, 1);
  assert.equal(err, "error: cannot read the workflow /nowhere/w.yaml: no such file\n");
});

Deno.test("validate judges a schedule's cron expression", async () => {
  const text = 'name: w\nschedule: { cron: "61 * * * *", timezone: UTC }\nsteps: { a: { sleep: 1s } }';
  const { out } = await ormen(["workflow", "validate", "-"], { stdin: text });
  assert.match(out, /^stdin:2:13 {2}.*not a cron expression: "61 \* \* \* \*": Invalid value for minute: 61/);
});

/** What is wrong, and the place that is told for it. */
const PLACES: readonly (readonly [string, string, string])[] = [
  ["in a plain text", "when: params.x == 1 && params.why == 1", "7:28"],
  ["in single quotes, where one is written as two", "when: '''a'' == params.why'", "7:21"],
  ["in double quotes, with escapes", 'env: { E: "\\t\\u00e9\\"${{ params.why }}" }', "7:30"],
  ["in a block of lines", "env:\n      E: |\n        one\n\n          two ${{ params.why }}\n", "11:19"],
  ["in a block that begins indented", "env:\n      E: |2\n          one ${{ params.why }}\n", "9:19"],
  ["in a folded block: at its key", "env:\n      E: >-\n        one\n        ${{ params.why }}\n", "8:7"],
  ["in an item", 'task: { image: i, cmd: [a, "b ${{ params.why }}"] }', "7:39"],
];
for (const [name, keys, place] of PLACES) {
  Deno.test(`validate finds a name ${name}`, async () => {
    const action = keys.startsWith("task") ? "" : "    sleep: 1s\n";
    const text = `name: w\nparams:\n  x: { type: number, default: 1 }\n\nsteps:\n  a:\n    ${keys}\n${action}`;
    const { out } = await ormen(["workflow", "validate", "-"], { stdin: text });
    assert.match(
      out,
      new RegExp(`^stdin:${place} {2}unknown parameter \`why\`\n1 problem`),
      out,
    );
  });
}

Deno.test("validate tells of YAML that is none, of keys twice, and of a bomb", async () => {
  const told = async (stdin: string) => (await ormen(["workflow", "validate", "-"], { stdin })).out;
  assert.match(await told("name: w\nsteps: {"), /^stdin:\d+:\d+ {2}.*\n1 problem in stdin/);
  assert.match(
    await told("name: w\nsteps:\n  a: { sleep: 1s }\n  a: { sleep: 2s }\n"),
    /^stdin:4:3 {2}Map keys must be unique/,
  );
  assert.match(await told('{"name": "w", "name": "v"}'), /^stdin:1:\d+ {2}Map keys must be unique/);
  assert.match(await told("- a"), /^stdin:1:1 {2}holds no workflow: begin with `name:` and `steps:`/);
  const bomb = [
    "a: &a [x, x]",
    ..."bcdefghij".split("").map((key, at) => `${key}: &${key} [*${"abcdefghi"[at]}, *${"abcdefghi"[at]}]`),
  ];
  assert.match(await told(bomb.join("\n")), /alias/);
});

Deno.test("readSource() reads files beside the document into its steps", async () => {
  const files = {
    "w.yaml":
      "name: w\nsteps:\n  a: { run: x, files: { /a: { from: conf/a.txt }, /b: { from: ./run.sh }, /c: text } }\n" +
      "finally:\n  - { run: x, files: { /a: { from: conf/a.txt } } }\n",
    "conf/a.txt": "content\n",
    "run.sh": "echo\n",
  };
  await withFiles(files, async (dir) => {
    Deno.chmodSync(`${dir}/run.sh`, 0o755);
    const { source, problems } = await readSource(`${dir}/w.yaml`);
    assert.deepEqual(problems, []);
    const { steps, finally: last } = source.workflow as {
      steps: { a: { files: unknown } };
      finally: { files: unknown }[];
    };
    assert.deepEqual(steps.a.files, {
      "/a": { content: "content\n" },
      "/b": { content: "echo\n", mode: "0755" },
      "/c": "text",
    });
    assert.deepEqual(last[0].files, { "/a": { content: "content\n" } });
    assert.equal((await checkFile(await readSource(`${dir}/w.yaml`))).kind, "valid");
  });
});

const OUTSIDE: readonly (readonly [string, string, RegExp])[] = [
  [
    "above the directory",
    "../secret",
    /w\.yaml:3:31 {2}\.\.\/secret lies outside .*; only what lies beside the workflow is read/,
  ],
  ["above it by a way round", "x/../../secret", /lies outside/],
  ["by its whole path", "/etc/hostname", /lies outside/],
  ["through a link to a file", "link", /link is a link that leads outside/],
  ["through a link to a directory", "linked/secret", /linked\/secret is a link that leads outside/],
  ["that is not there", "nosuch", /cannot read nosuch: no such file in/],
  ["that is a directory", "sub", /sub is no file/],
  ["that is no text", "binary", /binary is no text in UTF-8/],
  ["that is too large", "large", /large has 49153 bytes; at most 49152 are read/],
];
for (const [name, from, says] of OUTSIDE) {
  Deno.test(`readSource() reads no file ${name}`, async () => {
    const files = {
      "secret": "secret",
      "in/w.yaml": `name: w\nsteps:\n  a: { run: x, files: { /a: { from: ${from} } } }\n`.replace(
        "a: { from",
        "a: { from",
      ),
      "in/x/y": "",
      "in/sub/z": "",
      "in/binary": new Uint8Array([0xff, 0xfe, 0x00]),
      "in/large": "x".repeat(49_153),
    };
    await withFiles(files, async (dir) => {
      Deno.symlinkSync(`${dir}/secret`, `${dir}/in/link`);
      Deno.symlinkSync(dir, `${dir}/in/linked`);
      const { code, out } = await ormen(["workflow", "validate", `${dir}/in/w.yaml`]);
      assert.equal(code, 1);
      assert.match(out, says);
      assert.match(out, /\n1 problem in /);
      const { source } = await readSource(`${dir}/in/w.yaml`);
      assert.ok(!JSON.stringify(source).includes('"secret"'), "what is outside was read");
    });
  });
}

Deno.test("readSource() follows a link to the workflow itself, and takes that one's directory", async () => {
  await withFiles({
    "real/w.yaml": "name: w\nsteps: { a: { run: x, files: { /a: { from: a } } } }",
    "real/a": "A",
    "x/y": "",
  }, async (dir) => {
    Deno.symlinkSync(`${dir}/real/w.yaml`, `${dir}/x/w.yaml`);
    assert.deepEqual((await readSource(`${dir}/x/w.yaml`)).problems, []);
  });
});

Deno.test("files of a step may hold 48 KiB together", async () => {
  const text = "name: w\nsteps:\n  a: { run: x, files: { /a: { from: a }, /b: { from: b } } }\n";
  await withFiles({ "w.yaml": text, a: "x".repeat(30_000), b: "x".repeat(30_000) }, async (dir) => {
    const { out } = await ormen(["workflow", "validate", `${dir}/w.yaml`]);
    assert.match(out, /w\.yaml:3:\d+ {2}.*60000 bytes with those before; at most 48 KiB a step\n1 problem/);
  });
});

const SUB =
  "name: sub\nparams: { n: { type: number, required: true } }\nsteps: { a: { sleep: 1s } }\noutputs: { o: x }\n";

Deno.test("readSource() includes documents relative to the one that names them, under one name each", async () => {
  const files = {
    "w.yaml":
      "name: w\nsteps:\n  a: { workflow: ./sub/mid.yaml }\n  b: { workflow: leaf.yaml, with: { n: 1 } }\n  c: { workflow: registered }\n",
    "sub/mid.yaml":
      "name: mid\nsteps:\n  a: { workflow: ../leaf.yaml, with: { n: 2 } }\n  b: { run: x, files: { /f: { from: f } } }\n",
    "sub/f": "F",
    "leaf.yaml": SUB,
  };
  await withFiles(files, async (dir) => {
    const { source, problems } = await readSource(`${dir}/w.yaml`);
    assert.deepEqual(problems, []);
    assert.deepEqual(Object.keys(source.included!).sort(), ["leaf.yaml", "sub/mid.yaml"]);
    const steps = (document: unknown) => (document as { steps: Record<string, Record<string, unknown>> }).steps;
    assert.deepEqual(["a", "b", "c"].map((id) => steps(source.workflow)[id].workflow), [
      "sub/mid.yaml",
      "leaf.yaml",
      "registered",
    ]);
    assert.equal(steps(source.included!["sub/mid.yaml"]).a.workflow, "leaf.yaml");
    assert.deepEqual(steps(source.included!["sub/mid.yaml"]).b.files, { "/f": { content: "F" } });
    const checked = await readCheckedSource(`${dir}/w.yaml`);
    assert.deepEqual([...checked.included.keys()].sort(), ["leaf.yaml", "sub/mid.yaml"]);
  });
});

Deno.test("a problem of an included document is told with that file", async () => {
  const files = {
    "w.yaml": "name: w\nsteps:\n  a: { workflow: sub/mid.yaml, with: { x: 1 } }\n  b: { workflow: nosuch.yaml }\n",
    "sub/mid.yaml": "name: mid\nsteps:\n  a: { sleep: 1s, needs: [b] }\n",
  };
  await withFiles(files, async (dir) => {
    const { out } = await ormen(["workflow", "validate", `${dir}/w.yaml`]);
    assert.equal(
      out.replaceAll(`${dir}/`, "").replaceAll(dir, "DIR"),
      "w.yaml:3:40  unknown parameter `x`\n" +
        "w.yaml:4:8  cannot read nosuch.yaml: no such file in DIR\n" +
        "sub/mid.yaml:3:27  unknown step `b`; did you mean `a`?\n" +
        "3 problems in w.yaml\n",
    );
  });
});

Deno.test("graph draws a file in three forms, and JSON", async () => {
  await withFiles({ "w.yaml": GOOD }, async (dir) => {
    const graph = async (...args: string[]) => (await ormen(["workflow", "graph", `${dir}/w.yaml`, ...args])).out;
    assert.equal(await graph(), "good\n  1  build  task i\n  2  test   sleep 1s  after build\n");
    assert.match(await graph("--format", "mermaid"), /^flowchart TD\n[\s\S]*s0 --> s1\n$/);
    assert.match(await graph("--format", "dot"), /^digraph "good" \{\n[\s\S]*s0 -> s1;\n\}\n$/);
    assert.deepEqual(JSON.parse(await graph("--json")).steps[1], {
      name: "test",
      kind: "sleep",
      phase: "steps",
      stage: 2,
      needs: [{ step: "build", condition: "succeeded" }],
      when: null,
    });
  });
});

Deno.test("graph of a file with problems tells them", async () => {
  const { code, err } = await ormen(["workflow", "graph", "-"], {
    stdin: "name: w\nsteps: { a: { sleep: 1s, needs: [a] } }",
  });
  assert.equal(code, 1);
  assert.equal(err, "error: 1 problem in stdin\n  stdin:2:34  cycle: a -> a\n");
});

Deno.test("schema prints a JSON Schema", async () => {
  const { code, out } = await ormen(["workflow", "schema"]);
  assert.equal(code, 0);
  assert.equal(JSON.parse(out).title, "Ormen workflow");
});
