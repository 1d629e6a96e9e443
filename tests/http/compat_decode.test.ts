/** Go's manner of reading JSON, and the way from its event to a task. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeSailEvent } from "../../lib/http/compat/go_decode.ts";
import { GoDecodeError, parseUuid } from "../../lib/http/compat/go_uuid.ts";
import { renderTask } from "../../lib/http/compat/render.ts";
import { translateEvent } from "../../lib/http/compat/translate.ts";
import { scanJson } from "../../lib/http/json_scan.ts";

const TASK1 = Deno.readTextFileSync(new URL("../../task1.json", import.meta.url));

const ERRORS: [text: string, message: string][] = [
  ["", "EOF"],
  [" \n", "EOF"],
  ["{", "unexpected EOF"],
  ['{"ID"', "unexpected EOF"],
  ['{"ID":"a', "unexpected EOF"],
  ["hello", "invalid character 'h' looking for beginning of value"],
  ["{ID:1}", "invalid character 'I' looking for beginning of object key string"],
  ['{"ID" 1}', "invalid character '1' after object key"],
  ['{"State":1 "ID":2}', `invalid character '"' after object key:value pair`],
  ['{"State":1,}', "invalid character '}' looking for beginning of object key string"],
  ['{"Sail":[1 2]}', "invalid character '2' after array element"],
  ['{"State":tru}', "invalid character '}' in literal true (expecting 'e')"],
  ['{"State":1.}', "invalid character '}' after decimal point in numeric literal"],
  ['{"State":-}', "invalid character '}' in numeric literal"],
  ['{"State":1e}', "invalid character '}' in exponent of numeric literal"],
  ['{"ID":"\n"}', "invalid character '\\n' in string literal"],
  ['{"ID":"\\x"}', "invalid character 'x' in string escape code"],
  ['{"ID":"\\u00g0"}', "invalid character 'g' in \\u hexadecimal character escape"],
  ["{'ID':1}", "invalid character '\\'' looking for beginning of object key string"],
  ["[]", "json: cannot unmarshal array into Go value of type sail.SailEvent"],
  ["7", "json: cannot unmarshal number into Go value of type sail.SailEvent"],
  ['{"ID":7}', "json: cannot unmarshal number into Go struct field SailEvent.ID of type uuid.UUID"],
  ['{"State":"x"}', "json: cannot unmarshal string into Go struct field SailEvent.State of type sail.State"],
  ['{"State":1.5}', "json: cannot unmarshal number 1.5 into Go struct field SailEvent.State of type sail.State"],
  ['{"Sail":{"Name":true}}', "json: cannot unmarshal bool into Go struct field Sail.Sail.Name of type string"],
  ['{"Sail":3}', "json: cannot unmarshal number into Go struct field SailEvent.Sail of type sail.Sail"],
  ['{"Sail":{"Nmae":"x"}}', 'json: unknown field "Nmae"'],
  ['{"ID":"xyz"}', "invalid UUID length: 3"],
  ['{"ID":"zb1d59ef-9fc1-4e4b-a44d-db571eeed203"}', "invalid UUID format"],
  // A text that is no UUID stops at once; what does not fit is kept until the end.
  ['{"Bogus":1,"State":"x","ID":"xyz"}', "invalid UUID length: 3"],
  ['{"Bogus":1,"State":"x"}', 'json: unknown field "Bogus"'],
  ['{"__proto__":{}}', "the key `__proto__` is not allowed"],
];

for (const [text, message] of ERRORS) {
  Deno.test(`decodeSailEvent() says of ${JSON.stringify(text)}: ${message}`, () => {
    assert.throws(() => decodeSailEvent(text), (error) => error instanceof GoDecodeError && error.message === message);
  });
}

Deno.test("decodeSailEvent() is not hurt by deep nesting", () => {
  for (const open of ["[", '{"a":', '{"Sail":{"Env":']) {
    assert.throws(() => decodeSailEvent(open.repeat(300_000)), GoDecodeError);
  }
  const closed = `{"Sail":{"Env":${"[".repeat(100)}${"]".repeat(100)}}}`;
  assert.throws(() => decodeSailEvent(closed), /nests deeper/);
});

Deno.test("decodeSailEvent() does not mind case, null, or what follows the first value", () => {
  const event = decodeSailEvent(
    '{"id":"A7AA1D4408F6443E9378F5884311019E","SAIL":{"name":"a","image":null,"cPU":1}} trailing',
  );
  assert.equal(event.id, "a7aa1d44-08f6-443e-9378-f5884311019e");
  assert.deepEqual([event.sail.name, event.sail.image, event.sail.cpu], ["a", "", 1]);
});

Deno.test("parseUuid() reads the forms that Go's package reads", () => {
  const id = "bb1d59ef-9fc1-4e4b-a44d-db571eeed203";
  for (const text of [id, id.toUpperCase(), `{${id}}`, `urn:uuid:${id}`, id.replaceAll("-", "")]) {
    assert.equal(parseUuid(text), id);
  }
  assert.equal(parseUuid("00000000-0000-0000-0000-000000000000"), null);
  assert.throws(() => parseUuid(`urn:xxxx:${id}`), /invalid urn prefix/);
});

Deno.test("scanJson() agrees with JSON.parse on what is JSON", () => {
  fc.assert(fc.property(fc.json(), (text) => {
    assert.deepEqual(scanJson(text, 1000), { kind: "value", end: text.length });
  }));
  const noise = fc.string({
    unit: fc.constantFrom(..."{}[]\":,-+.0123eEtrufalsn\\ \n\u00e9'".split("")),
    maxLength: 30,
  });
  fc.assert(
    fc.property(noise, (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      const scan = scanJson(text, 1000);
      if (valid) assert.equal(scan.kind, "value");
      // What is valid up to an end parses up to there.
      if (scan.kind === "value" && !/[\d]$/.test(text.slice(0, scan.end))) JSON.parse(text.slice(0, scan.end));
      if (!valid && scan.kind === "value") assert.notEqual(text.slice(scan.end).trim(), "");
    }),
    { numRuns: 2000 },
  );
});

Deno.test("translateEvent() of task1.json", () => {
  const translation = translateEvent(decodeSailEvent(TASK1));
  assert(translation.kind === "task");
  const { id, spec, original, originalEventId } = translation.task;
  assert.equal(id, "bb1d59ef-9fc1-4e4b-a44d-db571eeed203");
  assert.equal(originalEventId, "a7aa1d44-08f6-443e-9378-f5884311019e");
  assert.equal(spec.name, "test-chapter-9.1");
  assert.equal(spec.image, "timboring/echo-server:latest");
  assert.deepEqual(spec.ports, [{ container: 7777, host: 7777, hostIp: null, protocol: "tcp" }]);
  assert.deepEqual(spec.health?.probe, { kind: "http", path: "/health", port: null });
  assert.deepEqual([spec.cpuCores, spec.memoryBytes, spec.diskBytes], [null, null, 0]);
  assert.equal(original.healthCheck, "/health");
});

Deno.test("translateEvent() takes every field that we add", () => {
  const additions = {
    Cmd: ["-c", "x"],
    Entrypoint: ["sh"],
    Env: ["A=1=2", "B="],
    Labels: { team: "a" },
    Constraints: ["node.name != old"],
    Volumes: ["data:/var"],
    User: "1000",
    Workdir: "/app",
    Network: "host",
    Pull: "always",
    Runtime: "docker",
    Grace: "3s",
    StopSignal: "SIGINT",
    MaxRestarts: 5,
    Reschedule: true,
    Files: { "/a": "b" },
    Health: { tcp: 80, interval: "1s" },
  };
  const text = JSON.stringify({ Sail: { Name: "a", Image: "b", ...additions } });
  const translation = translateEvent(decodeSailEvent(text));
  assert(translation.kind === "task", JSON.stringify(translation));
  const { spec, original } = translation.task;
  assert.deepEqual(spec.env, { A: "1=2", B: "" });
  const shown = renderTask({
    id: "x",
    state: 0,
    spec,
    original,
    containerId: null,
    ports: [],
    startedMs: null,
    finishedMs: null,
    restarts: 0,
  });
  const { Env, Health, Runtime: _default, ...same } = additions;
  for (const [name, value] of Object.entries(same)) assert.deepEqual(shown[name], value, name);
  assert.deepEqual(shown.Env, { A: "1=2", B: "" });
  assert.equal(Env.length, 2);
  assert.deepEqual(shown.Health, { ...Health, timeout: "1s", retries: 3, startPeriod: "0s" });
});

const port = fc.integer({ min: 1, max: 65_535 });
const sail = fc.record({
  ID: fc.uuid(),
  Name: fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}$/),
  Image: fc.constantFrom("a", "a/b:1", "localhost:5000/x@sha256"),
  State: fc.integer({ min: 0, max: 4 }),
  Cpu: fc.constantFrom(0, 0.5, 4),
  Memory: fc.constantFrom(0, 64 * 2 ** 20),
  Disk: fc.constantFrom(0, 2 ** 30),
  ExposedPorts: fc.option(fc.dictionary(port.map((p) => `${p}/tcp`), fc.constant({}), { maxKeys: 4 }).map(plain)),
  PortBindings: fc.option(
    fc.uniqueArray(port, { maxLength: 4 }).map((all) => Object.fromEntries(all.map((p) => [`${p}/tcp`, String(p)]))),
  ),
  RestartPolicy: fc.constantFrom("", "no", "always", "unless-stopped", "on-failure"),
});

function plain<T>(map: Record<string, T>): Record<string, T> {
  return { ...map };
}

Deno.test("translateEvent() and renderTask() give back what the original sent, keys in order", () => {
  fc.assert(fc.property(sail, (sent) => {
    const translation = translateEvent(decodeSailEvent(JSON.stringify({ Sail: sent })));
    assert(translation.kind === "task", JSON.stringify(translation));
    const { id, spec, original } = translation.task;
    const shown = renderTask({
      id: id!,
      state: sent.State,
      spec,
      original,
      containerId: null,
      ports: [],
      startedMs: null,
      finishedMs: null,
      restarts: 0,
    });
    for (const [name, value] of Object.entries(sent)) assert.deepEqual(shown[name], value, name);
    assert.deepEqual(Object.keys(shown), [
      ..."ID ContainerID Name State Image Cpu Memory Disk ExposedPorts HostPorts PortBindings".split(" "),
      ..."RestartPolicy StartTime FinishTime HealthCheck RestartCount".split(" "),
    ]);
    const containers = new Set(Object.keys({ ...sent.ExposedPorts, ...sent.PortBindings }));
    assert.equal(spec.ports.length, containers.size);
    for (const mapping of spec.ports) {
      const bound = sent.PortBindings?.[`${mapping.container}/tcp`];
      assert.equal(mapping.host, bound === undefined ? null : Number(bound));
    }
  }));
});

Deno.test("decodeSailEvent() and translateEvent() never fail in any other way", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
    const texts = [JSON.stringify(value), JSON.stringify({ Sail: value }), JSON.stringify({ Sail: { Env: value } })];
    for (const text of texts) {
      try {
        translateEvent(decodeSailEvent(text));
      } catch (error) {
        assert(error instanceof GoDecodeError, String(error));
      }
    }
  }));
});
