/**
 * The demo: a deck and two sailors from dist/ormen, real tasks, one killed and back again, everything stopped.
 * Runs beside an Engine (containers), or without one on the process runtime (host processes). Ends what it started, by pid.
 */
import { engine } from "../tests/fixtures/engine.ts";
import { ECHO_IMAGE, ensureImages } from "../tests/fixtures/images.ts";

const ORMEN = new URL("../dist/ormen", import.meta.url).pathname;
const WITHIN_MS = 30_000;
const found = engine();
const runtime = found ? "docker" : "process";
const dir = await Deno.makeTempDir({ prefix: "ormen-demo-" });
const started: Deno.ChildProcess[] = [];
const startedAtMs = Date.now();

try {
  if (found) await ensureImages(found.docker);
  else console.log("no Docker Engine here: the demo runs host processes instead of containers");
  await demo();
  console.log(`\ndone in ${Math.round((Date.now() - startedAtMs) / 1000)} s`);
} finally {
  for (const child of started.reverse()) {
    end(child);
    await child.status;
  }
  await Deno.remove(dir, { recursive: true });
}

async function demo(): Promise<void> {
  const [deck, first, second] = freePorts(3);
  Deno.env.set("ORMEN_DECK", `localhost:${deck}`);
  say("a deck (manager) and two sailors (workers)");
  for (const port of [first, second]) {
    start(
      "sailor",
      "-p",
      `${port}`,
      "-n",
      `sailor-${port}`,
      "--runtime",
      runtime,
      "--data-dir",
      `${dir}/sailor-${port}`,
    );
  }
  start("deck", "-p", `${deck}`, "-w", `localhost:${first},localhost:${second}`, "--data-dir", `${dir}/deck`);
  await until("both sailors are there", async () => {
    const nodes = (await json("mast"))?.nodes as { status: string }[] | undefined;
    return nodes?.filter?.((node) => node.status === "ready").length === 2;
  });
  await show("mast");

  say(found ? "the original's example task, with its health check" : "a task");
  const web = await writeTask("web", found ? ["/echo-server"] : ["sleep", "600"], found !== undefined);
  await show("run", "-f", web, "--wait");
  say("a task that restarts, two that share the nodes, one that ends");
  const crew = await writeTask("crew", ["sh", "-c", "echo aboard; exec sleep 600"], false);
  await show("run", "-f", crew, "--wait");
  const report = await writeTask("report", ["sh", "-c", "echo counting; echo 42"], false, "no");
  await show("run", "-f", report, "--attach");
  const big = await writeTask("too-big", ["sleep", "1"], false, "no", "999GiB");
  await show("run", "-f", big);
  await show("status", "--all");
  say("why is it pending?");
  await show("status", "too-big");
  await show("logs", "crew");

  say("the crew is killed behind its back");
  const before = await attempt("crew");
  await killBehind(before);
  await until("it is back", async () => {
    const now = await attempt("crew");
    return now.restarts > before.restarts && (await json("status", "crew"))?.state === "running";
  });
  await show("status", "--wide");

  say("all stopped");
  await show("stop", "web", "crew", "too-big");
  await until("they have ended", async () => {
    const tasks = (await json("status", "--all"))?.tasks as { state: string }[];
    return tasks.every((task) => ["stopped", "completed"].includes(task.state));
  });
  await show("status", "--all");

  say("a workflow: steps that wait for each other");
  if (!found) return console.log("its steps are containers, for which there is no Engine here");
  await show("workflow", "run", "workflows/diamond.yaml");

  say("a service: built, rolled out on both nodes without a gap, and looked at");
  await show("workflow", "run", "workflows/deploy.yaml");
  await show("workflow", "run", "workflows/deploy.yaml", "-p", "version=v2");
  await show("service", "status", "shop");
  await show("service", "rm", "shop");
  await until("it is gone", async () => {
    const services = (await json("service", "ls"))?.services as unknown[] | undefined;
    return services?.length === 0;
  });
}

interface Attempt {
  /** The sailor's address, as given to the deck. */
  readonly node: string;
  readonly containerName: string;
  readonly restarts: number;
}

async function attempt(name: string): Promise<Attempt> {
  return (await json("status", name))!.attempt as Attempt;
}

/** By the Engine, or by the process group that the sailor itself names; never by what a command line looks like. */
async function killBehind({ containerName, node }: Attempt): Promise<void> {
  if (found) {
    console.log(`$ docker kill ${containerName}`);
    return await found.docker.getContainer(containerName).kill();
  }
  const { id } = (await json("status", "crew"))!;
  const { pid } = await (await fetch(`http://${node}/tasks/${id}`)).json();
  console.log(`$ kill -KILL -- -${pid}`);
  Deno.kill(-pid, "SIGKILL");
}

async function writeTask(
  name: string,
  cmd: string[],
  web: boolean,
  restart = "always",
  memory = "16MiB",
): Promise<string> {
  const path = `${dir}/${name}.yaml`;
  const document = {
    name,
    cmd,
    cpu: 0.05,
    memory,
    restart,
    grace: "2s",
    runtime,
    ...(found ? { image: ECHO_IMAGE } : {}),
    ...(web ? { ports: [7777], health: { http: "/health", interval: "500ms" } } : {}),
  };
  await Deno.writeTextFile(path, JSON.stringify(document)); // JSON is YAML.
  return path;
}

function end(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended already.
  }
}

function start(...args: string[]): void {
  console.log(`$ ormen ${args.join(" ").replaceAll(dir, "DIR")} &`);
  started.push(new Deno.Command(ORMEN, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn());
}

async function show(...args: string[]): Promise<void> {
  console.log(`$ ormen ${args.join(" ").replaceAll(dir, "DIR")}`);
  const { code } = await new Deno.Command(ORMEN, { args, stdout: "inherit", stderr: "inherit" }).output();
  if (code !== 0) throw new Error(`ormen ${args[0]} ended with code ${code}`);
}

async function json(...args: string[]): Promise<Record<string, unknown> | undefined> {
  const { code, stdout } = await new Deno.Command(ORMEN, { args: [...args, "--json"], stderr: "null" }).output();
  return code === 0 ? JSON.parse(new TextDecoder().decode(stdout)) : undefined;
}

/** Looks until it is so; throws after WITHIN_MS. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + WITHIN_MS;
  while (!(await isSo())) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${WITHIN_MS / 1000} s in vain until ${what}`);
  }
}

function say(text: string): void {
  console.log(`\n# ${text}`);
}

function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map((listener) => (listener.addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return ports;
}
