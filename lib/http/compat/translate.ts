/**
 * From the original's event to a task of ours. Pure. What a field means there and here:
 *
 *   Cpu            cores, reserved and capped           Memory, Disk  bytes; 0: unset
 *   PortBindings   container port -> host port          ExposedPorts  without a binding: a host port of the Engine's choice
 *   HealthCheck    path of an HTTP GET on the first port
 *   RestartPolicy  Docker's words
 *
 * Everything goes through the task schema, so that these routes refuse what /v1 refuses.
 */
import { taskDocument } from "../../core/documents/task.ts";
import type { TaskSpec } from "../../core/documents/task.ts";
import type { OriginalFields } from "../../core/sail.ts";
import { describeErrors } from "../issues.ts";
import type { OriginalSail, SailEvent } from "./sail_event.ts";

/** What both a deck and a sailor take as a new task. */
export interface TranslatedTask {
  readonly id: string | null;
  readonly spec: TaskSpec;
  readonly original: OriginalFields;
  readonly originalEventId: string | null;
}

export type Translation =
  | { readonly kind: "task"; readonly task: TranslatedTask }
  /** One sentence in the original's field names. */
  | { readonly kind: "refused"; readonly message: string };

export function translateEvent(event: SailEvent): Translation {
  const { sail } = event;
  const health = sail.healthCheck !== "" && sail.additions.Health !== undefined;
  if (health) return refused("HealthCheck and Health: only one of them may be given");
  const env = environmentOf(sail.additions.Env);
  if (typeof env === "string") return refused(env);
  const ports = portsOf(sail);
  if (typeof ports === "string") return refused(ports);
  const document: Record<string, unknown> = {
    name: sail.name,
    ...(sail.image === "" ? {} : { image: sail.image }),
    ...(sail.cpu === 0 ? {} : { cpu: sail.cpu }),
    ...(sail.memory === 0 ? {} : { memory: sail.memory }),
    ...(sail.disk === 0 ? {} : { disk: sail.disk }),
    ...(ports.length === 0 ? {} : { ports }),
    ...(sail.restartPolicy === "" ? {} : { restart: sail.restartPolicy }),
    ...(sail.healthCheck === "" ? {} : { health: { http: sail.healthCheck } }),
  };
  for (const [name, value] of Object.entries(sail.additions)) document[camelCase(name)] = name === "Env" ? env : value;
  const result = taskDocument.safeParse(document);
  if (!result.success) {
    const [first] = describeErrors(taskDocument, result.error.issues);
    return refused(`${originalNames(first.pointer, sail)}${first.detail}`);
  }
  return {
    kind: "task",
    task: { id: sail.id, spec: result.data, original: originalFields(sail), originalEventId: event.id },
  };
}

function refused(message: string): Translation {
  return { kind: "refused", message };
}

function originalFields(sail: OriginalSail): OriginalFields {
  const { exposedPorts, portBindings, restartPolicy, healthCheck, cpu, memory, disk } = sail;
  return { exposedPorts, portBindings, restartPolicy, healthCheck, cpu, memory, disk };
}

/** Docker takes a list of K=V, our documents take a map; both are understood. A string is a refusal. */
function environmentOf(value: unknown): unknown | string {
  if (!Array.isArray(value)) return typeof value === "string" ? "Env: must be a map, or a list of K=V" : value;
  const entries: [string, string][] = [];
  for (const item of value) {
    const at = typeof item === "string" ? item.indexOf("=") : -1;
    if (at < 1) return `Env: not K=V: ${JSON.stringify(item)}`;
    entries.push([item.slice(0, at), item.slice(at + 1)]);
  }
  if (entries.some(([key]) => key === "__proto__")) return "Env: not a variable's name: __proto__";
  return Object.fromEntries(entries);
}

/** Our port mappings, exposed ports first, in the order in which they were written. A string is a refusal. */
function portsOf(sail: OriginalSail): string[] | string {
  const bindings = new Map<string, string>();
  for (const [key, host] of Object.entries(sail.portBindings ?? {})) {
    const port = containerPort(key);
    if (port === undefined) return `PortBindings: not a port: "${key}"; write 7777/tcp`;
    bindings.set(port, host);
  }
  const ports = new Set<string>();
  for (const key of Object.keys(sail.exposedPorts ?? {})) {
    const port = containerPort(key);
    if (port === undefined) return `ExposedPorts: not a port: "${key}"; write 7777/tcp`;
    ports.add(port);
  }
  for (const port of bindings.keys()) ports.add(port);
  return [...ports].map((port) => {
    const host = bindings.get(port) ?? "";
    return host === "" || host === "0" ? port : `${host}:${port}`;
  });
}

/** `7777/tcp` of `7777/tcp`, `7777/TCP` and `7777`. */
function containerPort(key: string): string | undefined {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/i.exec(key);
  return match ? `${Number(match[1])}/${(match[2] ?? "tcp").toLowerCase()}` : undefined;
}

function camelCase(name: string): string {
  return name[0].toLowerCase() + name.slice(1);
}

/** Which field of the original a pointer of our document stands for, as `Name: `. */
function originalNames(pointer: string, sail: OriginalSail): string {
  const [first, ...rest] = pointer.split("/").slice(1);
  switch (first) {
    case undefined:
      return "";
    case "ports":
      return sail.portBindings === null ? "ExposedPorts: " : "PortBindings: ";
    case "restart":
      return "RestartPolicy: ";
    case "health":
      return sail.healthCheck === "" ? `${["Health", ...rest].join(".")}: ` : "HealthCheck: ";
    default:
      return `${[first[0].toUpperCase() + first.slice(1), ...rest].join(".")}: `;
  }
}
