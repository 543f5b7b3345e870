// What `riffd sync` tells of one session, step by step: load, connect, check, analyse, detect, write, and where it stands.
import { existsSync } from "node:fs";
import type { Fault } from "../core/graph.ts";
import { type ErrorCode, RiffError } from "../errors.ts";
import type { SessionRow } from "../sync/store.ts";
import { formatBytes, formatCount, formatError, formatScore, type Output, oneLine, plural } from "./output.ts";
import type { Candidate } from "./resolve.ts";
import { sessionLiteral, shellWord } from "./shell.ts";
import type { Style } from "./style.ts";
import { countEvents, type EventCounts, type Outcome, sumEvents } from "./sync-results.ts";
import { describeDamage, listEvents, printDryRun } from "./sync-summary.ts";

/** Faults told one by one. */
const MAX_FAULTS = 5;

/** How the store was opened. */
export interface Connection {
  readonly dryRun: boolean;
  readonly location: string;
  /** false: a dry run that found none. */
  readonly storeExists: boolean;
}

/** What the report says beside what the session's outcome says. */
export interface ReportRun extends Connection {
  readonly operator: string;
  /** Its import was begun by a run that was interrupted. */
  readonly resumes: boolean;
  /** How the user calls riffd, with what chooses the same store. */
  readonly program: string;
  readonly storeOptions: string;
  /** The file was written to so lately that it may not be whole. */
  readonly isLive: boolean;
  /** Other sessions that were written, as their parents may be in this one. */
  readonly others: readonly Outcome[];
  /** What names the session in a command. */
  readonly name: string;
}

export class SyncReport {
  readonly #output: Output;
  readonly #style: Style;

  constructor(output: Output, style: Style) {
    this.#output = output;
    this.#style = style;
  }

  header({ sessionId, path }: Candidate): void {
    this.#output.line(`Syncing session: ${this.#style.heading(sessionId)}`);
    this.#output.line(`Source: ${path}`);
    this.#output.line("");
  }

  /** The store could not be opened; nothing was read. `place`: null where only the store knows the name. */
  notConnected(place: Candidate | null): void {
    if (place !== null) this.header(place);
    this.#step(STEPS[2]);
    this.#bad("Not connected");
    this.#output.line("");
  }

  /** The pass ended before the session was done. Whoever calls it tells why. */
  stopped(error: Error, connection: Connection): void {
    if (!(error instanceof RiffError) || error.code === "RIFF_INTERRUPTED") return;
    const failed = FAILED_STEPS[error.code] ?? 6;
    if (failed !== 1) this.#connect(connection);
    this.#step(STEPS[failed]);
    this.#bad(FAILURES[failed]);
    this.#output.line("");
  }

  /** `session`: as it is now; null: it is not in the store. */
  outcome(outcome: Outcome, session: SessionRow | null, run: ReportRun): void {
    const { error } = outcome;
    if (error !== null) {
      this.stopped(error, run);
      this.#output.note(error instanceof RiffError ? formatError(error) : String(error.stack));
    } else if (session === null) throw new Error(`session ${outcome.sessionId} was synced, but is not there`);
    else if (isUpToDate(outcome) && run.others.length === 0) this.#upToDate(outcome, session, run);
    else this.#changed(outcome, session, run);
  }

  #upToDate(outcome: Outcome, session: SessionRow, run: ReportRun): void {
    this.#load(session, true);
    this.#connect(run);
    this.#step(STEPS[3]);
    this.#item(`Found existing session (hash: ${session.session_hash})`);
    this.#analysis(session, run);
    this.#output.line("");
    this.#output.line(this.#style.good("✓ Up to date"));
    if (run.dryRun) printDryRun([outcome], this.#style, this.#output);
  }

  #changed(outcome: Outcome, session: SessionRow, run: ReportRun): void {
    this.#load(session, outcome.status === "settled");
    this.#connect(run);
    this.#check(outcome, run);
    this.#analysis(session, run);
    this.#faults(session);
    this.#detect(outcome, run);
    this.#write(outcome, run);
    if (run.dryRun) {
      printDryRun([outcome, ...run.others], this.#style, this.#output);
      return;
    }
    this.#output.line("");
    this.#output.line(this.#style.good("✓ Sync Complete"));
    this.#status(outcome.before, session);
    this.#changesLogged(sumEvents([outcome, ...run.others]), run.operator);
    this.#nextSteps(session, run);
  }

