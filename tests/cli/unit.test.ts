/** The printed systemd units: what they take away, and what systemd itself says of them. */
import assert from "node:assert/strict";
import { skipUnless } from "../fixtures/skip.ts";
import { ormen } from "./support.ts";

async function unitOf(...args: string[]): Promise<string> {
  const { code, out, err } = await ormen([...args, "--print-unit"]);
  assert.equal(code, 0, err);
  return out;
}

const has = (unit: string, ...lines: string[]) => {
  for (const line of lines) assert.ok(unit.split("\n").includes(line), `${line} in\n${unit}`);
};

Deno.test("the deck's unit gives it a user of its own and no way to an Engine", async () => {
  const unit = await unitOf("deck", "--token-file", "/etc/ormen/token");
  has(unit, "DynamicUser=yes", "User=ormen-deck", "CapabilityBoundingSet=", "NoNewPrivileges=yes");
  has(unit, "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "UMask=0077");
  has(unit, "StateDirectory=ormen-deck", "CacheDirectory=ormen-deck", "LimitNOFILE=65536");
  // Without AF_UNIX no socket of the machine can be opened: an Engine's, systemd's, the message bus's.
  has(unit, "RestrictAddressFamilies=AF_INET AF_INET6", "SystemCallFilter=@system-service");
  assert.doesNotMatch(unit, /^(SupplementaryGroups|MemoryDenyWriteExecute)=/m);
});

Deno.test("a sailor's unit takes what its flags need: the Engine's group, the sight of the host, all of it", async () => {
  const plain = await unitOf("sailor");
  has(plain, "SupplementaryGroups=docker", "CapabilityBoundingSet=", "PrivateTmp=yes");
  const binds = await unitOf("sailor", "--allow-binds", "/srv", "/data");
  // Behind a /tmp of its own, links of the host would look like paths that do not exist.
  has(binds, "User=root", "CapabilityBoundingSet=CAP_DAC_READ_SEARCH", "ProtectHome=read-only");
  assert.match(binds, /^ExecStart=.* --allow-binds \/srv \/data$/m);
  assert.doesNotMatch(binds, /^(DynamicUser|PrivateTmp|PrivateDevices)=/m);
  const processes = await unitOf("sailor", "--runtime", "process");
  has(processes, "User=root", "KillMode=process");
  assert.doesNotMatch(processes, /^(ProtectSystem|SystemCallFilter|RestrictAddressFamilies)=/m);
});

const UNITS: readonly { name: string; args: readonly string[]; exposureMax: number }[] = [
  {
    name: "ormen-deck",
    args: ["deck", "-H", "0.0.0.0", "-w", "", "--token-file", "/etc/ormen/token"],
    exposureMax: 1.5,
  },
  { name: "ormen-sailor", args: ["sailor", "--join", "http://deck:5555"], exposureMax: 2 },
  { name: "ormen-binder", args: ["sailor", "--allow-binds", "/srv"], exposureMax: 3 },
  { name: "ormen-processes", args: ["sailor", "--runtime", "docker,process"], exposureMax: 10 },
];
/** `security --offline` came with 250. */
const judges = await analyze("--version").then(({ text }) => Number(/^systemd (\d+)/.exec(text)?.[1]) >= 250);

for (const { name, args, exposureMax } of UNITS) {
  Deno.test(
    `systemd reads the unit ${name} without a word, and finds it exposed to at most ${exposureMax}`,
    skipUnless(judges, `there is no systemd-analyze of 250 or newer, so it does not judge the unit ${name}`),
    async () => {
      const dir = await Deno.makeTempDir();
      try {
        const path = `${dir}/${name}.service`;
        // What it starts has to exist.
        const unit = (await unitOf(...args)).replace("/usr/local/bin/ormen", "/bin/true");
        await Deno.writeTextFile(path, unit);
        const verified = await analyze("verify", path);
        const own = verified.text.split("\n").filter((line) => line.includes(name));
        assert.deepEqual(own, [], "other units of this machine are not ours to judge");
        const judged = await analyze("security", "--offline=true", "--no-pager", path);
        const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(judged.text)?.[1]);
        assert.ok(exposure <= exposureMax, judged.text);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  );
}

async function analyze(...args: string[]): Promise<{ success: boolean; text: string }> {
  try {
    const { success, stdout, stderr } = await new Deno.Command("systemd-analyze", { args }).output();
    const text = new TextDecoder();
    return { success, text: text.decode(stdout) + text.decode(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { success: false, text: "" };
  }
}
