// Files as the status tells of them.
import { RiffError } from "../errors.ts";
import type { KnownFiles } from "./known-files.ts";
import type { Naming } from "./naming.ts";
import type { LiveFile } from "./pipeline-status.ts";
import type { SourceRow } from "./store.ts";
import type { Work } from "./work-list.ts";

/** One with something to do. */
export function liveFile(work: Work, known: KnownFiles, naming: Naming): LiveFile {
  const { path, state, size, lastSeen, attempts, error, failedAt } = work;
  const source = known.find(path);
  return {
    path,
    session_id: source?.session_id ?? naming.find(path)?.sessionId ?? null,
    state,
    lag_bytes: Math.max(0, size - (source?.archived ?? 0)),
    changed_at: new Date(lastSeen),
    attempts,
    failed_at: failedAt === null ? null : new Date(failedAt),
    error: error === null ? null : told(error),
  };
}

/** One that is up to date, but was written to so lately that it is not settled. */
export function unsettledFile({ path, session_id, mtime_ns }: SourceRow): LiveFile {
  const changed_at = new Date(Number(BigInt(mtime_ns) / 1_000_000n));
  return { path, session_id, state: null, lag_bytes: 0, changed_at, attempts: 0, failed_at: null, error: null };
}

function told(error: Error): NonNullable<LiveFile["error"]> {
  return error instanceof RiffError
    ? { code: error.code, message: error.message, hint: error.hint }
    : { code: null, message: error.message, hint: null };
}
