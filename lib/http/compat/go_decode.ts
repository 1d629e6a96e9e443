/**
 * Reads the body of the original's POST /tasks the way Go's json.Decoder with DisallowUnknownFields does: names fit without
 * regard to case, null leaves a field as it is, what follows the first value is not looked at, and the first error is told in
 * Go's words. Fields that we add are taken as they are; the task schema judges them later.
 *
 * Of Go's two kinds of errors, one stops at once (a text that is no UUID or time), the other is kept until the end (a type
 * that does not fit, an unknown field): so the former wins even when it comes later.
 */
import { DEPTH_MAX, shapeProblem } from "../plain_data.ts";
import { scanJson } from "../json_scan.ts";
import { GoDecodeError, parseUuid } from "./go_uuid.ts";
import { ADDITIONS } from "./sail_event.ts";
import type { OriginalSail, SailEvent } from "./sail_event.ts";

/** Throws GoDecodeError. */
export function decodeSailEvent(text: string): SailEvent {
  const value = parseFirstValue(text);
  const decoder = new Decoder();
  const event = decoder.struct(value, EVENT_FIELDS, "SailEvent", "sail.SailEvent", "");
  if (decoder.saved !== null) throw new GoDecodeError(decoder.saved);
  const sail = (event.Sail ?? {}) as Record<string, unknown>;
  return {
    id: (event.ID ?? null) as string | null,
    state: (event.State ?? 0) as number,
    sail: {
      id: (sail.ID ?? null) as string | null,
      name: (sail.Name ?? "") as string,
      state: (sail.State ?? 0) as number,
      image: (sail.Image ?? "") as string,
      cpu: (sail.Cpu ?? 0) as number,
      memory: (sail.Memory ?? 0) as number,
      disk: (sail.Disk ?? 0) as number,
      exposedPorts: (sail.ExposedPorts ?? null) as OriginalSail["exposedPorts"],
      portBindings: (sail.PortBindings ?? null) as OriginalSail["portBindings"],
      restartPolicy: (sail.RestartPolicy ?? "") as string,
      healthCheck: (sail.HealthCheck ?? "") as string,
      additions: Object.fromEntries(ADDITIONS.filter((name) => sail[name] != null).map((name) => [name, sail[name]])),
    },
  };
}

function parseFirstValue(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const scan = scanJson(text, DEPTH_MAX);
    switch (scan.kind) {
      case "empty":
        throw new GoDecodeError("EOF");
      case "cut":
        throw new GoDecodeError("unexpected EOF");
      case "invalid":
        throw new GoDecodeError(scan.message);
      case "tooDeep":
        throw new GoDecodeError("exceeded max depth");
      case "value":
        value = JSON.parse(text.slice(0, scan.end));
        break;
      default:
        return scan satisfies never;
    }
  }
  const problem = shapeProblem(value);
  if (problem) throw new GoDecodeError(problem);
  return value;
}

type Kind =
  | "uuid"
  | "state"
  | "int"
  | "float"
  | "string"
  | "time"
  | "ports"
  | "bindings"
  | "hostPorts"
  | "any"
  | "sail";
type Fields = Readonly<Record<string, Kind>>;

const EVENT_FIELDS: Fields = { ID: "uuid", State: "state", Timestamp: "time", Sail: "sail" };
const SAIL_FIELDS: Fields = {
  ID: "uuid",
  ContainerID: "string",
  Name: "string",
  State: "state",
  Image: "string",
  Cpu: "float",
  Memory: "int",
  Disk: "int",
  ExposedPorts: "ports",
  HostPorts: "hostPorts",
  PortBindings: "bindings",
  RestartPolicy: "string",
  StartTime: "time",
  FinishTime: "time",
  HealthCheck: "string",
  RestartCount: "int",
  ...Object.fromEntries(ADDITIONS.map((name) => [name, "any" as const])),
};

