/**
 * Secrets sealed with AES-256-GCM by WebCrypto: a random nonce for each value, its name as additional data. The key lies in
 * the data directory, closed to others, and is made when the first secret is set.
 */
import { join } from "node:path";
import type { SecretBox } from "../contracts/secret_box.ts";
import { writeFileAtomically } from "./data_dir.ts";

const KEY_FILE = "secrets.key";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;

/** `directory` undefined: the key lives as long as the process, as does a store in memory. */
export function createSecretBox(directory: string | undefined): SecretBox {
  let key: Promise<CryptoKey> | undefined;
  const keyOf = (mayMake: boolean) => {
    key ??= loadKey(directory, mayMake);
    // A key that could not be read may be there at the next try.
    key.catch(() => key = undefined);
    return key;
  };
  return {
    async seal(name, value) {
      const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const data = new TextEncoder().encode(value);
      const sealed = await crypto.subtle.encrypt(algorithm(iv, name), await keyOf(true), data);
      const bytes = new Uint8Array(iv.length + sealed.byteLength);
      bytes.set(iv);
      bytes.set(new Uint8Array(sealed), iv.length);
      return bytes.toBase64();
    },
    async open(name, sealed) {
      const bytes = Uint8Array.fromBase64(sealed);
      const key = await keyOf(false);
      try {
        const iv = bytes.slice(0, NONCE_BYTES);
        const data = await crypto.subtle.decrypt(algorithm(iv, name), key, bytes.slice(NONCE_BYTES));
        return new TextDecoder().decode(data);
      } catch {
        throw new Error(`the secret ${name} was sealed with another key; set it again, or bring its ${KEY_FILE} back`);
      }
    },
  };
}

function algorithm(iv: Uint8Array<ArrayBuffer>, name: string): AesGcmParams {
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(`ormen secret ${name}`) };
}

async function loadKey(directory: string | undefined, mayMake: boolean): Promise<CryptoKey> {
  const bytes = directory === undefined
    ? crypto.getRandomValues(new Uint8Array(KEY_BYTES))
    : await keyBytes(join(directory, KEY_FILE), mayMake);
  return await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

async function keyBytes(path: string, mayMake: boolean): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { mode } = await Deno.stat(path);
    if (mode !== null && (mode & 0o077) !== 0) {
      throw new Error(`${path} can be read by others; close it with  chmod 600 ${path}`);
    }
    const bytes = Uint8Array.fromBase64((await Deno.readTextFile(path)).trim());
    if (bytes.length !== KEY_BYTES) throw new Error(`${path} holds no key`);
    return bytes;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (!mayMake) throw new Error(`the key of the secrets, ${path}, is not there; bring it back, or set them again`);
    const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    await writeFileAtomically(path, `${bytes.toBase64()}\n`);
    return bytes;
  }
}
