/**
 * Requests that are nearly right, against every route of deck and sailor. Never a 500, never a hang, never a changed record
 * after a refusal, and a sentence in every refusal. Routes come from the listeners' own tables.
 */
import assert from "node:assert/strict";
import type { HttpApp } from "../../lib/http/deck_app.ts";
import { pathOf } from "../../lib/http/edge.ts";
import { createSailorApp } from "../../lib/http/sailor_app.ts";
import { createLinkPair } from "../fixtures/link_pair.ts";
import { Rig } from "../sailor/support/rig.ts";
import { DeckWorld } from "./deck_world.ts";
import { judge } from "./judge.ts";
import { ODD_TEXTS } from "./mutations.ts";
import type { FuzzRequest } from "./requests.ts";
import { asCommand, requestsTo } from "./requests.ts";
import { fuzz, soon } from "./runs.ts";

const CASES_PER_WORLD = 250;
const FORBIDDEN_HERE = new Set(["connect", "trace", "track"]);

function requestOf({ method, target, headers, body }: FuzzRequest): Request | undefined {
  if (FORBIDDEN_HERE.has(method.toLowerCase())) return undefined;
  const given = new Headers();
  for (const [name, value] of headers) {
    try {
      given.append(name, value);
    } catch { /* Not a header on any wire: the rest of the request is tried. */ }
  }
  return new Request(`http://localhost:5555${target}`, { method, headers: given, body });
}

async function ask(app: HttpApp, request: FuzzRequest): Promise<{ status: number; judged: Promise<void> } | undefined> {
  const made = requestOf(request);
  if (!made) return undefined;
  const answer = await app.fetch(made, { remoteAddr: { hostname: "127.0.0.1" } });
  const judged = judge(request.method, pathOf(made.url), answer);
  judged.catch(() => {}); // Met by whoever waits for it next.
  return { status: answer.status, judged };
}

const info = { remoteAddr: { hostname: "127.0.0.1" } };

Deno.test("fuzz: requests to every route of the deck", async () => {
  let world = await DeckWorld.start();
  let cases = 0;
  let total = 0;
  const reached = new Set<string>();
  const { routes } = world.app;
  const renew = async () => {
    cases = 0;
    await world.end();
    world = await DeckWorld.start();
  };
  try {
    await fuzz<FuzzRequest>({
      name: "deck routes",
      part: 0.5,
      cases: requestsTo(routes),
      print: (request) => asCommand(request),
      async attempt(request) {
        total++;
        if (cases++ >= CASES_PER_WORLD) await renew();
        try {
          const { sequence } = world.disk;
          const before = world.records();
          const asked = await soon("a request", world.settled(request.target, ask(world.app, request)));
          if (!asked) return;
          reached.add(String(asked.status));
          await soon("an answer's body", world.settled(request.target, asked.judged));
          for (const { near } of world.sockets.splice(0)) {
            for (const odd of ODD_TEXTS.slice(0, 8)) near.send(odd);
            await world.clock.settle();
            near.close("done");
          }
          await world.clock.settle();
          if (asked.status >= 400 && world.disk.sequence !== sequence && world.records() !== before) {
            throw new Error(`a refusal (${asked.status}) that changed what is kept`);
          }
          if (cases % 50 === 0 || asked.status < 400) await world.checkHealth();
          if (world.logger.errors.length > 0) {
            throw new Error(`an error inside: ${world.logger.errors[0].slice(0, 1_500)}`);
          }
        } catch (error) {
          cases = CASES_PER_WORLD; // The next case begins afresh.
          throw error;
        }
      },
    });
    await renew();
    const submitted = await world.app.fetch(
      new Request("http://localhost:5555/v1/tasks", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"name":"honest","image":"a:1"}',
      }),
      info,
    );
    assert.equal(submitted.status, 201);
    await submitted.body?.cancel();
    // Fuzzing that is refused everywhere at the door shows nothing.
    for (const status of ["200", "201", "400", "404", "405", "415", "422"]) {
      assert(reached.has(status) || total < 1_000, `no answer in ${total} was ${status}`);
    }
  } finally {
    await world.end();
  }
});

interface SailorWorld {
  readonly rig: Rig;
  readonly app: HttpApp;
}

async function startSailor(): Promise<SailorWorld> {
  const rig = new Rig();
  await rig.begin();
  const app = createSailorApp({
    sailor: rig.sailor,
    auth: { token: null, listenHost: "127.0.0.1" },
    upgrade: () => {
      const pair = createLinkPair();
      pair.near.onFrame(() => {});
      pair.near.onClose(() => {});
      queueMicrotask(() => pair.near.close("done"));
      return { response: new Response(null, { headers: { upgraded: "yes" } }), link: pair.far };
    },
    clock: rig.clock,
    logger: rig.logger,
    version: "test",
  });
  return { rig, app };
}

Deno.test("fuzz: requests to every route of the sailor", async () => {
  let world = await startSailor();
  let cases = 0;
  const end = async () => {
    await world.rig.sailor.stop();
    await world.rig.clock.settle();
  };
  try {
    await fuzz<FuzzRequest>({
      name: "sailor routes",
      part: 0.2,
      cases: requestsTo(world.app.routes),
      print: (request) => asCommand(request, 5556),
      async attempt(request) {
        if (cases++ >= CASES_PER_WORLD) {
          cases = 1;
          await end();
          world = await startSailor();
        }
        try {
          const { rig, app } = world;
          await rig.clock.settle();
          const tasks = () => JSON.stringify([...rig.sailor.tasks()].map(({ id, spec }) => [id, spec]));
          const before = tasks();
          const asked = await soon("a request", ask(app, request));
          if (!asked) return;
          await soon("an answer's body", asked.judged);
          await rig.clock.settle();
          if (asked.status >= 400 && tasks() !== before) {
            throw new Error(`a refusal (${asked.status}) that changed what runs`);
          }
          if (rig.logger.errors.length > 0) throw new Error(`an error inside: ${rig.logger.errors[0].slice(0, 1_500)}`);
        } catch (error) {
          cases = CASES_PER_WORLD;
          throw error;
        }
      },
    });
  } finally {
    await end();
  }
});
