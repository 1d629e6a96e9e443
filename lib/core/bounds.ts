/**
 * What a sailor's operator lets tasks do to the machine itself: bind its directories, share its network. Nothing unless told.
 *
 * Judged twice by the same rule. The deck sees paths as they are written, and leaves nodes out that would refuse; the sailor
 * sees where links lead, trusts no deck, and has the last word. Programs of the host are another matter: without the process
 * runtime a sailor cannot start one.
 */
import type { TaskSpec } from "./documents/task.ts";

export interface Bounds {
  /** Absolute paths: each may be bound, and what lies under it. Where a link leads elsewhere, that place stands beside it. */
  readonly binds: readonly string[];
  readonly hostNetwork: boolean;
}

export const NOTHING_ALLOWED: Bounds = { binds: [], hostNetwork: false };

/** `real` is where `path` leads, if that may be told; `socket`: of an Engine, reached through the bind. */
export type Overstep =
  | { readonly kind: "bind"; readonly path: string; readonly real: string }
  | { readonly kind: "socket"; readonly path: string; readonly socket: string }
  | { readonly kind: "hostNetwork" }
  /** No task document can say this: who sent it went around the schema. */
  | { readonly kind: "malformed"; readonly what: string };

/** How paths of the node look to whoever judges. */
export interface PathView {
  readonly realOf: (path: string) => string;
  /** Real paths. Whoever may write to one of them commands the machine. */
  readonly sockets: readonly string[];
  /** Paths are real, so that a directory can be told to hold a socket. */
  readonly isReal: boolean;
}

/** The sockets of Engines where they usually lie. */
export const ENGINE_SOCKETS = [
  "/run/docker.sock",
  "/var/run/docker.sock",
  "/run/containerd/containerd.sock",
  "/run/podman/podman.sock",
] as const;

const AS_WRITTEN: PathView = { realOf: (path) => path, sockets: ENGINE_SOCKETS, isReal: false };
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

/** The first thing that the task asks for and the bounds do not allow. */
export function overstepOf(spec: TaskSpec, bounds: Bounds, view: PathView = AS_WRITTEN): Overstep | undefined {
  // Neither a program of the host nor a request has mounts or a network of its own.
  if (spec.runtime !== "docker") return undefined;
  const { network } = spec;
  // Not only a name: "container:ID" would be the network of any container of the Engine.
  if (typeof network !== "string" || !NAME.test(network)) return { kind: "malformed", what: `the network ${network}` };
  if (network === "host" && !bounds.hostNetwork) return { kind: "hostNetwork" };
  for (const { source, target } of spec.volumes) {
    // Engines take "source:target:options" in one string: a colon more would say something else than was judged.
    const isText = typeof source === "string" && typeof target === "string";
    if (!isText || `${source}${target}`.includes(":") || !target.startsWith("/")) {
      return { kind: "malformed", what: `the volume ${source}:${target}` };
    }
    if (isBind(source)) {
      const overstep = judgeBind(source, bounds, view);
      if (overstep) return overstep;
    } else if (!NAME.test(source)) return { kind: "malformed", what: `the volume ${source}:${target}` };
  }
  return undefined;
}

/** An absolute path; anything else is a volume's name. */
export function isBind(source: string): boolean {
  return source.startsWith("/");
}

/** An allowed directory does not stand for an Engine's socket in it: that takes the socket's own name. */
function judgeBind(path: string, bounds: Bounds, view: PathView): Overstep | undefined {
  const real = view.realOf(path);
  const allowed = (place: string) => bounds.binds.some((directory) => isUnder(place, directory));
  // Where links lead is told of what the operator has shown to tasks anyway.
  if (!allowed(real) || real.includes(":")) return { kind: "bind", path, real: allowed(path) ? real : path };
  const socket = view.sockets.find((s) => s === real || (view.isReal && isUnder(s, real)));
  return socket === undefined || bounds.binds.includes(socket) ? undefined : { kind: "socket", path, socket };
}

/** Also when they are the same. */
export function isUnder(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith("/") ? directory : `${directory}/`);
}

/** What of the sailor's flags is missing. */
export function missingFlag(overstep: Overstep): string {
  switch (overstep.kind) {
    case "bind":
      return "no --allow-binds of its sailor covers that";
    case "socket":
      return `its sailor has no --allow-binds ${overstep.socket}, in so many words`;
    case "hostNetwork":
      return "its sailor was not started with --allow-host-network";
    case "malformed":
      return "no task document says that";
    default:
      return overstep satisfies never;
  }
}

export function describeOverstep(overstep: Overstep): string {
  switch (overstep.kind) {
    case "bind": {
      const { path, real } = overstep;
      return `the bind ${path}${real === path ? "" : `, which leads to ${real}`}`;
    }
    case "socket": {
      const { path, socket } = overstep;
      return `the bind ${path}${path === socket ? "" : ` with the Engine's socket ${socket}`}`;
    }
    case "hostNetwork":
      return "the host's network";
    case "malformed":
      return overstep.what;
    default:
      return overstep satisfies never;
  }
}
