// Reads the log of events: the newest, of one session or all, and those of a commit. In memory are only those that are
// asked for and one window: every read is a bounded range of ids, backwards from a session's last event. No index leads to
// the newest of all sessions (building one fails on a large store, engine 3.0.2), but a session's row tells when it last
// changed, so few sessions are looked into.
import type { EventRow, EventType } from "../sync/store.ts";
import type { Database } from "./database.ts";
import { type DbRow, eventFromDb, sessionRecord } from "./rows.ts";

export interface LoggedEvent extends EventRow {
  readonly session_id: string;
}

/** Which events are meant; null: whatever it is. Both ends of the time belong to it, in milliseconds since 1970. */
export interface EventFilter {
  readonly since: number | null;
  readonly until: number | null;
  readonly types: ReadonlySet<EventType> | null;
  readonly operator: string | null;
}

export function isMeant({ since, until, types, operator }: EventFilter, event: LoggedEvent): boolean {
  const time = event.timestamp.getTime();
  return (
    (since === null || time >= since) &&
    (until === null || time <= until) &&
    (types === null || types.has(event.event_type)) &&
    (operator === null || operator === event.operator)
  );
}

/** Events in the first window of a session, and in a window at most. */
const FIRST_WINDOW = 100;
const WIDEST_WINDOW = 1000;

/** A session's log. */
interface Log {
  readonly session_id: string;
  readonly events: number;
  /** When the session last changed. */
  readonly changed: number;
}

export class EventLog {
  readonly #db: Database;

  constructor(database: Database) {
    this.#db = database;
  }

  /** The newest events of a session that are meant, at most `limit`, in the order of their numbers. */
  async ofSession(sessionId: string, filter: EventFilter, limit: number): Promise<LoggedEvent[]> {
    if (limit === 0) return [];
    const [log] = await this.#logs("$held", { held: sessionRecord(sessionId) });
    const windows: LoggedEvent[][] = [];
    let found = 0;
    for await (const events of log === undefined ? [] : this.#backwards(log)) {
      const meant = events.filter((event) => isMeant(filter, event));
      windows.push(meant);
      found += meant.length;
      if (found >= limit || areOlder(events, filter.since)) break;
    }
    return windows
      .reverse()
      .flat()
      .slice(Math.max(0, found - limit));
  }

  /** The newest events of all sessions that are meant, at most `limit`, in the order of their times. */
  async ofAll(filter: EventFilter, limit: number): Promise<LoggedEvent[]> {
    if (limit === 0) return [];
    const logs = (await this.#logs("session")).sort((a, b) => b.changed - a.changed);
    const newest = new Newest(limit);
    for (const log of logs) {
      const since = () => Math.max(filter.since ?? Number.NEGATIVE_INFINITY, newest.since);
      if (log.changed < since()) break;
      for await (const events of this.#backwards(log)) {
        for (const event of events) if (isMeant(filter, event)) newest.add(event);
        if (areOlder(events, since())) break;
      }
    }
    return newest.inOrder();
  }

  /** The events of a commit in the order of their numbers, in pages. */
  async *ofCommit(commit: {
    readonly session_id: string;
    readonly first_event: number;
    readonly events: number;
  }): AsyncGenerator<LoggedEvent[]> {
    const end = commit.first_event + commit.events;
    for (let from = commit.first_event; from < end; from += WIDEST_WINDOW) {
      yield await this.#between(commit.session_id, from, Math.min(end, from + WIDEST_WINDOW));
    }
  }

  async #logs(from: "session" | "$held", parameters: Readonly<Record<string, unknown>> = {}): Promise<Log[]> {
    const [rows] = await this.#db.run<[Log[]]>(
      `SELECT session_id, event_count AS events, time::millis(last_updated) AS changed
         FROM ${from} WHERE event_count > 0`,
      parameters,
    );
    return rows;
  }

  /** Its events in windows, the last one first. */
  async *#backwards({ session_id, events }: Log): AsyncGenerator<LoggedEvent[]> {
    let width = FIRST_WINDOW;
    for (let to = events + 1; to > 1; to -= width) {
      if (to <= events) width = Math.min(WIDEST_WINDOW, width * 2);
      yield await this.#between(session_id, Math.max(1, to - width), to);
    }
  }

  async #between(session_id: string, from: number, to: number): Promise<LoggedEvent[]> {
    const [rows] = await this.#db.run<[DbRow[]]>("SELECT * FROM repair_event:[$s, $from]..[$s, $to]", {
      s: session_id,
      from,
      to,
    });
    return rows.map((row) => ({ session_id, ...eventFromDb(row) }));
  }
}

/** All of a window: a clock that was set back for a while hides nothing. */
function areOlder(events: readonly LoggedEvent[], since: number | null): boolean {
  return since !== null && events.every(({ timestamp }) => timestamp.getTime() < since);
}

/** The newest of the events that were added. */
class Newest {
  readonly #limit: number;
  #events: LoggedEvent[] = [];
  /** Older ones are not among them. */
  since = Number.NEGATIVE_INFINITY;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(event: LoggedEvent): void {
    if (event.timestamp.getTime() < this.since) return;
    this.#events.push(event);
    if (this.#events.length >= this.#limit + Math.max(FIRST_WINDOW, this.#limit)) this.#drop();
  }

  inOrder(): LoggedEvent[] {
    this.#drop();
    return this.#events;
  }

  #drop(): void {
    this.#events = this.#events.sort(byTime).slice(-this.#limit);
    if (this.#events.length === this.#limit) this.since = this.#events[0]!.timestamp.getTime();
  }
}

function byTime(a: LoggedEvent, b: LoggedEvent): number {
  const byName = a.session_id < b.session_id ? -1 : a.session_id > b.session_id ? 1 : 0;
  return a.timestamp.getTime() - b.timestamp.getTime() || byName || a.n - b.n;
}
