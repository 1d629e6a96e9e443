/**
 * Sessions: who may have one, and what the deck and the node know of each other when it begins.
 * A hello is taken in pieces: the node's record, its reports, and last the complete list of what it should run.
 */
import { isFinal } from "./attempt.ts";
import { assignmentOf } from "./changes.ts";
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { Input } from "./input.ts";
import type { MastRecord } from "./mast.ts";
import { NO_LOCAL_USE } from "./mast.ts";
import type { RefuseCode } from "./outgoing.ts";

export const PROTOCOL = 1;
const REPORTS_PER_PIECE = 100;

export function decideHello(world: World, draft: Draft, input: Extract<Input, { kind: "hello" }>): void {
  const { hello, sessionId } = input;
  const refusal = judge(world, draft, input);
  if (refusal) {
    draft.sends.push({ kind: "message", sessionId, message: { kind: "refuse", ...refusal } });
    draft.sends.push({ kind: "close", sessionId, reason: refusal.message });
    return;
  }
  const { state } = world;
  const older = state.live.get(hello.nodeId);
  if (older?.sessionId) {
    draft.sends.push({ kind: "close", sessionId: older.sessionId, reason: "a newer session took its place" });
  }
  state.live.set(hello.nodeId, {
    sessionId: null,
    instance: hello.instance,
    dialledAt: input.staticAddress,
    heardMonoMs: draft.context.monoMs,
    stats: hello.stats,
    local: hello.local,
    runtimesAway: hello.runtimesAway ?? [],
  });
  putMast(world, draft, input);
  for (let i = 0; i < hello.attempts.length; i += REPORTS_PER_PIECE) {
    const reports = hello.attempts.slice(i, i + REPORTS_PER_PIECE);
    draft.follow.push({ kind: "reports", sessionId, nodeId: hello.nodeId, reports, hello: "more" });
  }
  const inventory = new Set(hello.attempts.map((r) => r.attemptId));
  draft.follow.push({ kind: "helloDone", sessionId, nodeId: hello.nodeId, inventory });
}

function judge(
  world: World,
  draft: Draft,
  { hello, staticAddress }: Extract<Input, { kind: "hello" }>,
): { code: RefuseCode; message: string } | undefined {
  const { settings, state } = world;
  if (hello.protocol !== PROTOCOL) {
    return { code: "protocol", message: `this deck speaks session protocol ${PROTOCOL}, the sailor ${hello.protocol}` };
  }
  if (hello.clusterId !== null && hello.clusterId !== settings.clusterId) {
    return {
      code: "foreignCluster",
      message: `node ${hello.name} belongs to another cluster (${hello.clusterId.slice(0, 8)}); ` +
        "start its sailor with --adopt to take it over",
    };
  }
  if (hello.clusterId !== null && hello.highestTerm > settings.term) {
    return {
      code: "staleTerm",
      message: `node ${hello.name} has seen a newer deck (term ${hello.highestTerm}, this one has ${settings.term})`,
    };
  }
  const bound = state.masts.get(hello.nodeId)?.publicKey;
  if (bound !== undefined && bound !== hello.publicKey) {
    const { name } = state.masts.get(hello.nodeId)!;
    const what = hello.publicKey === undefined ? "without its key" : "with another key than before";
    return {
      code: "unauthorized",
      message:
        `a sailor came as node ${name} ${what}; if it is right (its data directory was lost), let go of the old key ` +
        `with  ormen mast rm ${name}`,
    };
  }
  const live = state.live.get(hello.nodeId);
  const answers = live?.sessionId && draft.context.monoMs - live.heardMonoMs < 2.5 * settings.heartbeatMs;
  if (answers && live.instance !== hello.instance) {
    return {
      code: "secondInstance",
      message: `another sailor with the same node id (${hello.nodeId.slice(0, 8)}) is connected; ` +
        "give each sailor a data directory of its own",
    };
  }
  if (answers && (live.dialledAt ?? null) !== staticAddress) {
    // Dialled by the deck and dialling itself, the two sessions would take each other's place for ever.
    return {
      code: "secondInstance",
      message: `node ${state.masts.get(hello.nodeId)?.name ?? hello.name} is connected already; ` +
        "name its sailor once: among the deck's --workers, or with --join",
    };
  }
  return undefined;
}

