// What an import leaves in the store, taken from the steps that riffd committed, and the plainest way to write it: the
// engine's own speed, against which riffd's import is measured.
import type { Surreal } from "surrealdb";
import type {
  CommitRow,
  EventRow,
  MessageRow,
  QuarantineRow,
  RecordRow,
  SegmentRow,
  SessionRow,
  SourceRow,
  Step,
  UnresolvedRow,
} from "../src/sync/store.ts";
import { rows as convert, run } from "./riffd.ts";

/** All rows of one session, in the order in which they were written, as they are in the end. */
export interface SessionLoad {
  session: SessionRow;
  source: SourceRow | null;
  readonly generation: number;
  readonly messages: MessageRow[];
  readonly records: RecordRow[];
  readonly quarantine: QuarantineRow[];
  readonly segments: SegmentRow[];
  readonly events: EventRow[];
  readonly commits: CommitRow[];
  readonly unresolved: Map<string, UnresolvedRow>;
  readonly largeContents: { readonly hash: string; readonly text: string }[];
}

/** Gathers committed steps by session; later verdicts are folded into the rows that they change. */
export class Recorder {
  readonly loads = new Map<string, SessionLoad>();

  add(step: Step): void {
    const { session, commit } = step;
    let load = this.loads.get(session.session_id);
    if (load === undefined) {
      load = {
        session,
        source: step.source,
        generation: commit.generation,
        messages: [],
        records: [],
        quarantine: [],
        segments: [],
        events: [],
        commits: [],
        unresolved: new Map(),
        largeContents: [],
      };
      this.loads.set(session.session_id, load);
    }
    load.session = session;
    load.source = step.source ?? load.source;
    load.messages.push(...step.messages);
    load.records.push(...step.records);
    load.quarantine.push(...step.quarantine);
    load.segments.push(...step.segments);
    load.events.push(...step.events);
    load.commits.push(commit);
    load.largeContents.push(...step.largeContents);
    for (const row of step.unresolvedSet) load.unresolved.set(keyOf(row), row);
    for (const row of step.unresolvedRemoved) load.unresolved.delete(keyOf(row));
    if (step.verdicts.length === 0) return;
    const verdicts = new Map(step.verdicts.map((verdict) => [verdict.offset, verdict]));
    for (const [i, message] of load.messages.entries()) {
      const verdict = verdicts.get(message.offset);
      if (verdict !== undefined) load.messages[i] = { ...message, ...verdict };
    }
  }
}

function keyOf(row: UnresolvedRow): string {
  return `${row.offset} ${row.parent_uuid}`;
}

/** One prepared call: a query and its parameters. */
export interface Call {
  readonly text: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

type DbRows = readonly Record<string, unknown>[];

/**
 * The calls that write a session, in order: contents in parts first, then transactions of `batchRows` messages and
 * records, each with its share of everything else, and with the session and its source.
 */
export function callsOf(load: SessionLoad, batchRows: number): Call[] {
  const id = load.session.session_id;
  const { generation } = load;
  const place = (row: { readonly offset: number }) => convert.placed(row, id, generation);
  const calls: Call[] = [];
  for (const { hash, text } of load.largeContents) {
    for (let n = 0; n * PART_CHARS < text.length; n++) {
      const parts = [{ id: [hash, n], text: text.slice(n * PART_CHARS, (n + 1) * PART_CHARS) }];
      calls.push({ text: "INSERT IGNORE INTO content_part $parts RETURN NONE", parameters: { parts } });
    }
  }
  const placedRows = [
    ...load.messages.map((row) => ({ table: "message", offset: row.offset, row: place(row) })),
    ...load.records.map((row) => ({ table: "record", offset: row.offset, row: place(row) })),
  ].sort((a, b) => a.offset - b.offset);
  const batches = Math.max(1, Math.ceil(placedRows.length / batchRows));
  const others: Record<string, DbRows> = {
    quarantine: load.quarantine.map(place),
    source_segment: load.segments.map((row) => convert.segmentToDb(row, id, generation)),
    repair_event: load.events.map((row) => convert.eventToDb(row, id)),
    unresolved: [...load.unresolved.values()].map(convert.unresolvedToDb),
    commit: load.commits.map((row) => convert.commitToDb(row, id)),
  };
  for (let i = 0; i < batches; i++) {
    const batch = placedRows.slice(i * batchRows, (i + 1) * batchRows);
    const tables: Record<string, DbRows> = {
      message: batch.filter(({ table }) => table === "message").map(({ row }) => row),
      record: batch.filter(({ table }) => table === "record").map(({ row }) => row),
    };
    for (const [table, all] of Object.entries(others)) tables[table] = share(all, i, batches);
    calls.push(transaction(load, tables));
  }
  return calls;
}

/** As riffd divides a content that is too long for a row. */
const PART_CHARS = 256 * 1024;

/** The part of `all` that falls to batch `i` of `batches`. */
function share(all: DbRows, i: number, batches: number): DbRows {
  return all.slice(Math.floor((i * all.length) / batches), Math.floor(((i + 1) * all.length) / batches));
}

function transaction(load: SessionLoad, tables: Readonly<Record<string, DbRows>>): Call {
  const parameters: Record<string, unknown> = {
    held: convert.sessionRecord(load.session.session_id),
    row: convert.sessionToDb(load.session),
  };
  const parts = ["BEGIN;"];
  for (const [table, rows] of Object.entries(tables)) {
    if (rows.length === 0) continue;
    parameters[table] = rows;
    parts.push(`INSERT INTO ${table} $${table} RETURN NONE;`);
  }
  if (load.source !== null) {
    parameters.file = convert.sourceRecord([load.source.host, load.source.path]);
    parameters.checkpoint = convert.toDb(load.source);
    parts.push("UPSERT $file CONTENT $checkpoint RETURN NONE;");
  }
  parts.push("UPSERT $held CONTENT $row RETURN NONE; COMMIT;");
  return { text: parts.join("\n"), parameters };
}

/** Runs the calls of all sessions, `inFlight` sessions at a time; those of one session stay in order. */
export async function runCalls(db: Surreal, sessions: readonly (readonly Call[])[], inFlight: number): Promise<void> {
  const queue = sessions.values();
  const work = async () => {
    for (const calls of queue) for (const { text, parameters } of calls) await run(db, text, parameters);
  };
  await Promise.all(Array.from({ length: inFlight }, work));
}

/** Writes the first `count` messages with one CREATE each, one after the other. Returns how many it wrote. */
export async function createSingly(db: Surreal, loads: Iterable<SessionLoad>, count: number): Promise<number> {
  let written = 0;
  for (const load of loads) {
    for (const message of load.messages) {
      if (written === count) return written;
      const row = convert.placed(message, load.session.session_id, load.generation);
      await run(db, "CREATE message CONTENT $row RETURN NONE", { row });
      written++;
    }
  }
  return written;
}
