// The events of a session, proved against the commits that wrote them.
import { EventsDigest } from "../../core/chain.ts";
import type { EventRow } from "../store.ts";
import type { Link } from "./chain.ts";
import { Difference, differs } from "./difference.ts";

/** A message that an event says has vanished. */
export interface Vanished {
  readonly uuid: string;
  readonly event: number;
  readonly time: Date;
}

/** generation → offset → what vanished there. */
export type VanishedMessages = Map<number, Map<number, Vanished>>;

/** Reads the events of a session. Throws a Difference for the first that is wrong. */
export async function proveEvents(events: AsyncIterable<EventRow>, links: readonly Link[]): Promise<VanishedMessages> {
  const vanished: VanishedMessages = new Map();
  const logged = links.filter((link) => link.events > 0);
  let at = 0;
  let digest = new EventsDigest();
  let count = 0;
  for await (const event of events) {
    const n = ++count;
    const link = logged[at];
    const what = `event ${n}`;
    if (event.n !== n) throw differs(what, "n", n, event.n);
    if (link === undefined) throw new Difference(`${what} was written by no commit`);
    // What each event shares with its commit names the event; the digest below covers the rest.
    if (!(event.timestamp instanceof Date) || event.timestamp.getTime() !== link.time.getTime()) {
      throw differs(what, "timestamp", link.time, event.timestamp);
    }
    if (event.operator !== link.operator) throw differs(what, "operator", link.operator, event.operator);
    digest.add(event);
    if (event.event_type === "message_removed" && event.before && event.message_uuid !== null) {
      const { generation, offset } = event.before;
      const inGeneration = vanished.get(generation) ?? new Map<number, Vanished>();
      inGeneration.set(offset, { uuid: event.message_uuid, event: n, time: event.timestamp });
      vanished.set(generation, inGeneration);
    }
    if (digest.count < link.events) continue;
    if (digest.finish() !== link.events_sha256) {
      const which = link.events === 1 ? `event ${n} is` : `events ${n - link.events + 1} to ${n} are`;
      throw new Difference(`${which} not what commit ${link.n} wrote: the digest is another`);
    }
    digest = new EventsDigest();
    at++;
  }
  const missing = logged[at];
  if (missing !== undefined) throw new Difference(`event ${count + 1} is missing: commit ${missing.n} wrote it`);
  for (const link of links) {
    if (link.events === 0 && link.events_sha256 !== "") {
      throw differs(`commit ${link.n}`, "events_sha256", "", link.events_sha256);
    }
  }
  return vanished;
}