function putMast(world: World, draft: Draft, input: Extract<Input, { kind: "hello" }>): void {
  const { hello, staticAddress, remoteIp } = input;
  const { state } = world;
  const before = state.masts.get(hello.nodeId);
  const mast: MastRecord = {
    id: hello.nodeId,
    ...(hello.publicKey === undefined ? {} : { publicKey: hello.publicKey }),
    name: freeName(world, draft, staticAddress ?? hello.name, hello.nodeId, staticAddress !== null),
    api: staticAddress ? `http://${staticAddress}` : hello.address ? `http://${hello.address}` : "",
    ip: staticAddress ? "" : remoteIp,
    labels: hello.labels,
    engineId: hello.engineId,
    runtimes: hello.runtimes,
    ...(hello.allows ? { allows: hello.allows } : {}),
    ...(hello.abilities ? { abilities: hello.abilities } : {}),
    capacity: hello.capacity,
    version: hello.version,
    status: "ready",
    eligibility: before?.eligibility ?? "eligible",
    createdMs: before?.createdMs ?? draft.context.wallMs,
    statusSinceMs: before?.status === "ready" ? before.statusSinceMs : draft.context.wallMs,
  };
  if (before && JSON.stringify(before) === JSON.stringify(mast)) return;
  draft.put("mast", mast.id, mast);
  if (!before) draft.event("nodeJoined", `node ${mast.name} joined`, { nodeId: mast.id });
  else if (before.status === "down") draft.event("nodeReady", `node ${mast.name} is back`, { nodeId: mast.id });
}

/**
 * Names of nodes are unique. A static address belongs to whoever answers there now: a node that bore it before is
 * renamed. A joining node whose name is taken gets the beginning of its id behind it.
 */
function freeName(world: World, draft: Draft, name: string, nodeId: string, isAddress: boolean): string {
  const holder = world.state.mastsByName.get(name);
  if (holder === undefined || holder === nodeId) return name;
  if (!isAddress) return `${name}-${nodeId.slice(0, 4)}`;
  const old = world.state.masts.get(holder)!;
  draft.put("mast", holder, { ...old, name: `${name}~${holder.slice(0, 8)}` });
  return name;
}

/** All reports of the hello are taken: what the node does not have is gone or still to be started. */
export function decideHelloDone(world: World, draft: Draft, input: Extract<Input, { kind: "helloDone" }>): void {
  const { state, settings } = world;
  const live = state.live.get(input.nodeId);
  if (!live || !state.masts.has(input.nodeId)) {
    draft.sends.push({ kind: "close", sessionId: input.sessionId, reason: "the node was removed meanwhile" });
    return;
  }
  state.live.set(input.nodeId, { ...live, sessionId: input.sessionId, heardMonoMs: draft.context.monoMs });
  const assignments = [];
  let gone = 0;
  for (const id of [...state.attemptsByNode.get(input.nodeId) ?? []]) {
    const attempt = state.attempts.get(id)!;
    if (isFinal(attempt.state)) {
      if (input.inventory.has(id)) continue;
      if (gone++ >= REPORTS_PER_PIECE) return void draft.follow.push(input);
      draft.put("attempt", id, { ...attempt, holding: false });
      continue;
    }
    assignments.push(assignmentOf(world, attempt));
  }
  draft.sends.push({
    kind: "message",
    sessionId: input.sessionId,
    message: {
      kind: "welcome",
      protocol: PROTOCOL,
      version: settings.version,
      clusterId: settings.clusterId,
      term: settings.term,
      sessionId: input.sessionId,
      heartbeatMs: settings.heartbeatMs,
      timeoutMs: settings.nodeTimeoutMs,
      assignments,
    },
  });
  draft.follow.push({ kind: "place" });
}

export function decideSessionClosed(
  world: World,
  _draft: Draft,
  input: Extract<Input, { kind: "sessionClosed" }>,
): void {
  const live = world.state.live.get(input.nodeId);
  if (live?.sessionId === input.sessionId) {
    world.state.live.set(input.nodeId, {
      ...live,
      sessionId: null,
      stats: live.stats,
      local: live.local ?? NO_LOCAL_USE,
    });
  }
}
