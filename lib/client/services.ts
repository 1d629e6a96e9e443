/** Services and rollouts of a deck: one method a route. */
import type { ServiceDocument } from "../core/documents/service.ts";
import type {
  AddressList,
  RollbackRequest,
  RolloutList,
  RolloutView,
  ServiceApplied,
  ServiceDetailView,
  ServiceHistory,
  ServiceList,
  ServicePlan,
  ServiceView,
} from "../messages/service_api.ts";
import { query, type Transport } from "./transport.ts";
import { watchAddresses, type WatchAddressesOptions } from "./watch_addresses.ts";

export class Services {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(): Promise<readonly ServiceView[]> {
    return (await this.#transport.json<ServiceList>("GET", "/v1/services")).services;
  }

  /** With its replicas. */
  get(name: string): Promise<ServiceDetailView> {
    return this.#transport.json("GET", servicePath(name));
  }

  /** Makes it, or rolls out what is new. Resolves once that is durable; see `rollout` for what comes of it. */
  apply(document: ServiceDocument): Promise<ServiceApplied> {
    return this.#transport.json("POST", "/v1/services", { body: document });
  }

  /** What `apply` would change; nothing is changed. */
  plan(document: ServiceDocument): Promise<ServicePlan> {
    return this.#transport.json("POST", "/v1/services/plan", { body: document });
  }

  scale(name: string, replicas: number): Promise<ServiceApplied> {
    return this.#transport.json("POST", `${servicePath(name)}/scale`, { body: { replicas } });
  }

  /** To a revision; to the newest stable one before the current unless said. */
  rollback(name: string, request: RollbackRequest = {}): Promise<ServiceApplied> {
    return this.#transport.json("POST", `${servicePath(name)}/rollback`, { body: request });
  }

  restart(name: string): Promise<ServiceApplied> {
    return this.#transport.json("POST", `${servicePath(name)}/restart`, { body: {} });
  }

  /** Resolves once it is durable that it goes; its replicas are stopped first. */
  remove(name: string): Promise<void> {
    return this.#transport.done("DELETE", servicePath(name));
  }

  history(name: string): Promise<ServiceHistory> {
    return this.#transport.json("GET", `${servicePath(name)}/history`);
  }

  /** Where its healthy replicas answer now; see `watchAddresses` for what changes. */
  addresses(name: string): Promise<AddressList> {
    return this.#transport.json("GET", `${servicePath(name)}/addresses`);
  }

  /** The list now and after each change, across breaks of the connection. */
  watchAddresses(name: string, options: WatchAddressesOptions = {}): AsyncGenerator<AddressList> {
    return watchAddresses(this.#transport, name, options);
  }

  /** Of one service those that are kept, newest first; else the newest of each. */
  async rollouts(service?: string): Promise<readonly RolloutView[]> {
    return (await this.#transport.json<RolloutList>("GET", `/v1/rollouts${query({ service })}`)).rollouts;
  }

  /** The newest unless said. */
  rollout(service: string, number: number | "latest" = "latest"): Promise<RolloutView> {
    return this.#transport.json("GET", `${servicePath(service)}/rollouts/${number}`);
  }

  /** Asks something of the rollout that is under way; `resume` also of one that failed and left the service as it is. */
  steer(service: string, verb: "pause" | "resume" | "promote" | "abort"): Promise<RolloutView> {
    return this.#transport.json("POST", `${servicePath(service)}/rollouts/latest/${verb}`, { body: {} });
  }
}

function servicePath(name: string): string {
  return `/v1/services/${encodeURIComponent(name)}`;
}
