// One pass of `riffd sync`, in this process or at the daemon: the same job, and the same is told of it.
import type { ControlClient } from "../control/client.ts";
import type { SyncMessage, WrittenStep } from "../control/protocol.ts";
import { writtenStep } from "../control/run-sync.ts";
import { fromWireReport } from "../control/wire.ts";
import { type ErrorCode, RiffError, toError } from "../errors.ts";
import { localFiles } from "../source/transcript-file.ts";
import type { SyncContext } from "../sync/context.ts";
import { type SessionReport, syncPass } from "../sync/sync.ts";
import type { Found } from "./sync-selection.ts";

/** What is to be done. */
interface Job {
  readonly found: Found;
  /** Paths; null: all that were found. */
  readonly only: ReadonlySet<string> | null;
  readonly force: boolean;
  /** Sessions to read again whatever the gates say. */
  readonly forceSessions: readonly string[];
  readonly operator: string;
}

/** A file that is to be read, or a session that is to be healed without one. */
export interface PlannedTarget {
  readonly path: string;
  readonly sessionId: string;
  /** Bytes that are in the store; null: it is new. */
  readonly archived: number | null;
}

/** Who is told how it goes. */
interface Listener {
  /** Once, before anything is read. */
  planned(targets: readonly PlannedTarget[]): void;
  wrote(step: WrittenStep): void;
  /** Once for each session, and again where its verdicts changed afterwards. */
  ended(report: SessionReport): void;
}

/** Throws what stops everything, and RIFF_INTERRUPTED when the signal is aborted. */
export type Pass = (job: Job, listener: Listener, signal: AbortSignal) => Promise<void>;

/** How long a file must not have been written to count as quiet. */
const QUIET_MS = 5_000;

/** A pass in this process. */
export function passHere(
  context: Pick<SyncContext, "store" | "heads" | "host" | "stepLimits" | "concurrency" | "isRehearsal">,
): Pass {
  return ({ found, only, force, forceSessions, operator }, listener, signal) =>
    syncPass(
      {
        ...context,
        operator,
        quietMs: QUIET_MS,
        now: () => new Date(),
        signal,
        onCommit: (step) => listener.wrote(writtenStep(step)),
      },
      localFiles,
      only === null ? found : { ...found, folders: new Set() },
      {
        force,
        forceSessions: new Set(forceSessions),
        only,
        onPlanned: (planned) =>
          listener.planned(
            planned.map(({ path, sessionId, source }) => ({ path, sessionId, archived: source?.archived ?? null })),
          ),
        onReport: (report) => listener.ended(report),
      },
    );
}

/** A pass of the daemon's, which finds the transcripts itself. */
export function passAtDaemon(daemon: ControlClient): Pass {
  return async ({ found, only, force, forceSessions, operator }, listener, signal) => {
    const { roots, include, exclude, outside } = found.request;
    const request = {
      roots,
      include,
      exclude,
      outside,
      only: only === null ? null : [...only],
      force,
      force_sessions: forceSessions,
      operator,
    };
    try {
      await daemon.sync(request, (message) => tell(message, listener), signal);
    } catch (thrown) {
      const error = toError(thrown);
      const hasGone = error instanceof RiffError && GONE.has(error.code) && !signal.aborted;
      throw hasGone ? wentAway(error) : error;
    }
  };
}

/** It broke off, or was stopped: it was not this command that was interrupted. */
const GONE: ReadonlySet<ErrorCode> = new Set([
  "RIFF_DAEMON_NOT_RUNNING",
  "RIFF_DAEMON_UNRESPONSIVE",
  "RIFF_INTERRUPTED",
]);

function tell(message: SyncMessage, listener: Listener): void {
  switch (message.kind) {
    case "planned":
      listener.planned(
        message.targets.map(({ path, session_id, archived }) => ({ path, sessionId: session_id, archived })),
      );
      break;
    case "wrote":
      listener.wrote(message);
      break;
    case "report":
      listener.ended(fromWireReport(message.report));
      break;
    case "done":
    case "failed":
      break; // the client resolves, or throws it
    default:
      message satisfies never;
  }
}

function wentAway(error: Error): RiffError {
  return new RiffError(
    "RIFF_STORE_UNREACHABLE",
    `The daemon went away in the middle of the sync: ${error.message}`,
    "Run the same command again: it goes on where this one stopped. What was committed is complete.",
    error,
  );
}
