/** Systemd units for `--print-unit`: the command as it was called, with as little power as it needs. */

export interface UnitOptions {
  readonly who: "deck" | "sailor";
  /** As on this command line. */
  readonly args: readonly string[];
  /** Of a sailor: docker, process. */
  readonly runtimes: readonly string[];
  /** Of a sailor: it judges paths of the host, and has to see them as the Engine does. */
  readonly binds?: boolean;
}

const PROGRAM = "/usr/local/bin/ormen";

/** Flags whose files only root may read: systemd hands them over, under these names. */
const FILE_FLAGS = [
  "--token-file",
  "--join-token-file",
  "--worker-tokens",
  "--registry-auth",
  "--tls-cert",
  "--tls-key",
  "--ca",
];

export function systemdUnit({ who, args, runtimes, binds = false }: UnitOptions): string {
  const usesDocker = runtimes.includes("docker");
  const usesProcesses = runtimes.includes("process");
  const { words, credentials } = handOver(args);
  const lines = [
    "[Unit]",
    `Description=Ormen ${who}`,
    "Wants=network-online.target",
    `After=network-online.target${usesDocker ? " docker.service" : ""}`,
    "",
    "[Service]",
    `ExecStart=${[PROGRAM, who, ...words].join(" ")}`,
    "Restart=always",
    "RestartSec=1",
    // A sailor's host processes outlive it, as its containers do.
    usesProcesses ? "KillMode=process" : "KillMode=mixed",
    "TimeoutStopSec=30",
    "LimitNOFILE=65536",
    "",
    `# Data in /var/lib/ormen-${who}, the unpacked program in /var/cache/ormen-${who}.`,
    // Deck and sailor of one machine have users of their own: the deck must not reach the Engine through the sailor's.
    ...(usesProcesses || binds ? ["User=root"] : ["DynamicUser=yes", `User=ormen-${who}`]),
    `StateDirectory=ormen-${who}`,
    "StateDirectoryMode=0700",
    `CacheDirectory=ormen-${who}`,
    "CacheDirectoryMode=0700",
    `Environment=XDG_CACHE_HOME=/var/cache/ormen-${who}`,
    ...(usesDocker && !usesProcesses && !binds ? ["SupplementaryGroups=docker"] : []),
    ...credentials.map(({ name, path }) => `LoadCredential=${name}:${path}`),
    ...(usesProcesses ? [] : [...HARDENING, ...(binds ? SEES_THE_HOST : SEES_LITTLE)]),
    ...(who === "deck" ? DECK_HARDENING : usesProcesses ? [] : ["RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"]),
    "",
    "[Install]",
    "WantedBy=multi-user.target",
  ];
  return lines.join("\n") + "\n";
}

/** Arguments as ExecStart takes them, without those that only this run was about. */
function handOver(args: readonly string[]): { words: string[]; credentials: { name: string; path: string }[] } {
  const words: string[] = [];
  const credentials: { name: string; path: string }[] = [];
  for (let index = 0; index < args.length; index++) {
    const [flag, inline] = args[index].startsWith("--") ? splitOnce(args[index]) : [args[index], undefined];
    if (flag === "--print-unit" || flag === "--json") continue;
    if (!FILE_FLAGS.includes(flag)) {
      words.push(quote(args[index]));
      continue;
    }
    const path = inline ?? args[++index] ?? "";
    const name = flag.slice(2);
    credentials.push({ name, path: path.startsWith("/") ? path : `${Deno.cwd()}/${path}` });
    words.push(flag, `%d/${name}`);
  }
  return { words, credentials };
}

function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

const HARDENING = [
  "",
  "# It needs the network, its data and nothing else. V8 compiles at run time: no MemoryDenyWriteExecute.",
  "NoNewPrivileges=yes",
  "AmbientCapabilities=",
  "ProtectSystem=strict",
  "ProtectKernelTunables=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelLogs=yes",
  "ProtectControlGroups=yes",
  "ProtectClock=yes",
  "ProtectHostname=yes",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "SystemCallArchitectures=native",
  "SystemCallFilter=@system-service",
  "SystemCallFilter=~@privileged @resources",
  // Told, not killed: V8 asks for what only some machines have, and does without.
  "SystemCallErrorNumber=EPERM",
  "UMask=0077",
];

const SEES_LITTLE = ["CapabilityBoundingSet=", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes"];

/** Behind a /tmp or /home of its own it would take an Engine's link for a path that does not exist. */
const SEES_THE_HOST = [
  "# It follows links in paths that tasks may bind: it sees every file's name, as root, and may write to none.",
  "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
  "ProtectHome=read-only",
];

/** The deck never speaks to an Engine, nor to anybody over a socket of this machine: none can be opened. */
const DECK_HARDENING = [
  "RestrictAddressFamilies=AF_INET AF_INET6",
  "InaccessiblePaths=-/run/docker.sock -/var/run/docker.sock -/run/containerd -/run/podman",
  "ProtectProc=invisible",
  "ProcSubset=pid",
  "PrivateUsers=yes",
];

/** As systemd.service(5) reads ExecStart: % and $ are its own. */
function quote(word: string): string {
  const escaped = word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[A-Za-z0-9_./:=,@+-]+$/.test(word) ? word : `"${escaped}"`;
}
