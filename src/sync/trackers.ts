import type { WrittenGraph } from "./settle.ts";
import type { SessionRow } from "./store.ts";
import type { GraphTracker } from "./tracker.ts";

/** Messages of the graphs that are kept in memory, at most; about 5 MB. */
const MAX_TRACKED_MESSAGES = 100_000;

/** Graphs that are kept until the verdicts are written, so that they need not be read again from the archive. */
export class Trackers {
  readonly bySession = new Map<string, WrittenGraph>();
  #room = MAX_TRACKED_MESSAGES;

  keep({ session_id, chain }: SessionRow, tracker: GraphTracker): void {
    if (tracker.graph.size > this.#room) return;
    this.#room -= tracker.graph.size;
    this.bySession.set(session_id, { tracker, chain });
  }
}
