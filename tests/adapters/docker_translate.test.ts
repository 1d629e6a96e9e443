import assert from "node:assert/strict";
import type Docker from "dockerode";
import { createOptions, observationOf, runtimeError } from "../../lib/adapters/docker_translate.ts";
import type { ContainerSpec } from "../../lib/contracts/runtime.ts";
import { LABEL_NODE, RuntimeError } from "../../lib/contracts/runtime.ts";
import { plainSpec } from "../contracts/runtime.contract.ts";

const POLICIES = [
  [{ kind: "no" }, { Name: "no" }],
  [{ kind: "always" }, { Name: "unless-stopped" }],
  [{ kind: "unlessStopped" }, { Name: "unless-stopped" }],
  [{ kind: "onFailure", attemptsMax: 3 }, { Name: "on-failure", MaximumRetryCount: 3 }],
  [{ kind: "onFailure", attemptsMax: 0 }, { Name: "no" }],
  [{ kind: "onFailure", attemptsMax: null }, { Name: "on-failure", MaximumRetryCount: 0 }],
] as const;
for (const [restart, sent] of POLICIES) {
  Deno.test(`createOptions() sends ${JSON.stringify(restart)} as ${JSON.stringify(sent)}`, () => {
    assert.deepEqual(createOptions({ ...plainSpec("a"), restart }, "n").HostConfig?.RestartPolicy, sent);
  });
}

Deno.test("createOptions() carries everything that is asked for", () => {
  const spec: ContainerSpec = {
    ...plainSpec("a"),
    image: "web:1",
    entrypoint: ["/bin/app"],
    cmd: ["--x", "a b"],
    env: { A: "1=2" },
    cpuCores: 0.5,
    memoryBytes: 1e8,
    ports: [
      { container: 80, host: 8080, hostIp: "127.0.0.1", protocol: "tcp" },
      { container: 80, host: null, hostIp: null, protocol: "tcp" },
      { container: 53, host: 53, hostIp: null, protocol: "udp" },
    ],
    volumes: [{ source: "/data", target: "/d", readOnly: true }, { source: "vol", target: "/v", readOnly: false }],
    stopSignal: "SIGINT",
    user: "1000:1000",
    workdir: "/w",
    network: "host",
  };
  const sent = createOptions(spec, "node-1");
  assert.deepEqual([sent.name, sent.Image, sent.Entrypoint, sent.Cmd], ["a", "web:1", ["/bin/app"], ["--x", "a b"]]);
  assert.deepEqual([sent.Env, sent.User, sent.WorkingDir, sent.StopSignal], [["A=1=2"], "1000:1000", "/w", "SIGINT"]);
  assert.equal(sent.Labels?.[LABEL_NODE], "node-1");
  assert.deepEqual(sent.HostConfig?.PortBindings, {
    "80/tcp": [{ HostPort: "8080", HostIp: "127.0.0.1" }, { HostPort: "" }],
    "53/udp": [{ HostPort: "53" }],
  });
  const { Binds, NanoCpus, Memory, MemorySwap, NetworkMode } = sent.HostConfig!;
  assert.deepEqual([Binds, NetworkMode], [["/data:/d:ro", "vol:/v"], "host"]);
  assert.deepEqual([NanoCpus, Memory, MemorySwap], [5e8, 1e8, 1e8]);
});

Deno.test("createOptions() caps the processor at no less than the kernel takes", () => {
  assert.equal(createOptions({ ...plainSpec("a"), cpuCores: 0.004 }, "n").HostConfig!.NanoCpus, 0.01e9);
});

Deno.test("createOptions() leaves out what is not asked for", () => {
  const sent = createOptions(plainSpec("a"), "n");
  for (const key of ["Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal"]) assert.ok(!(key in sent), key);
  for (const key of ["NanoCpus", "Memory"]) assert.ok(!(key in sent.HostConfig!), key);
});

