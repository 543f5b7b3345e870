// The lines of `riffd sync --json`: one for each session, then a summary. Part of riffd's contract.
import { RiffError } from "../errors.ts";
import type { SessionSummary } from "../sync/store.ts";
import type { Output } from "./output.ts";
import { type Outcome, type Results, sumEvents, sumWritten } from "./sync-results.ts";

/** What holds for the whole run. */
export interface JsonRun {
  readonly dryRun: boolean;
  /** Sessions that --since and --until leave out; null: they were not given. */
  readonly leftOut: number | null;
  /** When it began, as `performance.now()` tells. */
  readonly started: number;
}

export function printJson(
  results: Results,
  summaries: ReadonlyMap<string, SessionSummary>,
  run: JsonRun,
  output: Output,
): void {
  let messages = 0;
  for (const outcome of results.all) {
    const summary = summaries.get(outcome.sessionId);
    messages += summary?.message_count ?? 0;
    output.line(JSON.stringify(sessionLine(outcome, summary, run.dryRun)));
  }
  output.line(JSON.stringify(summaryLine(results, messages, run)));
}

function sessionLine(outcome: Outcome, summary: SessionSummary | undefined, dryRun: boolean) {
  return {
    session_id: outcome.sessionId,
    source: outcome.path,
    status: outcome.status,
    messages: summary?.message_count ?? null,
    threads: summary?.thread_count ?? null,
    corruption_score: summary?.corruption_score ?? null,
    session_hash: summary?.session_hash ?? null,
    events: outcome.events,
    healed_rows: outcome.healedRows,
    quarantined: summary?.unreadable_count ?? null,
    duration_ms: Math.round(outcome.durationMs),
    ...(dryRun ? { dry_run: true, would_write: outcome.written } : {}),
    ...(outcome.error === null ? {} : { error: errorLine(outcome.error) }),
  };
}

function errorLine(error: Error) {
  return error instanceof RiffError
    ? { code: error.code, message: error.message, hint: error.hint }
    : { code: null, message: error.message };
}

function summaryLine(results: Results, messages: number, { dryRun, leftOut, started }: JsonRun) {
  const { all } = results;
  const statuses: Record<string, number> = {};
  for (const { status } of all) statuses[status] = (statuses[status] ?? 0) + 1;
  return {
    summary: true,
    sessions: all.length,
    statuses,
    messages,
    events: all.length === 0 ? {} : sumEvents(all),
    healed_rows: all.reduce((sum, { healedRows }) => sum + healedRows, 0),
    duration_ms: Math.round(performance.now() - started),
    ...(leftOut === null ? {} : { left_out: leftOut }),
    ...(dryRun ? { dry_run: true, would_write: sumWritten(all) } : {}),
  };
}
