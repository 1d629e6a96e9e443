/** Signals by whatever name users give them: SIGINT, 2, SIGRTMIN+3. */
import { constants } from "node:os";
import { RuntimeError } from "../contracts/runtime.ts";

/** Linux' real-time signals as its C libraries number them for programs. */
const REALTIME_MIN = 34;
const REALTIME_MAX = 64;

/** Throws RuntimeError "invalid" for what is none. */
export function signalNumber(signal: string): number {
  const realtime = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(signal);
  const number = /^\d+$/.test(signal)
    ? Number(signal)
    : realtime
    ? (realtime[1] === "MIN" ? REALTIME_MIN : REALTIME_MAX) +
      (realtime[3] === undefined ? 0 : Number(`${realtime[2]}${realtime[3]}`))
    : (constants.signals as Record<string, number>)[signal];
  if (number === undefined || number < 1 || number > REALTIME_MAX) {
    throw new RuntimeError("invalid", `there is no signal "${signal}" here`);
  }
  return number;
}

/** To a process, or to a group when `pid` is negative; one that has ended is passed over. */
export async function sendSignal(pid: number, signal: string): Promise<void> {
  // The platform's own call knows no numbers and no real-time signals. The exit code says whether somebody was there.
  if (/^SIGRT|^\d/.test(signal)) {
    const args = ["-c", 'kill "-$1" "$2"', "sh", `${signalNumber(signal)}`, `${pid}`];
    await new Deno.Command("/bin/sh", { args, stdin: "null", stdout: "null", stderr: "null" }).output();
    return;
  }
  try {
    Deno.kill(pid, signal as Deno.Signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
