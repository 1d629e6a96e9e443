/**
 * Who is told where services answer: watchers, and the sailors whose tasks bind a service. Works from committed records; a
 * list is made anew when something of its service has changed, and told when it is another one.
 */
import type { ServiceBinding } from "../core/documents/task.ts";
import type { Assignment } from "../core/outgoing.ts";
import { addressesOf } from "../core/service/addresses.ts";
import type { RecordChange, State } from "../core/state.ts";
import { isSailFinal } from "../core/sail.ts";
import type { AddressList } from "../messages/service_api.ts";
import type { DeckMessage } from "../messages/session.ts";
import { addressList } from "./service_views.ts";

export interface Addresses {
  /** After each commit. */
  onChanges(changes: readonly RecordChange[]): void;
  watch(service: string, onChange: (list: AddressList | undefined) => void): { close(): void };
  /** With what its task binds, as it is now. */
  fill(assignment: Assignment): Assignment;
}

export function createAddresses(options: {
  readonly committed: State;
  /** Does nothing when the node has no session. */
  readonly tell: (nodeId: string, message: DeckMessage) => void;
}): Addresses {
  const { committed } = options;
  const watchers = new Map<string, Set<(list: AddressList | undefined) => void>>();
  /** Service to the tasks that bind it. */
  const bound = new Map<string, Set<string>>();
  /** As last told, JSON; only of services that somebody watches or binds. */
  const told = new Map<string, string>();

  for (const id of committed.sails.keys()) noteBindings(id);

  function noteBindings(sailId: string): void {
    const sail = committed.sails.get(sailId);
    const bindings: readonly ServiceBinding[] = sail ? committed.specs.get(sail.specId)?.spec.bind ?? [] : [];
    if (!sail) return forget(sailId);
    if (bindings.length === 0) return;
    if (isSailFinal(sail.state)) return forget(sailId);
    for (const { service } of bindings) {
      const tasks = bound.get(service) ?? new Set();
      bound.set(service, tasks);
      tasks.add(sailId);
    }
  }

  function forget(sailId: string): void {
    for (const [service, tasks] of bound) {
      if (tasks.delete(sailId) && tasks.size === 0) bound.delete(service);
    }
  }

  const list = (service: string) => committed.services.has(service) ? addressList(committed, service) : undefined;
  const plain = (service: string) => addressesOf(committed, service).map(({ address }) => address);

  function tellOf(service: string): void {
    if (!watchers.has(service) && !bound.has(service)) return void told.delete(service);
    const now = list(service);
    const text = JSON.stringify(now ?? null);
    if (told.get(service) === text) return;
    told.set(service, text);
    for (const onChange of [...watchers.get(service) ?? []]) onChange(now);
    const services = { [service]: plain(service) };
    for (const nodeId of nodesThatBind(service)) options.tell(nodeId, { kind: "services", services });
  }

  function nodesThatBind(service: string): Set<string> {
    const nodes = new Set<string>();
    for (const sailId of bound.get(service) ?? []) {
      const attempt = committed.attempts.get(committed.sails.get(sailId)?.currentAttemptId ?? "");
      // An older sailor does not know the message; it got no such task either.
      if (attempt && committed.masts.get(attempt.nodeId)?.abilities?.includes("services")) nodes.add(attempt.nodeId);
    }
    return nodes;
  }

  return {
    onChanges(changes) {
      const touched = new Set<string>();
      for (const change of changes) {
        switch (change.kind) {
          case "sail":
            noteBindings(change.id);
            noteService(change.id);
            break;
          case "attempt":
            if (change.value) noteService(change.value.sailId);
            break;
          case "service":
            touched.add(change.id);
            break;
          case "rollout":
            if (change.value) touched.add(change.value.service);
            break;
          case "mast":
            for (const service of told.keys()) touched.add(service);
            break;
        }
      }
      for (const service of touched) tellOf(service);

      function noteService(sailId: string): void {
        const service = committed.sails.get(sailId)?.replica?.service;
        if (service !== undefined) touched.add(service);
      }
    },
    watch(service, onChange) {
      const set = watchers.get(service) ?? new Set();
      watchers.set(service, set);
      set.add(onChange);
      const now = list(service);
      told.set(service, JSON.stringify(now ?? null));
      return {
        close() {
          set.delete(onChange);
          if (set.size === 0 && watchers.get(service) === set) watchers.delete(service);
        },
      };
    },
    fill(assignment) {
      const { bind } = assignment.spec;
      if (!bind || assignment.desired !== "run") return assignment;
      const names = [...new Set(bind.map(({ service }) => service))];
      return { ...assignment, services: Object.fromEntries(names.map((name) => [name, plain(name)])) };
    },
  };
}
