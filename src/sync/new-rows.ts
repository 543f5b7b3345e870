// The checkpoint and the session's row before anything was read.
import { CHAIN_START } from "../core/chain.ts";
import { EMPTY_HASH } from "../core/hash.ts";
import type { FileFacts } from "./files.ts";
import type { SessionRow, SourceRow } from "./store.ts";
import { Totals } from "./totals.ts";

/** A file, and the session that its bytes belong to. */
export interface Place {
  readonly host: string;
  /** Absolute. */
  readonly path: string;
  readonly project: string;
  readonly sessionId: string;
}

export function factColumns({ dev, ino, size, mtime_ns, ctime_ns }: Omit<FileFacts, "mtimeMs">) {
  return { dev, ino, size, mtime_ns, ctime_ns };
}

/** A checkpoint's columns before the first byte of a generation is read. */
export const NOTHING_READ = {
  archived: 0,
  parsed: 0,
  provisional: false,
  read_to: 0,
  fingerprint: EMPTY_HASH,
  head_length: 0,
  head_hash: EMPTY_HASH,
  tail_length: 0,
  tail_hash: EMPTY_HASH,
  keyframe: 0,
  complete: false,
  settled: false,
  verified_size: 0,
  verified_at: new Date(0),
} as const;

/** The checkpoint of a file that was never read. */
export function newSource(place: Place, facts: Omit<FileFacts, "mtimeMs">): SourceRow {
  const { host, path, project, sessionId } = place;
  return {
    host,
    path,
    session_id: sessionId,
    project,
    ...factColumns(facts),
    ...NOTHING_READ,
    generation: 1,
    baseline: facts.size,
    visible_end: 0,
    prior_incomplete: false,
    superseded: false,
    verdicts_due: true,
    gone: false,
  };
}

/** The row of a session of which nothing was read. */
export function newSession(place: Place, origin: Pick<SessionRow, "kind" | "parent_session">, now: Date): SessionRow {
  const { host, path, project, sessionId } = place;
  return {
    session_id: sessionId,
    project,
    kind: origin.kind,
    parent_session: origin.parent_session,
    source: [host, path],
    generation: 1,
    ...new Totals().columns,
    thread_count: 0,
    orphan_count: 0,
    unresolved_count: 0,
    forward_links: 0,
    cut_off_count: 0,
    corruption_score: 0,
    faults: [],
    fault_count: 0,
    spared: false,
    removed_count: 0,
    damage_before: null,
    created_at: now,
    last_updated: now,
    state: "live",
    chain: 0,
    head: CHAIN_START,
    event_count: 0,
    forgotten_count: null,
    forgotten_at: null,
  };
}
