/** /v1/events: a list of what is kept, or a stream of what happens. */
import type { Clock } from "../contracts/clock.ts";
import type { DeckApi } from "../deck/api.ts";
import type { EventView } from "../messages/api.ts";
import type { EdgeContext, Route } from "./edge.ts";
import { eventStream } from "./event_stream.ts";
import { jsonResponse, Refusal } from "./problems.ts";
import { eventsQuery, parseSince, readQuery } from "./query.ts";

const SCAN_EVENTS = 1_000;
const EVENT_STREAM = "text/event-stream";

export function eventRoutes(deck: DeckApi, clock: Clock): Route[] {
  return [{
    method: "GET",
    path: "/v1/events",
    role: "read",
    long: true,
    handle: (context) => events(deck, clock, context),
    description: {
      summary: "What happened: a list, oldest first; with Accept: text/event-stream everything from now on, or from " +
        "after Last-Event-ID, as it happens. An event named gap says that events after that id are no longer kept",
      query: eventsQuery,
      headers: { "Last-Event-ID": "id of the last event that the watcher has" },
      answers: [
        { status: 200, text: "a page of the list", schema: "EventList" },
        { status: 200, text: "the stream; data is one Event", schema: "Event", types: [EVENT_STREAM] },
      ],
      problems: [400],
    },
  }];
}

function events(deck: DeckApi, clock: Clock, context: EdgeContext): Response {
  const request = context.req.raw;
  const query = readQuery(request.url, eventsQuery);
  const after = query.after ?? (query.since === undefined ? null : afterOf(deck, clock, query.since));
  if (request.headers.get("accept")?.includes(EVENT_STREAM)) {
    const headers = { "content-type": EVENT_STREAM, "cache-control": "no-store", "x-accel-buffering": "no" };
    if (request.method === "HEAD") return new Response(null, { headers });
    return new Response(eventStream(deck, clock, lastEventId(request.headers) ?? after, query.run), { headers });
  }
  const { events: page, last } = pageOf(deck, after ?? 0, query.limit, query.run);
  return jsonResponse({ events: page, next: last < deck.eventRange().newest && page.length > 0 ? String(last) : null });
}

/** `last`: the id up to which was looked, so that the next page goes on there. */
function pageOf(deck: DeckApi, after: number, limit: number, run: string | undefined) {
  if (run === undefined) {
    const events = deck.listEvents(after, limit);
    return { events, last: events.at(-1)?.id ?? after };
  }
  const events: EventView[] = [];
  let last = after;
  while (events.length < limit) {
    const looked = deck.listEvents(last, SCAN_EVENTS);
    if (looked.length === 0) break;
    for (const event of looked) {
      last = event.id;
      if (event.runId === run && events.push(event) === limit) break;
    }
  }
  return { events, last };
}

/** What the browser sends when it comes back is newer than what the URL says. */
function lastEventId(headers: Headers): number | null {
  const text = headers.get("last-event-id");
  if (text === null || text === "") return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Refusal(400, "badRequest", `Last-Event-ID is not the id of an event: "${text.slice(0, 64)}"`);
}

/** The id after which events lie at or behind a time; of a bare number, the number. */
function afterOf(deck: DeckApi, clock: Clock, since: string): number {
  if (/^\d{1,15}$/.test(since)) return Number(since);
  const ms = parseSince(since, clock.wallMs());
  const { oldest, newest } = deck.eventRange();
  // Ids grow with time: halve the range until the first event at or behind the time is found.
  let [low, high] = [Math.max(oldest, 1), newest + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const event = deck.listEvents(middle - 1, 1)[0];
    if (event && Date.parse(event.at) < ms) low = Math.max(middle, event.id) + 1;
    else high = middle;
  }
  return low - 1;
}
