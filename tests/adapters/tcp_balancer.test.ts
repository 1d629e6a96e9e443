/** The balancer over real loopback sockets. */
import assert from "node:assert/strict";
import { createBalancer } from "../../lib/adapters/tcp_balancer.ts";
import type { Balancer } from "../../lib/adapters/tcp_balancer.ts";
import { eventually } from "../fixtures/eventually.ts";

/** Says its name to each line that it is told, until the other end has said all. */
class Echo {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly open = new Set<Deno.Conn>();
  served = 0;

  constructor(readonly name: string) {
    void this.#accept();
  }

  get address(): string {
    return `127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) {
      this.open.add(conn);
      this.served++;
      void this.#serve(conn);
    }
  }

  async #serve(conn: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(1024);
    try {
      while (await conn.read(buffer) !== null) await conn.write(new TextEncoder().encode(`${this.name}\n`));
      await conn.write(new TextEncoder().encode("bye\n"));
    } catch {
      /* The other end broke off. */
    } finally {
      this.open.delete(conn);
      try {
        conn.close();
      } catch { /* Closed with the echo. */ }
    }
  }

  close(): void {
    this.#listener.close();
    for (const conn of this.open) conn.close();
  }
}

async function withBalancer(
  echoes: readonly Echo[],
  test: (balancer: Balancer, problems: string[]) => Promise<void>,
  more: { waitMs?: number } = {},
): Promise<void> {
  const problems: string[] = [];
  const balancer = createBalancer({
    host: "127.0.0.1",
    port: 0,
    waitMs: more.waitMs ?? 2_000,
    connectMs: 2_000,
    connectionsMax: 50,
    onProblem: (problem) => problems.push(problem),
  });
  try {
    balancer.setAddresses(echoes.map(({ address }) => address));
    await test(balancer, problems);
  } finally {
    await balancer.close(0);
    for (const echo of echoes) echo.close();
  }
}

const connect = ({ port }: Balancer) => Deno.connect({ hostname: "127.0.0.1", port });

async function say(conn: Deno.Conn): Promise<string> {
  await conn.write(new TextEncoder().encode("hello\n"));
  return await read(conn);
}

async function read(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(1024);
  const count = await conn.read(buffer);
  return count === null ? "(end)" : new TextDecoder().decode(buffer.subarray(0, count)).trim();
}

Deno.test("connections go to whoever has the fewest", () =>
  withBalancer([new Echo("a"), new Echo("b")], async (balancer) => {
    const conns = [];
    const seen: string[] = [];
    for (let i = 0; i < 6; i++) {
      conns.push(await connect(balancer));
      seen.push(await say(conns[i]));
    }
    assert.deepEqual(seen.toSorted(), ["a", "a", "a", "b", "b", "b"]);
    // The two places that become free on one side are taken next.
    const ofA = conns.filter((_, i) => seen[i] === "a");
    for (const conn of ofA.slice(0, 2)) conn.close();
    await eventually("they are gone", () => balancer.open() === 4);
    for (let i = 0; i < 2; i++) {
      const conn = await connect(balancer);
      assert.equal(await say(conn), "a");
      conns.push(conn);
    }
    for (const conn of conns) {
      try {
        conn.close();
      } catch { /* Closed above. */ }
    }
  }));

Deno.test("one that leaves the list keeps its connections and gets no new ones", () => {
  const [a, b] = [new Echo("a"), new Echo("b")];
  return withBalancer([a, b], async (balancer) => {
    balancer.setAddresses([a.address]);
    const old = await connect(balancer);
    assert.equal(await say(old), "a");
    balancer.setAddresses([b.address]);
    const fresh = await connect(balancer);
    assert.equal(await say(fresh), "b");
    assert.equal(await say(old), "a");
    old.close();
    fresh.close();
  });
});

Deno.test("an address that refuses is passed over, each is tried once, and nobody left is said", () => {
  const [a, gone] = [new Echo("a"), new Echo("gone")];
  const { address } = gone;
  gone.close();
  return withBalancer([a], async (balancer, problems) => {
    balancer.setAddresses([address, a.address]);
    for (let i = 0; i < 4; i++) {
      const conn = await connect(balancer);
      assert.equal(await say(conn), "a");
      conn.close();
    }
    assert.deepEqual(problems, []);
    balancer.setAddresses([address]);
    const lost = await connect(balancer);
    assert.equal(await read(lost), "(end)");
    lost.close();
    assert.match(problems[0], new RegExp(`cannot be served: ${address}`));
  });
});

Deno.test("whoever has said all is still answered", () =>
  withBalancer([new Echo("a")], async (balancer) => {
    const conn = await connect(balancer);
    assert.equal(await say(conn), "a");
    await conn.closeWrite();
    assert.equal(await read(conn), "bye");
    assert.equal(await read(conn), "(end)");
    conn.close();
  }));

Deno.test("with no address a connection waits for one", () =>
  withBalancer([], async (balancer) => {
    const conn = await connect(balancer);
    const answer = say(conn);
    const late = new Echo("late");
    balancer.setAddresses([late.address]);
    assert.equal(await answer, "late");
    conn.close();
    late.close();
  }));

Deno.test("and is closed when none comes", () =>
  withBalancer([], async (balancer, problems) => {
    const conn = await connect(balancer);
    assert.equal(await read(conn), "(end)");
    conn.close();
    assert.deepEqual(problems, ["a connection cannot be served: the service has no address now"]);
  }, { waitMs: 20 }));

Deno.test("nothing is lost while addresses come and go", async () => {
  const echoes = ["a", "b", "c", "d"].map((name) => new Echo(name));
  await withBalancer(echoes, async (balancer) => {
    let swaps = 0;
    const swap = () => {
      const without = swaps++ % echoes.length;
      const kept = echoes.filter((_, i) => i !== without);
      balancer.setAddresses(kept.map(({ address }) => address));
    };
    const answers: string[] = [];
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (let i = 0; i < 25; i++) {
        const conn = await connect(balancer);
        answers.push(await say(conn));
        conn.close();
        if (i % 3 === 0) swap();
      }
    }));
    assert.equal(answers.filter((answer) => /^[abcd]$/.test(answer)).length, 200);
    assert.ok(echoes.filter(({ served }) => served > 0).length > 2);
  });
});

Deno.test("closing waits for what is open, and no longer than it may", () =>
  withBalancer([new Echo("a")], async (balancer) => {
    const conn = await connect(balancer);
    await say(conn);
    const closed = balancer.close(60_000);
    assert.equal(await say(conn), "a");
    conn.close();
    await closed;
    await assert.rejects(connect(balancer));
  }));
