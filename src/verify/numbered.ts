// Commits and events as they stand under their numbers: each where its number is due, and of its session.
import { commitFromDb, type DbRow, eventFromDb } from "../store/rows.ts";
import { Difference, differs, show } from "../sync/proof/difference.ts";
import type { CommitRow, EventRow } from "../sync/store.ts";
import { keyOf } from "./reader.ts";

type Pages = AsyncIterable<readonly DbRow[]>;

/** Throws a Difference for the first that does not stand where it should. */
export function commitsOf(sessionId: string, pages: Pages): AsyncGenerator<CommitRow> {
  return inOrder("commit", "a commit", sessionId, pages, commitFromDb);
}

/** The same. */
export function eventsOf(sessionId: string, pages: Pages): AsyncGenerator<EventRow> {
  return inOrder("event", "an event", sessionId, pages, eventFromDb);
}

async function* inOrder<T>(
  name: string,
  one: string,
  sessionId: string,
  pages: Pages,
  convert: (row: DbRow) => T,
): AsyncGenerator<T> {
  let n = 0;
  for await (const page of pages) {
    for (const row of page) {
      n++;
      const [, number, ...rest] = keyOf(row);
      if (number !== n || rest.length > 0) {
        throw typeof number === "number" && number > n
          ? new Difference(`${name} ${n} is missing: the next one is ${number}`)
          : new Difference(`${one} stands at ${show([number, ...rest])}, where ${name} ${n} is due`);
      }
      if (row.session_id !== sessionId) throw differs(`${name} ${n}`, "session_id", sessionId, row.session_id);
      yield convert(row);
    }
  }
}
