/**
 * Who may import whom in lib/, kept by reading every import there; and what keeps lib/core/ pure.
 *
 * The reading is done on tokens, so that comments, strings and regular expressions neither hide an import nor look like one.
 * `check` works on a map of file texts: the second half of this file shows that it objects when a rule is broken.
 */
import assert from "node:assert/strict";

type Layer =
  | "core"
  | "messages"
  | "contracts"
  | "session"
  | "deck"
  | "sailor"
  | "http"
  | "adapters"
  | "client"
  | "cli"
  | "web"
  | "version";

type Rule = {
  /** Layers, or files and folders in them, that may be imported; a layer may always import from itself. */
  readonly values: readonly string[];
  /** Those of which `import type` may be used besides. */
  readonly types?: readonly string[];
  /** Packages, "node:" among them; undefined: all but those that are one layer's own. */
  readonly packages?: readonly string[];
};

const RULES: Readonly<Record<Layer, Rule>> = {
  core: { values: [], packages: ["zod", "yaml", "@marcbachmann/cel-js", "re2js"] },
  messages: { values: ["core", "version"], packages: ["zod"] },
  contracts: { values: ["version"], types: ["core", "messages"], packages: [] },
  session: { values: ["core", "messages", "contracts", "version"] },
  deck: { values: ["core", "messages", "contracts", "session", "version"] },
  sailor: { values: ["core", "messages", "contracts", "session", "version"] },
  http: {
    values: ["core", "messages", "contracts", "session", "version"],
    types: ["deck", "sailor"],
    packages: ["hono", "zod", "yaml", "node:"],
  },
  adapters: { values: ["core", "messages", "contracts", "session", "version"] },
  client: { values: ["messages", "core/documents", "version"], types: ["contracts"] },
  web: { values: ["core", "messages", "version"], packages: [] },
  cli: {
    values: [
      "core",
      "messages",
      "contracts",
      "session",
      "deck",
      "sailor",
      "http",
      "adapters",
      "client",
      "web",
      "version",
    ],
  },
  version: { values: [], packages: [] },
};

/** Packages that one layer alone may import; undefined: none may. */
const OWNED_PACKAGES: Readonly<Record<string, Layer | undefined>> = {
  "dockerode": "adapters",
  "commander": "cli",
  "cli-table3": "cli",
  "fast-check": undefined,
};

/** What would make a decision depend on more than its input. Each is asked about a name that no dot precedes. */
const IMPURE: readonly {
  readonly name: string;
  readonly when?: (next: readonly string[], previous: string) => boolean;
}[] = [
  { name: "Date", when: ([a, b], previous) => a === "." && b === "now" || (previous !== "new" && a === "(") },
  { name: "Date", when: ([a, b], previous) => previous === "new" && (a !== "(" || b === ")") },
  { name: "Math", when: ([a, b]) => a === "." && b === "random" },
  { name: "fetch", when: ([a]) => a === "(" },
  { name: "await" },
  ...["crypto", "console", "Deno", "globalThis", "performance", "setTimeout", "setInterval", "queueMicrotask"].map((
    name,
  ) => ({
    name,
    // A record may have a field of that name.
    when: ([a, b]: readonly string[], previous: string) =>
      !(["{", ",", ";"].includes(previous) && (a === ":" || (a === "?" && b === ":"))),
  })),
];

type Files = ReadonlyMap<string, string>;
type Import = { readonly specifier: string | undefined; readonly typeOnly: boolean; readonly line: number };