  #load({ message_count, record_count, session_hash }: SessionRow, nothingNew: boolean): void {
    this.#step(STEPS[1]);
    const others = record_count === 0 ? "" : ` and ${plural(record_count, "other record")}`;
    if (nothingNew) this.#item("Nothing new since it was last synced");
    else this.#good(`Loaded ${plural(message_count, "message")}${others}`);
    this.#good(`Session hash: ${session_hash}`);
  }

  #connect({ dryRun, storeExists, location }: Connection): void {
    this.#step(STEPS[2]);
    if (!storeExists) this.#item(`There is no store yet: ${location}`);
    else if (dryRun) this.#good(`Read ${location}, which stays as it is`);
    else this.#good(`Connected to ${location}`);
  }

  #check({ before, status, path }: Outcome, run: ReportRun): void {
    this.#step(STEPS[3]);
    if (before === null) {
      this.#item("New session (not in SurrealDB)");
      return;
    }
    this.#item(`Found existing session (hash: ${before.session_hash})`);
    if (run.resumes) this.#item("Its import was interrupted, and goes on");
    if (status === "moved" || before.source[1] !== path) this.#item(`Its file was ${before.source[1]}`);
    if (before.state === "gone") this.#item("Its file was gone, and is back");
  }

  #analysis(session: SessionRow, { isLive }: ReportRun): void {
    this.#step(STEPS[4]);
    this.#item(`Messages: ${formatCount(session.message_count)}`);
    this.#item(`Threads: ${formatCount(session.thread_count)}`);
    const damage = describeDamage(session);
    const score = `Corruption: ${formatScore(session.corruption_score)}`;
    this.#item(damage === "" ? score : `${this.#style.warn(score)} (${damage})`);
    if (isLive) this.#item("Written a moment ago: missing parents are judged once the file is quiet");
  }

  /** What is cut off where, the most first. */
  #faults({ faults, fault_count }: SessionRow): void {
    const told = faults.filter(({ note }) => !note).sort((a, b) => b.cut_off - a.cut_off || a.offset - b.offset);
    for (const fault of told.slice(0, MAX_FAULTS)) {
      this.#output.line(this.#style.quiet(`      ${describeFault(fault)}`));
    }
    const more = told.length - MAX_FAULTS + fault_count - faults.length;
    if (more > 0) this.#output.line(this.#style.quiet(`      … and ${formatCount(more)} more`));
  }

  #detect({ before, status, events, healedRows }: Outcome, { resumes }: ReportRun): void {
    this.#step(before === null ? "Step 5: Initial import (no changes to detect)" : STEPS[5]);
    if (before === null) return;
    if (healedRows > 0) this.#good(`Found ${plural(healedRows, "row")} that were not what the archived bytes say`);
    const count = countEvents(events);
    if (count > 0) {
      this.#good(`Found ${plural(count, "change")}`);
      for (const [type, number] of Object.entries(events)) {
        if (number > 0) this.#output.line(`      ${formatCount(number)} ${type}`);
      }
    } else if (status === "rewritten") this.#good("The file was rewritten, but no message changed");
    else this.#good(resumes ? "None: what is read is still the initial import" : "No message changed");
  }

  #write({ written, events, healedRows }: Outcome, { dryRun, others }: ReportRun): void {
    this.#step(STEPS[6]);
    if (dryRun) {
      this.#item("Left out: this is a dry run");
      if (others.length > 0) this.#item(`It would also judge the parents in ${plural(others.length, "other session")}`);
      return;
    }
    if (written.commits > 0) this.#good("Synced session record");
    this.#good(`Logged ${plural(countEvents(events), "repair event")}`);
    const records = written.records === 0 ? "" : ` and ${plural(written.records, "other record")}`;
    this.#good(`Synced ${plural(written.messages, "message")}${records}`);
    if (healedRows > 0) this.#good(`Wrote ${plural(healedRows, "row")} again, as the archived bytes say`);
    if (written.bytes > 0) this.#good(`Archived ${formatBytes(written.bytes)}, byte for byte`);
    if (others.length > 0) this.#good(`Judged the parents in ${plural(others.length, "other session")}`);
  }

  #status(before: SessionRow | null, session: SessionRow): void {
    const { corruption_score, title, last_message_at } = session;
    const was = before === null ? null : formatScore(before.corruption_score);
    const score = formatScore(corruption_score);
    this.#section("Session Status", [
      ["Title", title === null ? null : oneLine(title)],
      ["Messages", `${formatCount(session.message_count)} in ${plural(session.thread_count, "thread")}`],
      ["Corruption", was === null || was === score ? score : `${was} → ${score}`],
      ["Last message", last_message_at?.toISOString() ?? null],
      ["Session hash", session.session_hash],
    ]);
  }

  #changesLogged(events: EventCounts, operator: string): void {
    const logged = countEvents(events) === 0 ? "none" : listEvents(events);
    this.#section("Changes Logged", [
      ["Events", logged],
      ["Operator", operator],
    ]);
  }

  #nextSteps({ session_id }: SessionRow, run: ReportRun): void {
    const { program, storeOptions, name } = run;
    const command = (verb: string, ...words: string[]) => [program, verb + storeOptions, ...words].join(" ");
    // A name that begins with a dash would be taken for an option.
    const named = name.startsWith("-") ? `-- ${shellWord(name)}` : shellWord(name);
    this.#section("Next Steps", [
      ["Prove it", command("verify", named)],
      ["Get it back", command("export", "-o", shellWord(freeFileName(session_id)), named)],
      ["Query it", command("query", shellWord(`SELECT * FROM ${sessionLiteral(session_id)}`))],
    ]);
    this.#output.line("");
    this.#output.line(
      this.#style.quiet("SurrealDB holds the canonical copy now: it stays whole when the file changes or goes."),
    );
  }

  #section(title: string, rows: readonly (readonly [label: string, value: string | null])[]): void {
    this.#output.line("");
    this.#output.line(this.#style.heading(title));
    for (const [label, value] of rows) if (value !== null) this.#output.line(`  ${`${label}:`.padEnd(14)}${value}`);
  }

  #step(text: string): void {
    this.#output.line(this.#style.heading(text));
  }

  #good(text: string): void {
    this.#output.line(`  ${this.#style.good("✓")} ${text}`);
  }

  #item(text: string): void {
    this.#output.line(`  • ${text}`);
  }

  #bad(text: string): void {
    this.#output.line(`  ${this.#style.bad("✗")} ${text}`);
  }
}

