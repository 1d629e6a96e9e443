/**
 * A workflow written in TypeScript: a loop makes its steps. Each stage gives the new version a larger share and looks at
 * what came of it; the next stage begins only when that was good.
 *
 * `deno run -A workflows/canary.ts` runs it on the deck of ORMEN_DECK and waits for its end; `--print` shows its document.
 */
import { cel, connect, type Step, workflow } from "../lib/client/mod.ts";

const task = { image: "ormen-test/busybox:1" };
const SHARES = [5, 50, 100];

export const canary = workflow("canary", {
  params: { version: { type: "string", pattern: "^v\\d", default: "v42" } },
  env: { APP: "web" },
}, (w) => {
  let before: Step[] = [];
  let errors = cel`0`;
  for (const share of SHARES) {
    const ship = w.task(`ship-${share}`, {
      needs: before,
      task,
      env: { VERSION: w.params.version, SHARE: share },
      run: 'echo "$APP $VERSION serves $SHARE %"',
    });
    const watch = w.task(`watch-${share}`, {
      needs: [ship],
      task,
      run: "echo 0", // What a real one would count; it fails when there are too many.
      outputs: { errors: cel`int(stdout.trim())` },
    });
    errors = cel`${errors} + ${watch.outputs.errors}`;
    before = [watch];
  }
  w.onFailure({ id: "back", task, run: 'echo "back to the version before: $ORMEN_FAILED_STEP failed"' });
  return { version: w.params.version, errors };
});

/** Whether it succeeded. A deck that is away for a moment is waited for. */
async function runCanary(): Promise<boolean> {
  const deck = connect(Deno.env.get("ORMEN_DECK") ?? "localhost:5555", { token: Deno.env.get("ORMEN_TOKEN") });
  let run = await deck.startRun({ workflow: canary, params: { version: "v43" } });
  for await (run of deck.watchRun(run.id)) {
    const steps = Object.entries(run.steps).map(([name, { state }]) => `${name} ${state}`);
    console.log(`${run.id} ${run.state}: ${steps.join(", ")}`);
  }
  console.log(run.outputs);
  return run.state === "succeeded";
}

if (import.meta.main) {
  if (Deno.args.includes("--print")) console.log(JSON.stringify(canary, null, 2));
  else if (!await runCanary()) Deno.exitCode = 1;
}