/** Every breach of a rule in `files` (path below the top directory -> text), as "path:line: what". */
function check(files: Files): string[] {
  const breaches: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, text] of files) {
    const layer = layerOf(path);
    if (layer === undefined) {
      breaches.push(`${path}:1: lies in no layer of lib/`);
      continue;
    }
    const tokens = tokenize(text);
    const targets: string[] = [];
    for (const found of importsIn(tokens)) {
      const say = (what: string) => breaches.push(`${path}:${found.line}: ${what}`);
      const { specifier } = found;
      if (specifier === undefined) say("imports something that only its run time knows");
      else if (specifier.startsWith(".")) {
        const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
        if (!target.startsWith("lib/")) say(`imports ${target}, outside lib/`);
        else if (!mayImport(layer, target, found.typeOnly)) {
          say(`${layer} may not import ${target}${found.typeOnly ? " (types)" : ""}`);
        }
        if (!found.typeOnly) targets.push(target);
      } else {
        const objection = packageObjection(layer, specifier);
        if (objection !== undefined) say(objection);
      }
    }
    graph.set(path, targets);
    breaches.push(...wordsOf(layer, tokens).map(({ line, what }) => `${path}:${line}: ${what}`));
  }
  return [...breaches, ...cyclesIn(graph).map((cycle) => `${cycle[0]}:1: imports itself: ${cycle.join(" -> ")}`)];
}

function layerOf(path: string): Layer | undefined {
  if (path === "lib/version.ts") return "version";
  const name = /^lib\/([^/]+)\//.exec(path)?.[1];
  return name !== undefined && Object.hasOwn(RULES, name) ? name as Layer : undefined;
}

function mayImport(layer: Layer, target: string, typeOnly: boolean): boolean {
  const rule = RULES[layer];
  if (layerOf(target) === layer) return true;
  return [...rule.values, ...(typeOnly ? rule.types ?? [] : [])].some((place) =>
    target === `lib/${place}.ts` || target.startsWith(`lib/${place}/`)
  );
}

function packageObjection(layer: Layer, specifier: string): string | undefined {
  if (/^(npm|jsr|https?|file|data):/.test(specifier)) return `imports ${specifier} past the import map of deno.json`;
  const name = specifier.startsWith("node:")
    ? "node:"
    : specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  const { packages } = RULES[layer];
  const owned = Object.hasOwn(OWNED_PACKAGES, name);
  if (owned ? OWNED_PACKAGES[name] !== layer : packages !== undefined && !packages.includes(name)) {
    return `${layer} may not import the package ${specifier}`;
  }
  return undefined;
}

/** Breaches that are not imports: default exports anywhere, impure words in core, the store's engine outside adapters. */
function wordsOf(layer: Layer, tokens: readonly Token[]): { line: number; what: string }[] {
  const breaches: { line: number; what: string }[] = [];
  tokens.forEach((token, i) => {
    if (token.kind !== "word") return;
    const { text, line } = token;
    const previous = tokens[i - 1]?.text ?? "";
    const next = tokens.slice(i + 1, i + 3).map((t) => t.text);
    if (
      text === "default" && (previous === "export" || (previous === "as" && next[0] === "}" && isExportList(tokens, i)))
    ) {
      breaches.push({ line, what: "has a default export" });
    }
    if (text === "openKv" && layer !== "adapters") breaches.push({ line, what: "only adapters may use Deno.openKv" });
    if (layer !== "core" || previous === "." || previous === "?.") return;
    if (IMPURE.some(({ name, when }) => name === text && (when === undefined || when(next, previous)))) {
      breaches.push({ line, what: `core may not use ${[text, ...next].slice(0, next[0] === "." ? 3 : 1).join("")}` });
    }
  });
  return breaches;
}

function isExportList(tokens: readonly Token[], at: number): boolean {
  const open = tokens.findLastIndex((token, i) => i < at && token.text === "{");
  return tokens[open - 1]?.text === "export";
}

