import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { statIfThere } from "../absent.ts";
import { resolveSettings } from "../config/config.ts";
import { withoutCredentials } from "../config/store-target.ts";
import { EXIT_CODES, RiffError, toError } from "../errors.ts";
import type { SessionSummary } from "../sync/store.ts";
import { formatError, type Output, plural } from "./output.ts";
import { type Candidate, resolveSession } from "./resolve.ts";
import { programCommand, shellWord } from "./shell.ts";
import type { StoreOptions } from "./store.ts";
import { type Style, styleFor } from "./style.ts";
import { printJson } from "./sync-json.ts";
import { Progress, Workload } from "./sync-progress.ts";
import { type Connection, type ReportRun, SyncReport } from "./sync-report.ts";
import { type Outcome, Results } from "./sync-results.ts";
import { candidatesOf, type Found, findTranscripts, type Selection, selectTranscripts } from "./sync-selection.ts";
import { printFailures, printSummary } from "./sync-summary.ts";
import { openWorkplace, type Workplace } from "./sync-workplace.ts";
import { describeOutside, parsePeriod } from "./when.ts";

export interface SyncOptions extends StoreOptions {
  readonly all: boolean;
  readonly force: boolean;
  readonly dryRun: boolean;
  /** Who stands on commits and events. */
  readonly operator?: string;
  readonly projects: readonly string[];
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** As typed. */
  readonly since?: string;
  readonly until?: string;
  readonly json: boolean;
  readonly quiet: boolean;
  /** Of a log, which only --watch has. */
  readonly logFormat?: string;
}

/** What holds for one run of the command. */
interface Run {
  readonly options: SyncOptions;
  readonly operator: string;
  readonly output: Output;
  readonly style: Style;
  readonly signal: AbortSignal;
  /** As `performance.now()` tells. */
  readonly started: number;
  /** When what --since and --until leave out was last written; null: they were not given. */
  readonly lastWritten: string | null;
  /** One session was named, and people are to read what becomes of it. */
  readonly report: SyncReport | null;
}

/** Runs the command; returns its exit code. Throws RiffError. */
export async function syncCommand(
  queries: readonly string[],
  options: SyncOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  if (queries.length === 0 && !options.all) {
    throw new RiffError(
      "RIFF_USAGE",
      "riffd sync needs to know what to sync.",
      "Name sessions (`riffd sync 1f2e3d4c`), or sync everything with `riffd sync --all`.",
    );
  }
  if (options.logFormat !== undefined) {
    throw new RiffError(
      "RIFF_USAGE",
      "--log-format goes together with --watch.",
      "Leave it out; --json is for programs.",
    );
  }
  const { projects, include, exclude } = options;
  const settings = resolveSettings({ projects, include, exclude, operator: options.operator }, process.env);
  const { operator } = settings;
  if (operator.trim() === "") {
    throw new RiffError("RIFF_USAGE", "--operator has no name.", "Say who syncs (`--operator ada`), or leave it out.");
  }
  const period = parsePeriod(options.since, options.until, new Date());
  const style = styleFor(process.stdout, process.env);
  const run: Run = {
    options,
    operator,
    output,
    style,
    signal,
    started: performance.now(),
    lastWritten: period === null ? null : describeOutside(period),
    report: queries.length === 1 && !options.json && !options.quiet ? new SyncReport(output, style) : null,
  };
  const found = await findTranscripts(queries, settings);
  const { size: skipped } = found.skipped;
  if (skipped > 0 && !options.quiet) output.note(`Not read: ${plural(skipped, "project")} (include, exclude).`);
  if (found.transcripts.length === 0 && queries.length === 0 && skipped === 0) return nothingToSync(found, run);
  for (const problem of found.problems) output.note(formatError(problem));

  const workplace = await open(queries, found, run);
  try {
    const selection = await selectTranscripts(queries, found, workplace, period);
    const results = await pass(workplace, found, selection, run);
    await workplace.finish(results.all);
    await tell(results, workplace, selection, run);
    return exitCodeOf(results.failed, selection, found);
  } finally {
    await workplace.close();
  }
}

/** Of a session that was named alone, that of its own failure. */
function exitCodeOf(failed: readonly Outcome[], { single }: Selection, { problems }: Found): number {
  const [first] = failed;
  if (single !== null && first?.error instanceof RiffError) return first.error.exitCode;
  return failed.length > 0 || problems.length > 0 ? EXIT_CODES.RIFF_SESSIONS_FAILED : 0;
}

function nothingToSync({ request }: Found, run: Run): number {
  const { output, options } = run;
  if (options.json)
    printJson(new Results(), new Map(), { dryRun: options.dryRun, leftOut: null, started: run.started }, output);
  if (options.quiet) return 0;
  output.note(`There are no transcripts in ${request.roots.join(", ")}.`);
  output.note("Claude Code writes them there. To see riffd at work on a sample, run:");
  output.note(`  ${sampleCommand()}`);
  return 0;
}

