/**
 * Submits tasks over HTTP, one a request, on so many connections at once. The requests are written by hand: an HTTP client would
 * take more of the machine than the deck that is measured.
 *
 *   deno run -A tests/bench/load.ts PORT
 *
 * Order: { prefix, count, width }. Answer: for each task its id, when it was posted, and when it was accepted.
 */
import { answerOrders, nowMs } from "./orders.ts";

interface Order {
  readonly prefix: string;
  readonly count: number;
  readonly width: number;
}

export type Posted = readonly [id: string, postedMs: number, acceptedMs: number];

const port = Number(Deno.args[0]);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

async function submitAll({ prefix, count, width }: Order): Promise<Posted[]> {
  const posted: Posted[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay();
    try {
      while (next < count) posted.push(await submit(connection, `${prefix}-${next++}`));
    } finally {
      connection.close();
    }
  }));
  return posted;
}

const buffer = 16 * 1024;

async function submit(connection: Deno.Conn, name: string): Promise<Posted> {
  const body = `{"name":"${name}","image":"none","cpu":0.01,"memory":"8MiB"}`;
  const request = `POST /v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
    `content-length: ${body.length}\r\n\r\n${body}`;
  const postedMs = nowMs();
  await connection.write(encoder.encode(request));
  const answer = await readAnswer(connection);
  const acceptedMs = nowMs();
  const id = /"id":"([^"]+)"/.exec(answer)?.[1];
  if (!answer.startsWith("HTTP/1.1 201") || id === undefined) throw new Error(`not accepted: ${answer}`);
  return [id, postedMs, acceptedMs];
}

async function readAnswer(connection: Deno.Conn): Promise<string> {
  let text = "";
  const bytes = new Uint8Array(buffer);
  while (true) {
    const length = await connection.read(bytes);
    if (length === null) throw new Error("the deck closed the connection");
    text += decoder.decode(bytes.subarray(0, length));
    const head = text.indexOf("\r\n\r\n");
    if (head < 0) continue;
    const declared = /content-length: (\d+)/i.exec(text);
    if (!declared) throw new Error(`an answer without a length: ${text}`);
    if (text.length >= head + 4 + Number(declared[1])) return text;
  }
}

await answerOrders(submitAll);
Deno.exit(0);
