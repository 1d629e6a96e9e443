/**
 * A small certificate authority for one's own decks and sailors: ECDSA on P-256, X.509 v3. The only home of the package
 * that writes certificates; it is loaded when somebody makes one.
 */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

export interface KeyAndCertificate {
  /** PEM, PKCS #8. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
/** Clocks differ: a certificate made now is valid on a machine that is a little behind. */
const BACKDATED_MS = 3_600_000;

/** Signs certificates of listeners, and no other authorities. */
export async function makeAuthority(name: string, days: number, nowMs: number): Promise<KeyAndCertificate> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // Two authorities of one name would be taken for each other, and their certificates for forged ones.
    name: [{ CN: [`${name} ${serialNumber().slice(0, 8)}`] }],
    ...validity(days, nowMs),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { key: await pemOf(keys.privateKey), certificate: pemText(certificate) };
}

/** For a listener that is reached under `hosts`: names and addresses. Throws when the authority's files do not fit together. */
export async function issueCertificate(options: {
  readonly authority: KeyAndCertificate;
  readonly name: string;
  readonly hosts: readonly string[];
  readonly days: number;
  readonly nowMs: number;
}): Promise<KeyAndCertificate> {
  const { authority, name, hosts, days, nowMs } = options;
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await crypto.subtle.importKey(
    "pkcs8",
    x509.PemConverter.decodeFirst(authority.key),
    ALGORITHM,
    false,
    ["sign"],
  );
  const keys = await makeKeys();
  const { notBefore, notAfter } = validity(days, nowMs);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [name] }],
    issuer: issuer.subjectName,
    notBefore,
    // Beyond its authority's end it would be refused anyway.
    notAfter: notAfter < issuer.notAfter ? notAfter : issuer.notAfter,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((host) => ({ type: isAddress(host) ? "ip" as const : "dns" as const, value: host })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  if (!await certificate.verify({ publicKey: issuer.publicKey, date: new Date(nowMs) })) {
    throw new Error("the authority's key does not belong to its certificate, or it has expired");
  }
  return { key: await pemOf(keys.privateKey), certificate: pemText(certificate) };
}

function isAddress(host: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) || host.includes(":");
}

function makeKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

function validity(days: number, nowMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** 127 random bits: positive, and as many as RFC 5280 lets through. */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return bytes.toHex();
}

async function pemOf(key: CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

function pemText(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