function importsIn(tokens: readonly Token[]): Import[] {
  const imports: Import[] = [];
  const at = (i: number): Token => tokens[i] ?? { kind: "mark", text: "", line: 0 };
  for (let i = 0; i < tokens.length; i++) {
    const { kind, text, line } = tokens[i];
    if (kind !== "word" || (text !== "import" && text !== "export") || [".", "?."].includes(at(i - 1).text)) continue;
    if (text === "import" && at(i + 1).text === ".") continue; // import.meta
    if (text === "import" && at(i + 1).text === "(") {
      const literal = at(i + 2).kind === "string" && [")", ","].includes(at(i + 3).text);
      imports.push({ specifier: literal ? at(i + 2).text : undefined, typeOnly: false, line });
      continue;
    }
    if (text === "import" && at(i + 1).kind === "string") {
      imports.push({ specifier: at(i + 1).text, typeOnly: false, line });
      continue;
    }
    // What stands between it and `from` is names, braces, stars and commas only; anything else is a declaration.
    const typeOnly = at(i + 1).text === "type" && !["from", ","].includes(at(i + 2).text);
    if (text === "export" && !["{", "*"].includes(at(i + (typeOnly ? 2 : 1)).text)) continue;
    let j = i + 1;
    while (at(j).kind === "word" || at(j).kind === "string" || ["{", "}", "*", ","].includes(at(j).text)) {
      if (at(j).text === "from" && at(j + 1).kind === "string") {
        imports.push({ specifier: at(j + 1).text, typeOnly, line });
        break;
      }
      j++;
    }
  }
  return imports;
}

/** Cycles of files that import each other. Types do not count: a decision and the state it decides on may name each other. */
function cyclesIn(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = [];
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const visit = (path: string) => {
    state.set(path, "open");
    trail.push(path);
    for (const target of graph.get(path) ?? []) {
      if (state.get(target) === "open") cycles.push([...trail.slice(trail.indexOf(target)), target]);
      else if (state.get(target) === undefined) visit(target);
    }
    trail.pop();
    state.set(path, "done");
  };
  for (const path of graph.keys()) if (!state.has(path)) visit(path);
  return cycles;
}

type Token = { readonly kind: "word" | "string" | "mark"; readonly text: string; readonly line: number };

/** Words, strings (their content) and marks of a TypeScript text; comments, numbers and regular expressions are left out. */
function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  // Braces that are open within `${`: at the one that closes it the template goes on.
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  let line = 1;
  const push = (kind: Token["kind"], value: string) => tokens.push({ kind, text: value, line });
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) return undefined;
    at += found.length;
    return found;
  };
  const lines = (taken: string) => line += taken.split("\n").length - 1;
  while (at < text.length) {
    const blank = take(/\s+|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y);
    if (blank !== undefined) {
      lines(blank);
      continue;
    }
    const string = take(/"(?:[^"\\\n]|\\[\s\S])*"?|'(?:[^'\\\n]|\\[\s\S])*'?/y);
    if (string !== undefined) {
      push("string", string.slice(1, -1));
      lines(string);
      continue;
    }
    const resumes = text[at] === "}" && templates.at(-1) === depth;
    if (text[at] === "`" || resumes) {
      if (resumes) templates.pop();
      at++;
      const part = take(/(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y) ?? "";
      lines(part);
      if (text[at] === "$") {
        at += 2;
        templates.push(depth);
        push("mark", "${");
      } else {
        at++;
        push("mark", "`");
      }
      continue;
    }
    const word = take(/[\p{ID_Start}$_#][\p{ID_Continue}$]*/uy);
    if (word !== undefined) {
      push("word", word);
      continue;
    }
    if (take(/\d[\w.]*/y) !== undefined) {
      push("mark", "0");
      continue;
    }
    if (text[at] === "/" && startsRegExp(tokens.at(-1))) {
      const found = take(/\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/y);
      if (found !== undefined) {
        push("mark", "//");
        continue;
      }
    }
    const mark = text[at] === "?" && text[at + 1] === "." ? "?." : text[at];
    if (mark === "{") depth++;
    if (mark === "}") depth--;
    at += mark.length;
    push("mark", mark);
  }
  return tokens;
}

/** A slash divides after a value and opens a regular expression elsewhere. */
function startsRegExp(previous: Token | undefined): boolean {
  if (previous === undefined) return true;
  if (previous.kind === "word") {
    return /^(return|typeof|case|in|of|do|else|void|yield|await|instanceof)$/.test(previous.text);
  }
  return previous.kind === "mark" && ![")", "]", "}", "0", "`", "//"].includes(previous.text);
}

function filesBelow(top: string, folder: string, files = new Map<string, string>()): Files {
  for (const entry of Deno.readDirSync(`${top}/${folder}`)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) filesBelow(top, path, files);
    else if (/\.tsx?$/.test(entry.name)) files.set(path, Deno.readTextFileSync(`${top}/${path}`));
  }
  return files;
}

