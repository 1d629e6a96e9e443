/** `DeckApi` over the loop and the committed records. */
import type { Clock } from "../contracts/clock.ts";
import type { Cron } from "../contracts/cron.ts";
import type { Link } from "../contracts/link.ts";
import type { Random } from "../contracts/random.ts";
import type { NodeDecision } from "../core/decide_node.ts";
import type { RemoveSecretDecision, SecretDecision } from "../core/decide_secret.ts";
import type { OpenBatchDecision, StopDecision, SubmitDecision } from "../core/decide_submit.ts";
import type { RevokeDecision, TokenDecision } from "../core/decide_token.ts";
import type { VersionedRecord } from "../core/migrate.ts";
import type { Settings } from "../core/input.ts";
import { taskIdAt } from "../core/task_id.ts";
import type { State } from "../core/state.ts";
import type { BatchReply, DeckApi, Found, LogRequest, SubmitReply } from "./api.ts";
import { StreamUnavailable } from "./api.ts";
import type { Addresses } from "./addresses.ts";
import { ask } from "./ask.ts";
import type { Feed } from "./feed.ts";
import type { DeckFigures } from "./figures.ts";
import type { Loop } from "./loop.ts";
import { RECORD_VERSION } from "./records.ts";
import * as reads from "./reads.ts";
import type { Schedules } from "./schedules.ts";
import type { Secrets } from "./secrets.ts";
import type { Sessions } from "./sessions.ts";
import type { StreamRelay } from "./streams.ts";
import { createServiceApi } from "./service_api_of_deck.ts";
import { createWorkflowApi } from "./workflow_api_of_deck.ts";
import { latestAttempt, nodeView, rfc3339, secretView, taskDetailView, taskView, tokenView } from "./views.ts";

/** Tasks of a batch that are in the mailbox at the same time. */
const BATCH_PIECE = 500;

export interface ApiParts {
  readonly loop: Loop;
  readonly committed: State;
  readonly settings: Settings;
  readonly sessions: Sessions;
  readonly streams: StreamRelay;
  readonly feed: Feed;
  readonly figures: DeckFigures;
  readonly clock: Clock;
  readonly random: Random;
  readonly schedules: Schedules;
  readonly secrets: Secrets;
  readonly addresses: Addresses;
  readonly cron: Cron;
  readonly info: {
    readonly version: string;
    readonly commit: string;
    readonly clusterId: string;
    readonly term: number;
    readonly scheduler: string;
    readonly startedMs: number;
  };
}

export function createApi(parts: ApiParts): DeckApi {
  const { loop, committed, settings, sessions, streams, feed, figures, random, info } = parts;
  return {
    submit: (task) =>
      ask<SubmitDecision>(loop, {
        kind: "submit",
        sailId: task.id ?? taskIdAt(random.uuid(), parts.clock.wallMs()),
        spec: task.spec,
        original: task.original,
        originalEventId: task.originalEventId,
      }),
    submitBatch: (request) => submitBatch(loop, request),
    stop: (sailId, graceMs) => ask<StopDecision>(loop, { kind: "stop", sailId, graceMs }),
    drain: (nodeId) => ask<NodeDecision>(loop, { kind: "setEligibility", nodeId, to: "draining" }),
    resume: (nodeId) => ask<NodeDecision>(loop, { kind: "setEligibility", nodeId, to: "eligible" }),
    removeNode: (nodeId) => ask<NodeDecision>(loop, { kind: "removeNode", nodeId }),

    async createToken(request) {
      const id = random.uuid().slice(0, 8);
      const name = request.name ?? `${request.role}-${id}`;
      const made = await ask<TokenDecision>(loop, { kind: "createToken", ...request, id, name });
      return made.kind === "created" ? { kind: "created", token: tokenView(made.token) } : made;
    },
    revokeToken: (id) => ask<RevokeDecision>(loop, { kind: "revokeToken", id }),
    listTokens: () => [...committed.tokens.values()].map(tokenView),
    findToken: (digest) => committed.tokens.get(committed.tokensByDigest.get(digest) ?? ""),

    async setSecret(name, value) {
      let sealed: string;
      try {
        sealed = await parts.secrets.seal(name, value);
      } catch (error) {
        return { kind: "conflict", message: (error as Error).message };
      }
      const set = await ask<SecretDecision>(loop, { kind: "setSecret", name, sealed });
      return set.kind === "set" ? { kind: "set", secret: secretView(set.secret) } : set;
    },
    removeSecret: (name, force) => ask<RemoveSecretDecision>(loop, { kind: "removeSecret", name, force }),
    listSecrets: () => [...committed.secrets.values()].sort((a, b) => a.name < b.name ? -1 : 1).map(secretView),

    findTask: (reference) =>
      mapFound(reads.findSail(committed, reference), (sail) => taskDetailView(committed, settings, sail)),
    summaryOf(taskId) {
      const sail = committed.sails.get(taskId);
      return sail && taskView(committed, settings, sail);
    },
    findNode: (reference) => mapFound(reads.findMast(committed, reference), (mast) => nodeView(committed, mast)),
    listTasks: (filter, limit, cursor) => reads.listTasks(committed, settings, filter, limit, cursor),
    listNodes: (limit, cursor) => reads.listNodes(committed, limit, cursor),
    listEvents: (after, limit) => reads.listEvents(committed, after, limit),
    eventRange: () => reads.eventRange(committed),
    subscribe: (onEvents) => feed.subscribe(onEvents),
    originalTasks: () => reads.originalTasks(committed),
    originalNodes: () => reads.originalNodes(committed),

    async openLogs(sailId, request) {
      const { sessionId, attemptId } = streamTarget(committed, sessions, sailId, request.attempt);
      const stream = await streams.openLogs(sessionId, attemptId, request);
      const output = parts.secrets.hideInOutput(sailId, stream)[Symbol.asyncIterator]();
      return { [Symbol.asyncIterator]: () => output, close: () => stream.close() };
    },
    async openExec(sailId, request) {
      const { sessionId, attemptId } = streamTarget(committed, sessions, sailId, null);
      const exec = await streams.openExec(sessionId, attemptId, request);
      return { ...exec, output: parts.secrets.hideInOutput(sailId, exec.output) };
    },

    acceptSession(link: Link, remoteIp: string) {
      void sessions.accept(link, { staticAddress: null, remoteIp });
    },
    acceptStreams: (link: Link) => streams.accept(link),
    notReady: () => loop.storeProblem(),
    info: () => ({
      version: info.version,
      commit: info.commit,
      clusterId: info.clusterId,
      term: info.term,
      scheduler: info.scheduler,
      startedAt: rfc3339(info.startedMs),
    }),
    ...createWorkflowApi(parts),
    ...createServiceApi(parts),
    metrics: () => figures,
    backup: () => ({
      about: {
        of: "deck",
        clusterId: info.clusterId,
        term: info.term,
        sequence: loop.publishedSequence(),
        program: info.version,
        takenMs: parts.clock.wallMs(),
      },
      records: versioned(committed.snapshot()),
    }),
  };
}

