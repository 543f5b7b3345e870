// riffd verify: proves that the store is what riffd wrote, from the commits down to the bytes.
import { EXIT_CODES } from "../errors.ts";
import { localFiles } from "../source/transcript-file.ts";
import type { Setback } from "../store/heads.ts";
import { interrupted } from "../sync/look.ts";
import { VerifyReader } from "../verify/reader.ts";
import type { SessionVerdict, VerifyContext } from "../verify/session.ts";
import { listSessions, verifySessions, verifyStore } from "../verify/verify.ts";
import { formatBytes, type Output, plural } from "./output.ts";
import { resolveSession } from "./resolve.ts";
import { openChosenStore, type StoreOptions } from "./store.ts";

export interface VerifyOptions extends StoreOptions {
  readonly json: boolean;
}

/** Runs the command; without sessions, on all of them. Returns its exit code. Throws RiffError. */
export async function verifyCommand(
  queries: readonly string[],
  options: VerifyOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const started = performance.now();
  const { store, heads, host, setbacks, close } = await openChosenStore(options, output, signal, { readOnly: true });
  try {
    const reader = new VerifyReader(store);
    const context: VerifyContext = { reader, heads, host, files: localFiles, signal };
    const listed = await listSessions(context);
    const lost = setbacks.filter(({ found }) => found === null).map(({ sessionId }) => sessionId);
    const all = [...listed.ids, ...lost];
    const ids = queries.length === 0 ? all : await select(queries, all, reader, store.location);
    const totals = new Totals();
    for await (const verdict of verifySessions(context, ids, setbacks)) {
      totals.add(verdict);
      for (const line of options.json ? [JSON.stringify(sessionLine(verdict))] : textLines(verdict)) output.line(line);
      if (signal.aborted) throw interrupted();
    }
    const problems = queries.length > 0 ? [] : [...listed.problems, ...(await verifyStore(context))];
    const ok = totals.failed === 0 && problems.length === 0;
    if (options.json) output.line(JSON.stringify({ ...totals.line(ok, started), problems }));
    else {
      for (const problem of problems) output.line(`✗ the store: ${problem}`);
      printSummary(totals, problems.length, started, output);
      if (!ok) printAdvice(setbacks, output);
    }
    return ok ? 0 : EXIT_CODES.RIFF_VERIFY_FAILED;
  } finally {
    await close();
  }
}

async function select(
  queries: readonly string[],
  ids: readonly string[],
  reader: VerifyReader,
  searched: string,
): Promise<string[]> {
  const paths = await reader.paths();
  const candidates = ids.map((sessionId) => ({ sessionId, path: paths.get(sessionId) ?? "" }));
  return [...new Set(queries.map((query) => resolveSession(query, candidates, `the store ${searched}`).sessionId))];
}

class Totals {
  #sessions = 0;
  #failed = 0;
  #sums = { commits: 0, events: 0, messages: 0, bytes: 0 };

  add({ problem, commits, events, messages, bytes }: SessionVerdict): void {
    this.#sessions++;
    if (problem !== null) this.#failed++;
    const sums = this.#sums;
    this.#sums = {
      commits: sums.commits + commits,
      events: sums.events + events,
      messages: sums.messages + messages,
      bytes: sums.bytes + bytes,
    };
  }

  get sessions(): number {
    return this.#sessions;
  }

  get failed(): number {
    return this.#failed;
  }

  get sums() {
    return this.#sums;
  }

  /** The last line of `--json`; part of riffd's contract. */
  line(ok: boolean, started: number) {
    return {
      summary: true,
      ok,
      sessions: this.#sessions,
      failed: this.#failed,
      ...this.#sums,
      duration_ms: Math.round(performance.now() - started),
    };
  }
}

/** One line of `--json` for a session; part of riffd's contract. */
function sessionLine({ sessionId, problem, notes, commits, events, messages, bytes }: SessionVerdict) {
  return { session_id: sessionId, ok: problem === null, problem, notes, commits, events, messages, bytes };
}

function textLines({ sessionId, problem, notes }: SessionVerdict): string[] {
  const lines = notes.map((note) => `• ${sessionId}: ${note}`);
  return problem === null ? lines : [...lines, `✗ ${sessionId}: ${problem}`];
}

function printSummary(totals: Totals, problems: number, started: number, output: Output): void {
  const { commits, events, messages, bytes } = totals.sums;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const what = `${plural(messages, "message")}, ${formatBytes(bytes)}, ${plural(commits, "commit")}, ${plural(events, "event")}`;
  if (totals.failed === 0 && problems === 0) {
    output.line(`✓ ${plural(totals.sessions, "session")} verified: ${what} · ${seconds} s`);
    return;
  }
  const failed = `${totals.failed} of ${plural(totals.sessions, "session")}`;
  const others = problems === 0 ? "" : ` and ${plural(problems, "fault")} of the store as a whole`;
  output.line(`✗ not what riffd wrote: ${failed}${others} · ${seconds} s`);
}

function printAdvice(setbacks: readonly Setback[], output: Output): void {
  output.note(
    setbacks.length > 0
      ? "Try: `riffd sync --all` reads the files again where the store is behind; else restore it from a backup."
      : "Try: `riffd sync --all --force` makes rows again from the archive. Commits, events and archived bytes cannot be made again: restore them from a backup, or move the store away and run `riffd sync --all` to read all files again.",
  );
}
