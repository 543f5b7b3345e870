// What a pass did to each session, put together from what it reports and what it writes.
import type { WrittenStep } from "../control/protocol.ts";
import type { EventType } from "../sync/store.ts";
import type { SessionReport } from "../sync/sync.ts";

export type EventCounts = Readonly<Record<EventType, number>>;

/** What was written to the store, or would have been. */
export interface Written {
  readonly commits: number;
  readonly messages: number;
  readonly records: number;
  /** Of the transcript, before compression. */
  readonly bytes: number;
}

/** A session's report with all that came of it. */
export interface Outcome extends SessionReport {
  readonly written: Written;
}

const NOTHING: Written = { commits: 0, messages: 0, records: 0, bytes: 0 };

/** Sessions in the order in which they were first told. */
export class Results {
  readonly #reports = new Map<string, SessionReport>();
  readonly #written = new Map<string, Written>();

  /** True for the first report of a session. A later one (verdicts) adds to it. */
  add(report: SessionReport): boolean {
    const first = this.#reports.get(report.sessionId);
    if (first === undefined || first.status === "unchanged") this.#reports.set(report.sessionId, report);
    else {
      const events = addCounts(first.events, report.events);
      this.#reports.set(report.sessionId, { ...first, session: report.session ?? first.session, events });
    }
    return first === undefined;
  }

  wrote({ session_id, messages, records, bytes }: WrittenStep): void {
    const before = this.#written.get(session_id) ?? NOTHING;
    this.#written.set(session_id, {
      commits: before.commits + 1,
      messages: before.messages + messages,
      records: before.records + records,
      bytes: before.bytes + bytes,
    });
  }

  get all(): Outcome[] {
    return [...this.#reports.values()].map((report) => ({
      ...report,
      written: this.#written.get(report.sessionId) ?? NOTHING,
    }));
  }

  get failed(): Outcome[] {
    return this.all.filter(({ status }) => status === "failed");
  }
}

/** Events of all of them, by type. */
export function sumEvents(outcomes: readonly Outcome[]): EventCounts {
  return outcomes.reduce<EventCounts>((sum, { events }) => addCounts(sum, events), NO_EVENTS);
}

export function sumWritten(outcomes: readonly Outcome[]): Written {
  return outcomes.reduce<Written>(
    (sum, { written }) => ({
      commits: sum.commits + written.commits,
      messages: sum.messages + written.messages,
      records: sum.records + written.records,
      bytes: sum.bytes + written.bytes,
    }),
    NOTHING,
  );
}

const NO_EVENTS: EventCounts = {
  message_added: 0,
  parent_repaired: 0,
  content_updated: 0,
  corruption_fixed: 0,
  message_removed: 0,
};

function addCounts(one: EventCounts, other: EventCounts): EventCounts {
  return Object.fromEntries(
    Object.entries(one).map(([type, count]) => [type, count + other[type as EventType]]),
  ) as EventCounts;
}

export function countEvents(events: EventCounts): number {
  return Object.values(events).reduce((sum, count) => sum + count, 0);
}
