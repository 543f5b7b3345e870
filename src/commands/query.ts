// riffd query: asks the store in SurrealQL, read-only unless told otherwise.
import { text as readAll } from "node:stream/consumers";
import { RiffError } from "../errors.ts";
import { type Answer, queryAndWrite, queryReadOnly } from "../store/query.ts";
import { jsonLines, textLines } from "./answers.ts";
import type { Output } from "./output.ts";
import { openChosenDatabase, type StoreOptions } from "./store.ts";

export interface QueryOptions extends StoreOptions {
  readonly json: boolean;
  readonly write: boolean;
}

/** Columns of a table where the output is no terminal. */
const USUAL_COLUMNS = 160;

/** Runs the command; `-` takes the query from stdin. Returns its exit code. Throws RiffError. */
export async function queryCommand(
  asked: string,
  options: QueryOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const query = asked === "-" ? await readAll(process.stdin) : asked;
  if (query.trim() === "") {
    throw new RiffError("RIFF_USAGE", "There is no query.", "For example: riffd query 'SELECT * FROM session LIMIT 3'");
  }
  const database = await openChosenDatabase(options, output, signal);
  const db = database.surreal;
  try {
    const asking = options.write ? queryAndWrite(db, query) : queryReadOnly(db, query);
    const answers = await orInterrupted(asking, signal);
    const lines = options.json ? jsonLines(answers) : textLines(answers, process.stdout.columns ?? USUAL_COLUMNS);
    for (const line of lines) output.line(line);
    const failure = firstFailure(answers);
    if (failure !== null) throw failure;
    return 0;
  } finally {
    await database.close();
  }
}

/** A statement cannot be stopped in the engine; it ends with the process. */
async function orInterrupted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(INTERRUPTED), { once: true });
  });
  return await Promise.race([work, aborted]);
}

const INTERRUPTED = new RiffError(
  "RIFF_INTERRUPTED",
  "Interrupted before the query had ended.",
  "Run it again, with bounds or a LIMIT where it takes long.",
);

/** The statement that failed first, not those that failed because it did. */
function firstFailure(answers: readonly Answer[]): RiffError | null {
  const failures = answers.flatMap((answer, i) => (answer.ok ? [] : [{ n: i + 1, message: answer.message }]));
  if (failures.length === 0) return null;
  const { n, message } = failures.find((failure) => !/not executed due to/.test(failure.message)) ?? failures[0]!;
  const which = answers.length === 1 ? "The query" : `Statement ${n} of ${answers.length}`;
  return new RiffError("RIFF_QUERY_FAILED", `${which} failed: ${message}`, hintFor(message));
}

function hintFor(message: string): string {
  if (message.endsWith(" is append-only")) {
    return "Commits, events and archived bytes are never changed; what they prove would be lost.";
  }
  if (/^The table '.*' does not exist$/.test(message)) {
    return "schema/0001-core.surql has the tables; `riffd schema status` tells whether this database has them.";
  }
  return "docs/querying.md has queries that work.";
}