/** One after the other, as they are asked for. */
function* versioned(records: ReturnType<State["snapshot"]>): Generator<VersionedRecord> {
  for (const each of records) yield { ...each, version: RECORD_VERSION };
}

async function submitBatch(loop: Loop, request: Parameters<DeckApi["submitBatch"]>[0]): Promise<BatchReply> {
  const { key, digest, ids, specs } = request;
  if (key !== null) {
    const names = specs.map((spec) => spec.name);
    const opened = await ask<OpenBatchDecision>(loop, { kind: "openBatch", key, digest, names, ids });
    if (opened.kind !== "open") return opened;
  }
  const items: { id: string; name: string; error: string | null }[] = [];
  for (let from = 0; from < specs.length; from += BATCH_PIECE) {
    const piece = specs.slice(from, from + BATCH_PIECE);
    const replies = await Promise.all(piece.map((spec, i) =>
      ask<SubmitReply>(loop, {
        kind: "submit",
        sailId: ids[from + i],
        spec,
        original: null,
        originalEventId: null,
      })
    ));
    for (const [i, reply] of replies.entries()) {
      if (reply.kind === "unavailable") return reply;
      const error = reply.kind === "accepted" ? null : reply.message;
      items.push({ id: ids[from + i], name: piece[i].name, error });
    }
  }
  return { kind: "done", items };
}

/** Where the container of a task is, or a sentence that says why it cannot be reached. */
function streamTarget(
  committed: State,
  sessions: Sessions,
  sailId: string,
  number: LogRequest["attempt"],
): { sessionId: string; attemptId: string } {
  const sail = committed.sails.get(sailId);
  if (!sail) throw new StreamUnavailable("notFound", `no task ${sailId}`);
  const attempt = number === null ? latestAttempt(committed, sail) : committed.attempts.get(`${sailId}-${number}`);
  if (!attempt) {
    throw new StreamUnavailable(
      "noContainer",
      number === null ? `${sail.name} has not been placed yet` : `${sail.name} has no attempt ${number}`,
    );
  }
  const sessionId = sessions.ofNode(attempt.nodeId);
  if (sessionId === undefined) {
    const name = committed.masts.get(attempt.nodeId)?.name ?? attempt.nodeId;
    throw new StreamUnavailable("nodeAway", `node ${name}, where ${sail.name} runs, is not connected`);
  }
  return { sessionId, attemptId: attempt.id };
}

function mapFound<A, B>(found: Found<A>, map: (value: A) => B): Found<B> {
  return found.kind === "found" ? { kind: "found", value: map(found.value) } : found;
}