const TOP = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

Deno.test("check() finds no breach in lib/", () => {
  const files = filesBelow(TOP, "lib");
  assert.ok(files.size > 0);
  assert.deepEqual(check(files), []);
});

Deno.test("lib/version.ts and deno.json name one version", () => {
  const version = /VERSION = "([^"]+)"/.exec(Deno.readTextFileSync(`${TOP}/lib/version.ts`))?.[1];
  assert.equal(version, JSON.parse(Deno.readTextFileSync(`${TOP}/deno.json`)).version);
});

const NEIGHBOURS: readonly [string, string][] = [
  "lib/core/a.ts",
  "lib/core/documents/a.ts",
  "lib/messages/a.ts",
  "lib/contracts/a.ts",
  "lib/session/a.ts",
  "lib/deck/a.ts",
  "lib/sailor/a.ts",
  "lib/http/a.ts",
  "lib/adapters/a.ts",
  "lib/client/a.ts",
  "lib/cli/a.ts",
  "lib/web/a.ts",
  "lib/version.ts",
].map((path) => [path, "export const a = 1;\n"]);

const BREACHES: readonly { readonly path: string; readonly text: string; readonly says: RegExp }[] = [
  {
    path: "lib/core/x.ts",
    text: `import { a } from "../messages/a.ts";`,
    says: /core may not import lib\/messages\/a.ts/,
  },
  {
    path: "lib/core/x.ts",
    text: `import type { A } from "../messages/a.ts";`,
    says: /core may not import .* \(types\)/,
  },
  { path: "lib/core/x.ts", text: `import "../adapters/a.ts";`, says: /lib\/adapters\/a.ts/ },
  { path: "lib/core/x.ts", text: `export { a } from "../deck/a.ts";`, says: /lib\/deck\/a.ts/ },
  { path: "lib/core/x.ts", text: `export * as d from "../deck/a.ts";`, says: /lib\/deck\/a.ts/ },
  { path: "lib/core/x.ts", text: `export type { A } from "../deck/a.ts";`, says: /lib\/deck\/a.ts/ },
  {
    path: "lib/core/x.ts",
    text: `import {\n  a, // from "./b.ts"\n  b as c,\n} from "../deck/a.ts";`,
    says: /:1: .*lib\/deck\/a.ts/,
  },
  {
    path: "lib/core/x.ts",
    text: `const a = \`\${"{"}\${1}\`; import { b } from '../deck/a.ts'`,
    says: /lib\/deck\/a.ts/,
  },
  { path: "lib/core/x.ts", text: `const a = /"/; import { b } from "../deck/a.ts";`, says: /lib\/deck\/a.ts/ },
  { path: "lib/core/x.ts", text: `import a, { b } from "../deck/a.ts";`, says: /lib\/deck\/a.ts/ },
  { path: "lib/core/x.ts", text: `import * as a from "../deck/a.ts";`, says: /lib\/deck\/a.ts/ },
  { path: "lib/core/x.ts", text: `import { a } from "../version.ts";`, says: /lib\/version.ts/ },
  { path: "lib/core/x.ts", text: `type A = import("../deck/a.ts").A;`, says: /lib\/deck\/a.ts/ },
  { path: "lib/core/x.ts", text: `import { createHash } from "node:crypto";`, says: /package node:crypto/ },
  { path: "lib/core/x.ts", text: `import { Hono } from "hono";`, says: /package hono/ },
  { path: "lib/core/x.ts", text: `import { z } from "npm:zod";`, says: /past the import map/ },
  { path: "lib/core/x.ts", text: `const t = Date.now();`, says: /Date\.now/ },
  { path: "lib/core/x.ts", text: `const t = new Date();`, says: /may not use Date/ },
  { path: "lib/core/x.ts", text: `const t = new Date;`, says: /may not use Date/ },
  { path: "lib/core/x.ts", text: `const t = Date();`, says: /may not use Date/ },
  { path: "lib/core/x.ts", text: "const t = `${Math.random()}`;", says: /Math\.random/ },
  { path: "lib/core/x.ts", text: `const t = crypto.randomUUID();`, says: /crypto/ },
  { path: "lib/core/x.ts", text: `console.log(1);`, says: /console/ },
  { path: "lib/core/x.ts", text: `const t = a ? Deno.pid : 1;`, says: /Deno\.pid/ },
  { path: "lib/core/x.ts", text: `globalThis.fetch("x");`, says: /globalThis/ },
  { path: "lib/core/x.ts", text: `fetch("x");`, says: /fetch/ },
  { path: "lib/core/x.ts", text: `const f = async () => { await 1; };`, says: /await/ },
  { path: "lib/core/x.ts", text: `setTimeout(f, 1);`, says: /setTimeout/ },
  { path: "lib/messages/x.ts", text: `import { a } from "../contracts/a.ts";`, says: /messages may not import/ },
  { path: "lib/messages/x.ts", text: `import { parse } from "yaml";`, says: /package yaml/ },
  { path: "lib/contracts/x.ts", text: `import { a } from "../core/a.ts";`, says: /contracts may not import/ },
  { path: "lib/contracts/x.ts", text: `import { z } from "zod";`, says: /package zod/ },
  { path: "lib/session/x.ts", text: `import { a } from "../deck/a.ts";`, says: /session may not import/ },
  { path: "lib/deck/x.ts", text: `import { a } from "../adapters/a.ts";`, says: /deck may not import/ },
  { path: "lib/deck/x.ts", text: `const a = await import("../sailor/a.ts");`, says: /deck may not import/ },
  { path: "lib/deck/x.ts", text: `const a = await import(name);`, says: /only its run time knows/ },
  { path: "lib/deck/x.ts", text: "const a = await import(`./${name}`);", says: /only its run time knows/ },
  { path: "lib/deck/x.ts", text: `import Docker from "dockerode";`, says: /package dockerode/ },
  { path: "lib/deck/x.ts", text: `const kv = await Deno.openKv();`, says: /openKv/ },
  { path: "lib/deck/x.ts", text: `import config from "../../deno.json" with { type: "json" };`, says: /outside lib/ },
  { path: "lib/sailor/x.ts", text: `import { a } from "../http/a.ts";`, says: /sailor may not import/ },
  { path: "lib/http/x.ts", text: `import { a } from "../deck/a.ts";`, says: /http may not import/ },
  { path: "lib/http/x.ts", text: `import { type A } from "../deck/a.ts";`, says: /http may not import/ },
  { path: "lib/http/x.ts", text: `import { Command } from "commander";`, says: /package commander/ },
  { path: "lib/adapters/x.ts", text: `import { a } from "../deck/a.ts";`, says: /adapters may not import/ },
  { path: "lib/client/x.ts", text: `import { a } from "../core/a.ts";`, says: /client may not import/ },
  { path: "lib/client/x.ts", text: `import { a } from "../contracts/a.ts";`, says: /client may not import/ },
  { path: "lib/web/x.ts", text: `import { a } from "../http/a.ts";`, says: /web may not import/ },
  { path: "lib/cli/x.ts", text: `import Docker from "dockerode";`, says: /package dockerode/ },
  { path: "lib/cli/x.ts", text: `import fc from "fast-check";`, says: /package fast-check/ },
  { path: "lib/cli/x.ts", text: `import { main } from "../../main.ts";`, says: /outside lib/ },
  { path: "lib/cli/x.ts", text: `export default 1;`, says: /default export/ },
  { path: "lib/cli/x.ts", text: `const a = 1; export { a as default };`, says: /default export/ },
  { path: "lib/new/x.ts", text: ``, says: /no layer/ },
  { path: "lib/core/a.ts", text: `import { a } from "./documents/a.ts"; import "./a.ts";`, says: /imports itself/ },
  { path: "lib/version.ts", text: `import { a } from "./core/a.ts";`, says: /version may not import/ },
];
for (const { path, text, says } of BREACHES) {
  Deno.test(`check() objects to ${path}: ${text.replaceAll("\n", " ")}`, () => {
    const breaches = check(new Map([...NEIGHBOURS, [path, text]]));
    assert.equal(breaches.length, 1, breaches.join("\n"));
    assert.match(breaches[0], says);
  });
}

