/** Hands committed events to watchers, in order. A watcher is a function that returns at once; it bounds its own queue. */
import type { EventRecord } from "../core/event.ts";
import type { EventView } from "../messages/api.ts";
import type { EventSubscription } from "./api.ts";
import { eventView } from "./views.ts";

export interface Feed {
  publish(events: readonly EventRecord[]): void;
  subscribe(onEvents: (events: readonly EventView[]) => void): EventSubscription;
}

export function createFeed(): Feed {
  const watchers = new Set<(events: readonly EventView[]) => void>();
  return {
    publish(events) {
      if (watchers.size === 0) return;
      const views = events.map(eventView);
      for (const watcher of [...watchers]) watcher(views);
    },
    subscribe(onEvents) {
      watchers.add(onEvents);
      return { close: () => void watchers.delete(onEvents) };
    },
  };
}