/** Reads the sample that comes with riffd into a store of its own. */
function sampleCommand(): string {
  const sample = relative(process.cwd(), fileURLToPath(new URL("../../examples/projects", import.meta.url)));
  const state = shellWord(join(tmpdir(), "riffd-sample"));
  return `RIFFD_STATE_DIR=${state} ${programCommand(process.env, process.cwd())} sync --all --projects ${shellWord(sample)}`;
}

async function open(
  queries: readonly string[],
  found: Found,
  { options, output, report, signal }: Run,
): Promise<Workplace> {
  try {
    return await openWorkplace(options.dryRun, options, output, signal);
  } catch (thrown) {
    report?.notConnected(findNamed(queries[0]!, candidatesOf(found)));
    throw thrown;
  }
}

async function pass(workplace: Workplace, found: Found, selection: Selection, run: Run): Promise<Results> {
  const { options, operator, signal } = run;
  const { only, single } = selection;
  const report = single === null ? null : run.report;
  const results = new Results();
  const progress = new Progress(process.stderr.isTTY && !options.json && !options.quiet ? process.stderr : null);
  signal.addEventListener("abort", () => progress.stop());
  try {
    await workplace.pass(
      {
        found,
        only,
        force: options.force,
        forceSessions: workplace.setbacks.map((setback) => setback.sessionId),
        operator,
      },
      {
        planned: (targets) => {
          if (targets[0] !== undefined) report?.header(targets[0]); // named as the session will be
          progress.start(new Workload(targets, sizeOf));
        },
        wrote: (step) => {
          results.wrote(step);
          progress.wrote(step);
        },
        ended: (told) => {
          if (results.add(told)) progress.ended(told.sessionId);
        },
      },
      signal,
    );
  } catch (thrown) {
    progress.stop();
    report?.stopped(toError(thrown), connectionOf(workplace, options));
    throw thrown;
  } finally {
    progress.stop();
  }
  return results;
}

function connectionOf({ store, storeExists }: Workplace, { dryRun }: SyncOptions): Connection {
  return { dryRun, location: store.location, storeExists };
}

function sizeOf(path: string): number {
  return statIfThere(path)?.size ?? 0;
}

async function tell(results: Results, workplace: Workplace, selection: Selection, run: Run): Promise<void> {
  const { options, output, style, report, started, lastWritten } = run;
  const { store } = workplace;
  const rows = await store.summaries();
  const summaries = new Map(rows.map((row) => [row.session_id, row]));
  const { leftOut, single } = selection;
  if (options.json) {
    printJson(
      results,
      summaries,
      { dryRun: options.dryRun, leftOut: lastWritten === null ? null : leftOut, started },
      output,
    );
  } else if (options.quiet) {
    printFailures(results.failed, style, output.note);
  } else if (report !== null && single !== null) {
    const outcome = results.all.find(({ path }) => path === single.path)!;
    const session = await store.findSession(outcome.sessionId);
    report.outcome(outcome, session, await reportRun(outcome, results.all, rows, workplace, selection, run));
  } else {
    const outside = lastWritten === null ? null : { count: leftOut, lastWritten };
    const told = { ...connectionOf(workplace, options), leftOut: outside, started };
    printSummary(results, summaries, told, style, output);
  }
}

/** null: none, or more than one. */
function findNamed(query: string, candidates: readonly Candidate[]): Candidate | null {
  try {
    return resolveSession(query, candidates, "");
  } catch {
    return null;
  }
}

/** The beginning of a uuid, the id, or the path of its file: what names one of the sessions and no other. */
function shortestName({ sessionId, path }: Candidate, sessions: readonly SessionSummary[]): string {
  const candidates = sessions.map(({ session_id, source }) => ({ sessionId: session_id, path: source[1] }));
  const names = (query: string) => findNamed(query, candidates)?.sessionId === sessionId;
  const beginning = /^[0-9a-f]{8}(?=-)/.exec(sessionId)?.[0] ?? sessionId;
  return [beginning, sessionId].find(names) ?? path;
}

/** `sessions`: all of the store. */
async function reportRun(
  { sessionId, path }: Candidate,
  outcomes: readonly Outcome[],
  sessions: readonly SessionSummary[],
  workplace: Workplace,
  { sources }: Selection,
  { options, operator }: Run,
): Promise<ReportRun> {
  const { store, host } = workplace;
  const { surrealdbUrl } = options;
  const source = sources.get(path);
  return {
    ...connectionOf(workplace, options),
    operator,
    resumes: source !== undefined && !source.complete && source.generation === 1,
    program: programCommand(process.env, process.cwd()),
    storeOptions: surrealdbUrl === undefined ? "" : ` --surrealdb-url ${shellWord(withoutCredentials(surrealdbUrl))}`,
    isLive: (await store.findSource([host, path]))?.settled === false,
    others: outcomes.filter((other) => other.path !== path && other.written.commits > 0),
    name: shortestName({ sessionId, path }, sessions),
  };
}