const ZERO = "0001-01-01T00:00:00Z";
const STATES = [
  ["created", { Status: "created", ExitCode: 0 }, "created", null],
  ["running", { Status: "running", Running: true, ExitCode: 0 }, "running", null],
  ["paused", { Status: "paused", Running: true, Paused: true, ExitCode: 0 }, "running", null],
  ["restarting", { Status: "restarting", Running: true, Restarting: true, ExitCode: 5 }, "restarting", 5],
  ["exited", { Status: "exited", ExitCode: 3 }, "exited", 3],
  ["dead", { Status: "dead", ExitCode: 137 }, "exited", 137],
] as const;
for (const [name, state, status, exitCode] of STATES) {
  Deno.test(`observationOf() ${name}`, () => {
    const seen = observationOf(info(state));
    assert.deepEqual([seen.status, seen.exitCode, seen.startedMs, seen.finishedMs], [status, exitCode, null, null]);
  });
}

Deno.test("observationOf() reads times, ports, address and words", () => {
  const seen = observationOf({
    ...info({ Status: "exited", Error: "no such program", OOMKilled: true, StartedAt: "2024-01-01T00:00:00.5Z" }),
    RestartCount: 2,
    NetworkSettings: {
      Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }], "53/udp": null },
      Networks: { none: { IPAddress: "" }, bridge: { IPAddress: "172.17.0.2" } },
    },
  } as unknown as Docker.ContainerInspectInfo);
  assert.equal(seen.startedMs, Date.parse("2024-01-01T00:00:00.5Z"));
  assert.deepEqual(seen.ports, [{ container: 80, protocol: "tcp", hostIp: "0.0.0.0", host: 8080 }]);
  assert.deepEqual([seen.address, seen.error, seen.oomKilled], ["172.17.0.2", "no such program", true]);
  assert.deepEqual([seen.name, seen.runtimeRestarts], ["a", 2]);
});

function info(state: Record<string, unknown>): Docker.ContainerInspectInfo {
  const defaults = { Running: false, Restarting: false, Paused: false, OOMKilled: false, StartedAt: ZERO };
  const State = { ...defaults, FinishedAt: ZERO, Error: "", ExitCode: 0, ...state };
  return { Id: "1", Name: "/a", Config: { Labels: {} }, State } as unknown as Docker.ContainerInspectInfo;
}

const ERRORS = [
  ["create", { statusCode: 404, message: "No such image: a:1" }, "noImage"],
  ["create", { statusCode: 400, message: "Minimum memory limit allowed is 6MB" }, "invalid"],
  ["create", { statusCode: 409, message: "The container name is already in use" }, "conflict"],
  ["other", { statusCode: 409, message: "Container a is not running" }, "failed"],
  ["start", { statusCode: 500, message: "Bind for 0.0.0.0:80 failed: port is already allocated" }, "conflict"],
  ["start", { statusCode: 404, message: "No such container: a" }, "missing"],
  ["start", { statusCode: 409, message: "container is marked for removal and cannot be started" }, "missing"],
  ["start", { statusCode: 404, message: "network a not found" }, "failed"],
  ["other", { statusCode: 404, message: "page not found" }, "missing"],
  ["other", { statusCode: 500, message: "server error" }, "failed"],
  ["other", { code: "ECONNREFUSED", message: "connect" }, "unavailable"],
  ["other", { code: "ENOENT", message: "connect" }, "unavailable"],
  ["other", { message: "socket hang up" }, "unavailable"],
  ["other", { message: "something else" }, "failed"],
] as const;
for (const [doing, error, code] of ERRORS) {
  Deno.test(`runtimeError() ${doing}: ${error.message} is ${code}`, () => {
    const made = runtimeError(error, doing);
    assert.equal(made.code, code);
    assert.ok(made.message.includes(error.message));
    assert.equal(runtimeError(made, "other"), made);
    assert.ok(made instanceof RuntimeError);
  });
}
