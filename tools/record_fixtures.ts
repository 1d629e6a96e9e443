/**
 * Records what a build leaves behind, for later builds to be tested with: the frames of a session between its deck and
 * its sailor, byte for byte, and the stores that both have when they end.
 *
 *     git worktree add ../old COMMIT
 *     deno run -A tools/record_fixtures.ts ../old/main.ts tests/fixtures/builds/COMMIT
 *
 * It is run once for each build whose records or messages differ from those before, and what it made is never changed.
 * A sailor with the process runtime joins a deck through a relay that notes each frame. Of its tasks one runs and is
 * stopped, one ends, one waits to be tried again, one goes on running while the sailor starts anew.
 */
import { eventually } from "../tests/fixtures/eventually.ts";

const [main, out] = Deno.args;
const dir = await Deno.makeTempDir({ prefix: "ormen-record-" });
const frames: { from: "deck" | "sailor"; session: number; frame: string }[] = [];
let sessions = 0;

const [deckPort, sailorPort] = [25_551, 25_552];
const deckUrl = `http://localhost:${deckPort}`;
const relay = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
  const { pathname, search } = new URL(request.url);
  const { socket, response } = Deno.upgradeWebSocket(request);
  const deck = new WebSocket(`ws://localhost:${deckPort}${pathname}${search}`);
  const session = pathname.endsWith("streams") ? 0 : ++sessions;
  const pass = (from: "deck" | "sailor", source: WebSocket, target: WebSocket, open: Promise<unknown>) => {
    source.onmessage = async ({ data }) => {
      if (session > 0) frames.push({ from, session, frame: data });
      await open;
      target.send(data);
    };
    source.onclose = () => target.close();
    source.onerror = () => {};
  };
  pass("sailor", socket, deck, new Promise((resolve) => deck.onopen = resolve));
  pass("deck", deck, socket, Promise.resolve());
  return response;
});

const children: Deno.ChildProcess[] = [];
const run = (...args: string[]) => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--unstable-kv", "--quiet", main, ...args],
    stdout: "null",
    stderr: "null",
    env: { ORMEN_TOKEN: "" },
  }).spawn();
  children.push(child);
  return child;
};
const startDeck = () => run("deck", "-p", `${deckPort}`, "-w", "", "--data-dir", `${dir}/deck`);
const startSailor = () =>
  run(
    ...["sailor", "-p", `${sailorPort}`, "-n", "recorder", "--labels", "zone=eu", "--runtime", "process"],
    ...["--join", `http://localhost:${relay.addr.port}`, "--data-dir", `${dir}/sailor`],
  );
globalThis.addEventListener("unload", () => {
  for (const child of children) {
    try {
      child.kill("SIGTERM");
    } catch { /* It has ended already. */ }
  }
});
const end = async (child: Deno.ChildProcess) => {
  child.kill("SIGTERM");
  await child.status;
};
const api = async (method: string, path: string, body?: unknown) => {
  const answer = await fetch(deckUrl + path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
  return await answer.json();
};
const submit = (name: string, document: Record<string, unknown>) =>
  api("POST", "/v1/tasks", { name, runtime: "process", cpu: 0.01, grace: "0s", ...document });
const until = (name: string, state: string) =>
  eventually(`${name} is ${state}`, async () => (await api("GET", `/v1/tasks/${name}`)).state === state);

const deck = startDeck();
const first = startSailor();
await eventually("the node is there", async () => (await api("GET", "/v1/nodes")).nodes.length === 1);
await submit("stopped", { cmd: ["sleep", "1000"], env: { TEXT: 'ü "quoted"\n' }, labels: { team: "a" } });
await submit("ended", { cmd: ["sh", "-c", "echo out; exit 3"], restart: "no" });
await submit("stays", { cmd: ["sleep", "90"] });
await until("stays", "running");
await until("stopped", "running");
await api("POST", "/v1/tasks/stopped/stop", {});
await until("stopped", "stopped");
await until("ended", "failed");
// Signs of life are sent every 2 s.
await eventually("there was a heartbeat", () => frames.some(({ frame }) => frame.startsWith('{"kind":"heartbeat"')));
await end(first);
const second = startSailor();
await eventually("the second welcome", () => frames.some(({ session, from }) => session > 1 && from === "deck"));
await until("stays", "running");
await submit("again", { cmd: ["sh", "-c", "exit 4"], restart: "on-failure:1", reschedule: true });
await eventually("it waits", async () => (await api("GET", "/v1/tasks/again")).retryAt !== null);
await end(deck);
await end(second);
await relay.shutdown();

await Deno.mkdir(out, { recursive: true });
await Deno.writeTextFile(`${out}/session.jsonl`, frames.map((each) => `${JSON.stringify(each)}\n`).join(""));
await Deno.copyFile(`${dir}/deck/deck.kv`, `${out}/deck.kv`);
await Deno.copyFile(`${dir}/sailor/journal.kv`, `${out}/journal.kv`);
console.log(`${frames.length} frames of ${sessions} sessions, and two stores, in ${out}; ${dir} is left`);
