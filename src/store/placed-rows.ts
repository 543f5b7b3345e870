// Reads rows that lie in byte order under their session and generation, as they stand there, also where none should.
import type { RecordId } from "surrealdb";
import type { EntryTable } from "../sync/store.ts";
import type { DbRow } from "./rows.ts";

/** Runs a query and returns the results of its statements. */
type Read = <T extends unknown[]>(text: string, parameters: Record<string, unknown>) => Promise<T>;

/** Rows of a generation with `from <= offset < to` in order, at most `limits` of each table. */
export async function readRowsBetween(
  read: Read,
  range: { readonly s: string; readonly g: number; readonly from: number; readonly to: number },
  limits: Readonly<Record<EntryTable, number>>,
): Promise<Record<EntryTable, DbRow[]>> {
  const [message, record, quarantine] = await read<[DbRow[], DbRow[], DbRow[]]>(
    `SELECT * FROM message:[$s, $g, $from]..[$s, $g, $to] LIMIT $message;
     SELECT * FROM record:[$s, $g, $from]..[$s, $g, $to] LIMIT $record;
     SELECT * FROM quarantine:[$s, $g, $from]..[$s, $g, $to] LIMIT $quarantine;`,
    { ...range, ...limits },
  );
  return { message, record, quarantine };
}

/**
 * Ids of rows that stand in none of the generations (each `[0, end)`, in order of their numbers): places that bytes
 * cannot have given them. At most `limit` of each gap.
 */
export async function readStrayIds(
  read: Read,
  table: EntryTable | "source_segment" | "forgotten",
  sessionId: string,
  generations: readonly { readonly generation: number; readonly end: number }[],
  limit: number,
): Promise<RecordId[]> {
  const first = generations[0]!;
  const last = generations.at(-1)!;
  const gaps = generations.slice(1).map((next, i) => {
    const previous = generations[i]!;
    return [previous.generation, previous.end, next.generation, 0];
  });
  const [before, between, after] = await read<[RecordId[], RecordId[][], RecordId[]]>(
    `SELECT VALUE id FROM ${table}:[$s, NONE]..[$s, $g, 0] LIMIT $limit;
     RETURN $gaps.map(|$gap| (SELECT VALUE id FROM ${table}:[$s, $gap[0], $gap[1]]..[$s, $gap[2], $gap[3]] LIMIT $limit));
     SELECT VALUE id FROM ${table}:[$s, $h, $end]..[$s, ..] LIMIT $limit;`,
    { s: sessionId, g: first.generation, gaps, h: last.generation, end: last.end, limit },
  );
  return [...before, ...between.flat(), ...after];
}
