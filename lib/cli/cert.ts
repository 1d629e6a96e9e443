/** `ormen cert`: a small certificate authority, for TLS between one's own machines. */
import type { Command } from "commander";
import { action, collect, type Context, type JsonOption, printJson, withExample, withJson } from "./context.ts";
import { CommandFailure, wrongUsage } from "./failure.ts";
import { countOf } from "./options.ts";
import { clean } from "./render.ts";
import { readTextFile } from "./text_file.ts";

interface CertOptions extends JsonOption {
  readonly dir: string;
  readonly days: string;
  readonly hosts?: readonly string[];
}

const DAYS_MAX = 36_500;

export function addCert(program: Command, context: Context): void {
  const cert = program.command("cert").description("make a certificate authority and certificates for TLS");
  withExample(withJson(cert), "ormen cert ca", "ormen cert issue deck --hosts deck.example,10.0.0.5");
  cert.action(action(context, () => {
    throw wrongUsage("cert needs a verb", "make an authority with  ormen cert ca");
  }));

  const ca = cert.command("ca").description("make the authority: ca.pem to hand out, ca.key to keep")
    .option("--dir <dir>", "where the files lie", "certs")
    .option("--days <number>", "how long it is valid", "3650");
  withExample(withJson(ca), "ormen cert ca --dir certs");
  ca.action(action(context, (options) => makeCa(context, options)));

  const issue = cert.command("issue").argument("<name>", "name of the files: deck, sailor-a")
    .description("make the certificate of a deck's or sailor's listener")
    .option("--hosts <list>", "names and addresses under which others reach it, comma list or repeated", collect)
    .option("--dir <dir>", "where the authority lies, and the files go", "certs")
    .option("--days <number>", "how long it is valid", "365");
  withExample(withJson(issue), "ormen cert issue deck --hosts deck.example,10.0.0.5");
  issue.action(action(context, (name, options) => issueOne(context, name, options)));
}

async function makeCa(context: Context, options: CertOptions): Promise<void> {
  const files = { certificate: `${options.dir}/ca.pem`, key: `${options.dir}/ca.key` };
  const days = daysOf(options.days);
  refuseExisting(files);
  const { makeAuthority } = await import("../adapters/certificates.ts");
  const nowMs = context.io.nowMs();
  const made = await makeAuthority("Ormen CA", days, nowMs);
  await writeFiles(options.dir, files, made);
  if (options.json) return printJson(context.io, files);
  context.io.out(`${clean(files.certificate)}  hand it out: whoever dials a deck or sailor gives it with --ca\n`);
  context.io.out(`${clean(files.key)}  keep it: who has it can pass for any deck or sailor\n`);
  context.io.out(`next   ormen cert issue deck --hosts deck.example,10.0.0.5${dirFlag(options)}\n`);
}

async function issueOne(context: Context, name: string, options: CertOptions): Promise<void> {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(name) || name === "ca") {
    throw wrongUsage(`not a name for a certificate: "${name}"`, "use letters, digits, _ . and -, and not ca");
  }
  const hosts = hostsOf(options.hosts ?? []);
  const days = daysOf(options.days);
  const files = { certificate: `${options.dir}/${name}.pem`, key: `${options.dir}/${name}.key` };
  refuseExisting(files);
  const authority = {
    certificate: readAuthority(`${options.dir}/ca.pem`),
    key: readAuthority(`${options.dir}/ca.key`),
  };
  const { issueCertificate } = await import("../adapters/certificates.ts");
  let made: { readonly certificate: string; readonly key: string };
  try {
    made = await issueCertificate({ authority, name, hosts, days, nowMs: context.io.nowMs() });
  } catch (error) {
    throw new CommandFailure(`cannot issue a certificate with ${options.dir}/ca.pem: ${(error as Error).message}`);
  }
  await writeFiles(options.dir, files, made);
  if (options.json) return printJson(context.io, { ...files, hosts });
  context.io.out(`${clean(files.certificate)}, ${clean(files.key)}  for ${hosts.join(", ")}, valid for ${days} days\n`);
  context.io.out(
    `next   ormen deck --tls-cert ${clean(files.certificate)} --tls-key ${clean(files.key)} (or ormen sailor)\n`,
  );
  context.io.out(`       ormen status -m https://${hosts[0]}:5555 --ca ${clean(options.dir)}/ca.pem\n`);
}

function readAuthority(path: string): string {
  try {
    return readTextFile(path, "the authority");
  } catch (error) {
    throw new CommandFailure((error as Error).message, ["make one with  ormen cert ca"]);
  }
}

function hostsOf(texts: readonly string[]): string[] {
  const hosts = texts.flatMap((text) => text.split(",")).map((text) => text.trim().replace(/^\[|\]$/g, ""))
    .filter((text) => text !== "");
  if (hosts.length === 0) {
    throw wrongUsage("--hosts names nothing", "name what others dial: --hosts deck.example,10.0.0.5");
  }
  const bad = hosts.find((host) =>
    !/^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(host) && !/^[0-9A-Fa-f:.]+$/.test(host)
  );
  if (bad !== undefined) {
    throw wrongUsage(`--hosts has no name or address in "${bad}"`, "without a port, such as deck.example");
  }
  return [...new Set(hosts)];
}

function daysOf(text: string): number {
  const days = countOf("--days", text);
  if (days >= 1 && days <= DAYS_MAX) return days;
  throw wrongUsage(`--days is from 1 to ${DAYS_MAX}, not ${days}`);
}

function refuseExisting(files: { readonly certificate: string; readonly key: string }): void {
  for (const path of [files.certificate, files.key]) {
    try {
      Deno.lstatSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    throw new CommandFailure(`${path} is there already, and is not overwritten`, ["choose another name or --dir"]);
  }
}

async function writeFiles(
  dir: string,
  files: { readonly certificate: string; readonly key: string },
  made: { readonly certificate: string; readonly key: string },
): Promise<void> {
  try {
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    // The key first: a certificate without its key looks finished and is not.
    await Deno.writeTextFile(files.key, made.key, { createNew: true, mode: 0o600 });
    await Deno.writeTextFile(files.certificate, made.certificate, { createNew: true, mode: 0o644 });
  } catch (error) {
    throw new CommandFailure(`cannot write to ${dir}: ${(error as Error).message}`);
  }
}

function dirFlag({ dir }: CertOptions): string {
  return dir === "certs" ? "" : ` --dir ${dir}`;
}
