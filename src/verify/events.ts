// The events of a session, proved against the commits that wrote them.
import { EventsDigest } from "../core/chain.ts";
import { type DbRow, eventFromDb } from "../store/rows.ts";
import type { Link } from "./chain.ts";
import { Difference, differs, show } from "./difference.ts";
import { keyOf } from "./reader.ts";

/** A message that an event says has vanished. */
export interface Vanished {
  readonly uuid: string;
  readonly event: number;
  readonly time: Date;
}

/** generation → offset → what vanished there. */
export type VanishedMessages = Map<number, Map<number, Vanished>>;

/** Reads the events of a session in pages. Throws a Difference for the first that is wrong. */
export async function proveEvents(
  sessionId: string,
  pages: AsyncIterable<readonly DbRow[]>,
  links: readonly Link[],
): Promise<VanishedMessages> {
  const vanished: VanishedMessages = new Map();
  const logged = links.filter((link) => link.events > 0);
  let at = 0;
  let digest = new EventsDigest();
  let count = 0;
  for await (const page of pages) {
    for (const row of page) {
      const n = ++count;
      const link = logged[at];
      const [, number, ...rest] = keyOf(row);
      if (number !== n || rest.length > 0) {
        throw typeof number === "number" && number > n
          ? new Difference(`event ${n} is missing: the next one is ${number}`)
          : new Difference(
              `an event stands at ${show([number, ...rest])}, where ${link ? `event ${n} is due` : "none is"}`,
            );
      }
      if (link === undefined) throw new Difference(`event ${n} was written by no commit`);
      const what = `event ${n}`;
      if (row.session_id !== sessionId) throw differs(what, "session_id", sessionId, row.session_id);
      const event = eventFromDb(row);
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
