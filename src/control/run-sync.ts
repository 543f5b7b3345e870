// A sync that a command asked the daemon for: the same pass as without a daemon, told as messages.
import type { SyncContext } from "../sync/context.ts";
import type { Files } from "../sync/files.ts";
import type { Step } from "../sync/store.ts";
import { type PassOptions, type Scan, type SessionReport, syncPass } from "../sync/sync.ts";
import type { SyncMessage, SyncRequest, WrittenStep } from "./protocol.ts";
import { toWireError, toWireReport } from "./wire.ts";

/** Where the sync works. */
export interface SyncPlace {
  /** Operator, signal and whom to tell of commits are the request's. */
  readonly context: Omit<SyncContext, "operator" | "signal" | "onCommit">;
  readonly files: Files;
  /** Finds the transcripts that are meant. */
  scan(request: SyncRequest): Promise<Scan>;
  /** As in PassOptions. */
  readonly runJob?: PassOptions["runJob"];
  /** Told of each step that was written, besides whoever asked. */
  onCommit?(step: Step): void;
  /** The same of what became of a session. */
  onReport?(report: SessionReport): void;
}

/**
 * Runs a sync and tells what happens, in order; the last message is `done` or `failed`. Aborting `signal` begins nothing
 * new. Never rejects.
 */
export async function runSyncRequest(
  request: SyncRequest,
  { context, files, scan, runJob, onCommit, onReport }: SyncPlace,
  tell: (message: SyncMessage) => void,
  signal: AbortSignal,
): Promise<void> {
  const { only, force, force_sessions, operator } = request;
  try {
    const found = await scan(request);
    await syncPass(
      {
        ...context,
        operator,
        signal,
        onCommit: (step) => {
          onCommit?.(step);
          tell({ kind: "wrote", ...writtenStep(step) });
        },
      },
      files,
      only === null ? found : { ...found, folders: new Set() },
      {
        force,
        forceSessions: new Set(force_sessions),
        only: only === null ? null : new Set(only),
        onPlanned: (planned) =>
          tell({
            kind: "planned",
            targets: planned.map(({ path, sessionId, source }) => ({
              path,
              session_id: sessionId,
              archived: source?.archived ?? null,
            })),
          }),
        onReport: (report) => {
          onReport?.(report);
          tell({ kind: "report", report: toWireReport(report) });
        },
        ...(runJob === undefined ? {} : { runJob }),
      },
    );
    tell({ kind: "done" });
  } catch (thrown) {
    tell({ kind: "failed", error: toWireError(thrown) });
  }
}

export function writtenStep({ session, commit, messages, records }: Step): WrittenStep {
  return {
    session_id: session.session_id,
    messages: messages.length,
    records: records.length,
    bytes: commit.to - commit.from,
  };
}
