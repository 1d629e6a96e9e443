/** `ServiceApi` over the loop and the committed records. */
import { serviceDifferences } from "../core/documents/describe_service.ts";
import type { Settings } from "../core/input.ts";
import type { RolloutDecision } from "../core/service/change_rollout.ts";
import type { RemoveServiceDecision, ServiceDecision } from "../core/service/decide_service.ts";
import { changeOf } from "../core/service/decide_service.ts";
import type { State } from "../core/state.ts";
import type { Input } from "../core/input.ts";
import type { Addresses } from "./addresses.ts";
import { ask } from "./ask.ts";
import type { Loop } from "./loop.ts";
import type { ServiceApi, ServiceChangeReply } from "./service_api.ts";
import {
  addressList,
  rolloutsOf,
  rolloutView,
  serviceDetailView,
  serviceHistory,
  serviceView,
  specOfService,
} from "./service_views.ts";

export function createServiceApi(parts: {
  readonly loop: Loop;
  readonly committed: State;
  readonly settings: Settings;
  readonly addresses: Addresses;
}): ServiceApi {
  const { loop, committed, settings, addresses } = parts;

  async function change(name: string, input: Input): Promise<ServiceChangeReply> {
    const decision = await ask<ServiceDecision>(loop, input);
    if (decision.kind !== "applied") return decision;
    const service = committed.services.get(name);
    if (!service) return { kind: "notFound", message: `service ${name} was removed meanwhile` };
    const { change: what, rollout } = decision;
    return {
      kind: "applied",
      applied: { change: what, rollout, service: serviceDetailView(committed, settings, service) },
    };
  }

  const named = <T>(name: string, view: (state: State, service: NonNullable<ReturnType<typeof find>>) => T) => {
    const service = find(name);
    return service && view(committed, service);
  };
  const find = (name: string) => committed.services.get(name);
  const byName = () => [...committed.services.values()].sort((a, b) => a.name < b.name ? -1 : 1);

  return {
    applyService: (spec) => change(spec.name, { kind: "applyService", spec }),
    planService(spec) {
      const before = find(spec.name);
      const what = changeOf(committed, before, spec);
      const current = before && specOfService(committed, before);
      return {
        service: spec.name,
        change: what,
        from: before?.revision ?? null,
        to: what === "created" || what === "updated" ? (before?.newestRevision ?? 0) + 1 : null,
        replicas: { from: before?.replicas ?? 0, to: spec.replicas },
        differences: current ? serviceDifferences(current, spec) : [],
        notes: [...spec.notes],
      };
    },
    scaleService: (name, replicas) => change(name, { kind: "scaleService", name, replicas }),
    rollbackService: (name, to) => change(name, { kind: "rollbackService", name, to }),
    restartService: (name) => change(name, { kind: "restartService", name }),
    removeService: (name) => ask<RemoveServiceDecision>(loop, { kind: "removeService", name }),
    changeRollout: (service, verb) => ask<RolloutDecision>(loop, { kind: "changeRollout", service, verb }),
    listServices: () => byName().map((service) => serviceView(committed, service)),
    findService: (name) => named(name, (state, service) => serviceDetailView(state, settings, service)),
    serviceHistory: (name) => named(name, serviceHistory),
    listRollouts(service) {
      const rollouts = service === null
        ? byName().flatMap(({ name }) => rolloutsOf(committed, name).slice(0, 1))
        : rolloutsOf(committed, service);
      return rollouts.map((rollout) => rolloutView(committed, rollout));
    },
    findRollout(service, number) {
      const all = rolloutsOf(committed, service);
      const rollout = number === null ? all[0] : all.find((each) => each.number === number);
      return rollout && rolloutView(committed, rollout);
    },
    serviceAddresses: (name) => find(name) && addressList(committed, name),
    watchAddresses: (name, onChange) => addresses.watch(name, onChange),
  };
}
