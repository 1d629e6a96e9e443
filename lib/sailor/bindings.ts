/** What a task is told of the services that it binds: variables at its start, files as long as it runs. Pure. */
import type { RuntimeKind, ServiceBinding } from "../core/documents/task.ts";

/** Service to addresses, `host:port`. */
export type ServiceAddresses = Readonly<Record<string, readonly string[]>>;

/** As Engines make it known in containers when they are asked to: the machine that they run on. */
export const HOST_NAME = "host.docker.internal";

/** `WEB_ADDR`, the first address or nothing, and `WEB_ADDRS`, all of them. */
export function bindingVariables(
  bind: readonly ServiceBinding[],
  services: ServiceAddresses,
  runtime: RuntimeKind,
): Record<string, string> {
  const entries = bind.flatMap(({ variable, service }): [string, string][] => {
    const addresses = addressesFor(services[service] ?? [], runtime);
    return [[`${variable}_ADDR`, addresses[0] ?? ""], [`${variable}_ADDRS`, addresses.join(",")]];
  });
  return Object.fromEntries(entries);
}

/** By the service's name, one address a line. */
export function bindingTexts(
  bind: readonly ServiceBinding[],
  services: ServiceAddresses,
  runtime: RuntimeKind,
): Record<string, string> {
  return Object.fromEntries(
    bind.map(({ service }) => [
      service,
      addressesFor(services[service] ?? [], runtime).map((address) => `${address}\n`).join(""),
    ]),
  );
}

/** A loopback address is the machine's own, which a container does not reach under that name. */
function addressesFor(addresses: readonly string[], runtime: RuntimeKind): string[] {
  if (runtime !== "docker") return [...addresses];
  return addresses.map((address) => address.replace(/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?=:\d+$)/, HOST_NAME));
}
