// One line for each event of the log: for people, and for programs.
import type { LoggedEvent } from "../store/event-log.ts";
import type { ByteRange, EventType } from "../sync/store.ts";
import { formatCount, formatScore, oneLine } from "./output.ts";
import type { Style } from "./style.ts";
import { localTime } from "./when.ts";

/** One line of `--json`; part of riffd's contract (docs/events.md). */
export function jsonLine({ session_id, n, timestamp, event_type, operator, message_uuid, ...event }: LoggedEvent) {
  const { old_value, new_value, before, after, reason } = event;
  const what = { session_id, n, timestamp: timestamp.toISOString(), event_type, operator, message_uuid };
  return JSON.stringify({ ...what, old_value, new_value, before, after, reason });
}

/** Lines for people, in columns as wide as what they have shown so far. */
export class EventLines {
  readonly #style: Style;
  #widths: readonly number[] = [];

  constructor(style: Style) {
    this.#style = style;
  }

  /** Makes the columns wide enough for all of them. */
  fit(events: readonly LoggedEvent[]): void {
    for (const event of events) this.#widths = columnsOf(event).map((text, i) => Math.max(text.length, this.#width(i)));
  }

  line(event: LoggedEvent): string {
    this.fit([event]);
    const [operator, type, ...others] = columnsOf(event).map((text, i) => text.padEnd(this.#width(i)));
    const columns = [
      localTime(event.timestamp.getTime()),
      operator!,
      this.#coloured(event.event_type, type!),
      ...others,
    ];
    return `${columns.join("  ")}  ${this.#style.quiet(oneLine(event.reason, REASON))}`;
  }

  #width(column: number): number {
    return this.#widths[column] ?? 0;
  }

  #coloured(type: EventType, text: string): string {
    const { good, bad, warn } = this.#style;
    switch (type) {
      case "message_added":
      case "corruption_fixed":
        return good(text);
      case "parent_repaired":
      case "content_updated":
        return warn(text);
      case "message_removed":
        return bad(text);
    }
  }
}

/** Characters of a reason that are shown. */
const REASON = 200;

/** Operator, type, session, message and change. */
function columnsOf(event: LoggedEvent): string[] {
  const { operator, event_type, session_id, message_uuid } = event;
  const session = session_id.slice(session_id.lastIndexOf("/") + 1);
  return [operator, event_type, shortened(session), shortened(message_uuid ?? "-"), changeOf(event)].map((text) =>
    oneLine(text),
  );
}

/** From what to what, and where the bytes are. */
function changeOf({ event_type, old_value, new_value, before, after }: LoggedEvent): string {
  switch (event_type) {
    case "message_added":
      return placeOf(after);
    case "parent_repaired":
      return `parent ${shortened(String(old_value ?? "none"))} → ${shortened(String(new_value ?? "none"))}`;
    case "content_updated":
      return `digest ${digest(old_value)} → ${digest(new_value)}, ${placeOf(after)}`;
    case "corruption_fixed":
      return `score ${formatScore(Number(old_value))} → ${formatScore(Number(new_value))}`;
    case "message_removed":
      return `was ${placeOf(before)}`;
  }
}

function placeOf(range: ByteRange | null): string {
  if (range === null) return "-";
  const { generation, offset, length } = range;
  return `${formatCount(length)} bytes at ${formatCount(offset)}${generation === 1 ? "" : `, generation ${generation}`}`;
}

function digest(value: LoggedEvent["old_value"]): string {
  return String(value ?? "none").slice(0, 8);
}

/** Uuids by their beginnings, which name them wherever riffd asks for one. */
function shortened(text: string): string {
  return text.replaceAll(/\b([0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "$1");
}
