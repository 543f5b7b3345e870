// What `riffd sync` tells of many sessions: failures first, then what was done, what is damaged, and the store.
import { RiffError } from "../errors.ts";
import type { SessionSummary } from "../sync/store.ts";
import { formatBytes, formatCount, formatError, formatScore, type Output, plural } from "./output.ts";
import type { Style } from "./style.ts";
import { countEvents, type EventCounts, type Outcome, type Results, sumEvents, sumWritten } from "./sync-results.ts";

/** Failed or damaged sessions told by name. */
const MAX_TOLD = 10;

/** What holds for the whole run. */
export interface Run {
  readonly dryRun: boolean;
  readonly location: string;
  /** false: a dry run that found none. */
  readonly storeExists: boolean;
  /** Sessions that --since and --until leave out, and when those were last written; null: they were not given. */
  readonly leftOut: { readonly count: number; readonly lastWritten: string } | null;
  /** When it began, as `performance.now()` tells. */
  readonly started: number;
}

export type Summaries = ReadonlyMap<string, SessionSummary>;

export function printSummary(results: Results, summaries: Summaries, run: Run, style: Style, output: Output): void {
  printFailures(results.failed, style, output.line);
  printStatuses(results.all, summaries, run.dryRun, style, output);
  if (run.leftOut !== null && run.leftOut.count > 0) {
    output.line(`• left out: ${plural(run.leftOut.count, "session")}, last written ${run.leftOut.lastWritten}`);
  }
  const events = sumEvents(results.all);
  if (!run.dryRun && countEvents(events) > 0) output.line(`${style.good("✓")} logged: ${listEvents(events)}`);
  const healed = results.all.reduce((sum, { healedRows }) => sum + healedRows, 0);
  if (healed > 0) {
    const what = `${plural(healed, "row")} that were not what the archived bytes say`;
    output.line(run.dryRun ? `• would write again: ${what}` : `${style.good("✓")} written again: ${what}`);
  }
  printDamage(results.all, summaries, style, output);
  printStore(summaries, run, style, output);
  if (run.dryRun) printDryRun(results.all, style, output);
}

/** Those that failed, each with what to do. */
export function printFailures(failed: readonly Outcome[], style: Style, print: (line: string) => void): void {
  if (failed.length === 0) return;
  print(`${style.bad("✗")} failed: ${plural(failed.length, "session")}`);
  for (const { sessionId, path, error } of failed.slice(0, MAX_TOLD)) {
    print(`    ${style.heading(sessionId)}  ${path}`);
    print(indent(error instanceof RiffError ? formatError(error) : String(error?.stack)));
  }
  if (failed.length > MAX_TOLD) print(`    … and ${formatCount(failed.length - MAX_TOLD)} more`);
}

type Status = Exclude<Outcome["status"], "failed">;

/** In the order in which they are told; done, and as it would be done. */
const STATUSES: Readonly<Record<Status, readonly [done: string, would: string]>> = {
  imported: ["imported", "would import"],
  appended: ["appended", "would append"],
  rewritten: ["rewritten", "would store rewritten"],
  settled: ["settled", "would settle"],
  moved: ["moved", "would move"],
  back: ["back", "would mark as back"],
  healed: ["healed", "would heal"],
  gone: ["gone", "would mark as gone"],
  unchanged: ["unchanged", "unchanged"],
  forgotten: ["forgotten, and not read", "forgotten, and not read"],
};

function printStatuses(
  all: readonly Outcome[],
  summaries: Summaries,
  dryRun: boolean,
  style: Style,
  output: Output,
): void {
  for (const status of Object.keys(STATUSES) as Status[]) {
    const outcomes = all.filter((outcome) => outcome.status === status);
    if (outcomes.length === 0) continue;
    const [done, would] = STATUSES[status];
    const isNews = status !== "unchanged";
    const messages = outcomes.reduce((sum, { sessionId }) => sum + (summaries.get(sessionId)?.message_count ?? 0), 0);
    const added = outcomes.reduce((sum, { written }) => sum + written.messages, 0);
    const counted = status === "appended" ? plural(added, "new message") : plural(messages, "message");
    const sign = isNews && !dryRun ? style.good("✓") : "•";
    output.line(`${sign} ${dryRun ? would : done}: ${plural(outcomes.length, "session")}, ${counted}`);
  }
}

function printDamage(all: readonly Outcome[], summaries: Summaries, style: Style, output: Output): void {
  const damaged = all
    .map(({ sessionId }) => summaries.get(sessionId))
    .filter((summary) => summary !== undefined)
    .filter((summary) => summary.corruption_score > 0)
    .sort((a, b) => b.cut_off_count + b.unreadable_count - (a.cut_off_count + a.unreadable_count));
  if (damaged.length === 0) return;
  output.line(`${style.warn("•")} damaged: ${plural(damaged.length, "session")}`);
  for (const summary of damaged.slice(0, MAX_TOLD)) {
    const score = style.warn(formatScore(summary.corruption_score).padStart(7));
    output.line(`    ${score}  ${summary.session_id}  ${describeDamage(summary)}`);
  }
  if (damaged.length > MAX_TOLD) output.line(`    … and ${formatCount(damaged.length - MAX_TOLD)} more`);
}

/** "223 records cut off, 1 unreadable piece"; nothing where there is no damage. */
export function describeDamage({
  cut_off_count,
  unreadable_count,
}: Pick<SessionSummary, "cut_off_count" | "unreadable_count">): string {
  return [
    cut_off_count > 0 ? `${plural(cut_off_count, "record")} cut off` : "",
    unreadable_count > 0 ? plural(unreadable_count, "unreadable piece") : "",
  ]
    .filter(Boolean)
    .join(", ");
}

function printStore(summaries: Summaries, run: Run, style: Style, output: Output): void {
  const total = [...summaries.values()].reduce((sum, summary) => sum + summary.message_count, 0);
  const holds = `${plural(summaries.size, "session")}, ${plural(total, "message")}`;
  const seconds = `${((performance.now() - run.started) / 1000).toFixed(1)} s`;
  output.line(`Store: ${run.location}${run.storeExists ? "" : " (not there yet)"}`);
  output.line(style.quiet(`       ${run.dryRun ? `would hold ${holds}` : holds} · ${seconds}`));
}

/** The end of a dry run. */
export function printDryRun(outcomes: readonly Outcome[], style: Style, output: Output): void {
  const events = sumEvents(outcomes);
  const written = sumWritten(outcomes);
  const count = countEvents(events);
  const bytes = written.bytes === 0 ? "" : `, ${formatBytes(written.bytes)} of transcripts`;
  const records = written.records === 0 ? "" : `, ${plural(written.records, "other record")}`;
  output.line("");
  output.line(style.heading("DRY RUN - No changes written"));
  output.line(`  Would log ${plural(count, "repair event")}${count === 0 ? "" : `: ${listEvents(events)}`}`);
  output.line(`  Would sync ${plural(written.messages, "message")}${records}${bytes}`);
}

/** "20 message_added, 4 parent_repaired". */
export function listEvents(events: EventCounts): string {
  return Object.entries(events)
    .filter(([, count]) => count > 0)
    .map(([type, count]) => `${formatCount(count)} ${type}`)
    .join(", ");
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "      ");
}
