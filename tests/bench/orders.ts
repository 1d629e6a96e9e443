/** How a helper of the bench is told what to do: lines of JSON on stdin, each answered by one on stdout. */
import { createInterface } from "node:readline";
import process from "node:process";

/** Milliseconds of a clock that all processes of one machine share. */
export const nowMs = () => performance.timeOrigin + performance.now();

/** Ends with stdin. */
export async function answerOrders<T>(carryOut: (order: T) => unknown): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await carryOut(JSON.parse(line))));
  }
}