Deno.test("check() objects to a cycle through several files, but not of types", () => {
  const breaches = check(
    new Map([
      ["lib/core/a.ts", `import { b } from "./b.ts";`],
      ["lib/core/b.ts", `import { c } from "./c.ts";`],
      ["lib/core/c.ts", `export * from "./a.ts";`],
      ["lib/core/d.ts", `import type { E } from "./e.ts";`],
      ["lib/core/e.ts", `import { d } from "./d.ts";`],
    ]),
  );
  assert.deepEqual(breaches, [
    "lib/core/a.ts:1: imports itself: lib/core/a.ts -> lib/core/b.ts -> lib/core/c.ts -> lib/core/a.ts",
  ]);
});

const CLEAN: readonly { readonly path: string; readonly text: string }[] = [
  {
    path: "lib/core/x.ts",
    text: `import { z } from "zod"; import { a } from "./documents/a.ts"; export type A = typeof a;`,
  },
  {
    path: "lib/core/x.ts",
    text: `// await Date.now()\nconst a = "console.log"; const b = /Math.random/g; const c = \`fetch(\`;`,
  },
  {
    path: "lib/core/x.ts",
    text:
      `const a = new Date(wallMs).toISOString(); const b = input.crypto; type C = { console: string; performance?: number };`,
  },
  { path: "lib/core/x.ts", text: `const half = (a + b) / 2 / c; const d = "import x from 'dockerode'";` },
  {
    path: "lib/contracts/x.ts",
    text: `import type { A } from "../core/a.ts"; import type { M } from "../messages/a.ts";`,
  },
  {
    path: "lib/http/x.ts",
    text: `import type { A } from "../deck/a.ts"; import { Hono } from "hono"; import { b } from "hono/streaming";`,
  },
  {
    path: "lib/adapters/x.ts",
    text: `import Docker from "dockerode"; const kv = await Deno.openKv(); const a = import.meta.url;`,
  },
  {
    path: "lib/client/x.ts",
    text: `import { a } from "../core/documents/a.ts"; import type { C } from "../contracts/a.ts";`,
  },
  {
    path: "lib/cli/x.ts",
    text: `const { a } = await import("../adapters/a.ts"); import { Command } from "commander";`,
  },
  {
    path: "lib/deck/x.ts",
    text: `export const from = "../adapters/a.ts"; export function a() { return "x"; } export type { T };`,
  },
];
for (const { path, text } of CLEAN) {
  Deno.test(`check() accepts ${path}: ${text.replaceAll("\n", " ")}`, () => {
    assert.deepEqual(check(new Map([...NEIGHBOURS, [path, text]])), []);
  });
}
