/** What the deck offers of services and rollouts. Writes resolve once they are durable; reads see committed records only. */
import type { ServiceSpec } from "../core/documents/service.ts";
import type {
  AddressList,
  RolloutView,
  ServiceApplied,
  ServiceDetailView,
  ServiceHistory,
  ServicePlan,
  ServiceView,
} from "../messages/service_api.ts";
import type { CommandReply, Unavailable } from "./api.ts";

export type ServiceChangeReply =
  | { readonly kind: "applied"; readonly applied: ServiceApplied }
  | { readonly kind: "notFound"; readonly message: string }
  | { readonly kind: "conflict"; readonly message: string }
  | Unavailable;

export type RolloutVerb = "pause" | "resume" | "promote" | "abort";

export interface ServiceApi {
  /** Makes the service, or rolls out what is new in `spec`. The same again changes nothing. */
  applyService(spec: ServiceSpec): Promise<ServiceChangeReply>;
  planService(spec: ServiceSpec): ServicePlan;
  scaleService(name: string, replicas: number): Promise<ServiceChangeReply>;
  /** `to` null: the newest stable revision before the current one. */
  rollbackService(name: string, to: number | null): Promise<ServiceChangeReply>;
  /** Replaces every replica as an update would, by a revision that says the same. */
  restartService(name: string): Promise<ServiceChangeReply>;
  /** Stops all replicas, then forgets it. */
  removeService(name: string): Promise<CommandReply>;
  changeRollout(service: string, verb: RolloutVerb): Promise<CommandReply>;
  listServices(): readonly ServiceView[];
  findService(name: string): ServiceDetailView | undefined;
  serviceHistory(name: string): ServiceHistory | undefined;
  /** Newest first; of one service, or the newest of each. */
  listRollouts(service: string | null): readonly RolloutView[];
  findRollout(service: string, number: number | null): RolloutView | undefined;
  serviceAddresses(name: string): AddressList | undefined;
  /** `onChange` is called with the whole list whenever it has changed, and with undefined when the service is gone. */
  watchAddresses(name: string, onChange: (list: AddressList | undefined) => void): { close(): void };
}