const GO_TYPES: Readonly<Record<Kind, string>> = {
  uuid: "uuid.UUID",
  state: "sail.State",
  int: "int64",
  float: "float64",
  string: "string",
  time: "time.Time",
  ports: "nat.PortSet",
  bindings: "map[string]string",
  hostPorts: "nat.PortMap",
  any: "interface {}",
  sail: "sail.Sail",
};

class Decoder {
  saved: string | null = null;

  struct(
    value: unknown,
    fields: Fields,
    struct: string,
    type: string,
    path: string,
  ): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    if (value === null) return result;
    if (typeof value !== "object" || Array.isArray(value)) {
      this.#mismatch(value, type, null);
      return result;
    }
    for (const [key, item] of Object.entries(value)) {
      const name = Object.hasOwn(fields, key) ? key : namesByFold(fields).get(key.toLowerCase());
      if (name === undefined) {
        this.#save(`json: unknown field ${JSON.stringify(key)}`);
        continue;
      }
      const decoded = this.#field(item, fields[name], struct, path === "" ? name : `${path}.${name}`);
      if (decoded !== undefined) result[name] = decoded;
    }
    return result;
  }

  /** Undefined: the field keeps its zero value. */
  #field(value: unknown, kind: Kind, struct: string, path: string): unknown {
    if (value === null) return undefined;
    const mismatch = () => this.#mismatch(value, GO_TYPES[kind], `${struct}.${path}`);
    switch (kind) {
      case "sail":
        return typeof value === "object" && !Array.isArray(value)
          ? this.struct(value, SAIL_FIELDS, "Sail", GO_TYPES.sail, path)
          : mismatch();
      case "uuid":
        return typeof value === "string" ? parseUuid(value) ?? undefined : mismatch();
      case "time":
        if (typeof value !== "string") throw new GoDecodeError("Time.UnmarshalJSON: input is not a JSON string");
        if (!RFC_3339.test(value) || Number.isNaN(Date.parse(value))) {
          throw new GoDecodeError(
            `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00": cannot parse ${
              JSON.stringify(value)
            } as "2006"`,
          );
        }
        return value;
      case "state":
      case "int":
        return typeof value === "number" && Number.isInteger(value) ? value : mismatch();
      case "float":
        return typeof value === "number" ? value : mismatch();
      case "string":
        return typeof value === "string" ? value : mismatch();
      case "ports":
        return isMap(value, (item) => isMap(item, () => true)) ? emptied(value) : mismatch();
      case "bindings":
        return isMap(value, (item) => typeof item === "string") ? value : mismatch();
      case "hostPorts":
        return isMap(value, (item) => item === null || Array.isArray(item)) ? value : mismatch();
      case "any":
        return value;
      default:
        return kind satisfies never;
    }
  }

  #mismatch(value: unknown, type: string, field: string | null): undefined {
    const what = Array.isArray(value)
      ? "array"
      : typeof value === "boolean"
      ? "bool"
      : typeof value === "number" && (type === "int64" || type === "sail.State")
      ? `number ${value}`
      : typeof value;
    const into = field === null ? "Go value" : `Go struct field ${field}`;
    this.#save(`json: cannot unmarshal ${what} into ${into} of type ${type}`);
  }

  #save(message: string): void {
    this.saved ??= message;
  }
}

const foldedNames = new WeakMap<Fields, Map<string, string>>();

function namesByFold(fields: Fields): Map<string, string> {
  let names = foldedNames.get(fields);
  if (!names) {
    names = new Map(Object.keys(fields).map((name) => [name.toLowerCase(), name]));
    foldedNames.set(fields, names);
  }
  return names;
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)$/;
function isMap(value: unknown, fits: (item: unknown) => boolean): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(fits);
}

/** A Go set of ports keeps no values. */
function emptied(map: Record<string, unknown>): Record<string, Record<string, never>> {
  return Object.fromEntries(Object.keys(map).map((key) => [key, {}]));
}