const STEPS = {
  1: "Step 1: Loading from JSONL...",
  2: "Step 2: Connecting to SurrealDB...",
  3: "Step 3: Checking existing session...",
  4: "Step 4: Analyzing session structure...",
  5: "Step 5: Detecting changes...",
  6: "Step 6: Writing to SurrealDB...",
} as const;

/** Where a failure belongs; any other is one of writing. */
const FAILED_STEPS: Readonly<Partial<Record<ErrorCode, 1 | 3>>> = {
  RIFF_FILE_UNREADABLE: 1,
  RIFF_STORE_DAMAGED: 3,
};

const FAILURES = {
  1: "Not loaded",
  3: "Not found as it must be",
  6: "Not written to the end; what was committed is complete in itself",
} as const;

function isUpToDate({ status, written }: Outcome): boolean {
  return written.commits === 0 && (status === "unchanged" || status === "settled");
}

/** Which records are cut off, or cannot be read, and why. */
function describeFault({ kind, offset, length, message_uuid, cut_off }: Fault): string {
  const from = `${formatCount(cut_off).padStart(3)} from ${oneLine(message_uuid ?? "")} on:`;
  switch (kind) {
    case "phantom":
      return `${from} its parent is missing`;
    case "cycle":
      return `${from} it is its own ancestor`;
    case "repeated_uuid":
      return `${from} it comes twice, with two parents`;
    case "unreadable":
      return `    ${plural(length, "unreadable byte")} at offset ${formatCount(offset)}`;
    default:
      return kind satisfies never;
  }
}

/** A name for a copy of a session's file that is not taken in the current folder. */
function freeFileName(sessionId: string): string {
  const stem = sessionId.slice(sessionId.lastIndexOf("/") + 1).replace(/^-+/, "");
  for (let n = 1; ; n++) {
    const name = n === 1 ? `${stem}.jsonl` : `${stem}.${n}.jsonl`;
    if (!existsSync(name)) return name;
  }
}
