// What no single session shows: whether the append-only tables still refuse changes, and rows that belong to no session.
import { DateTime, RecordId } from "surrealdb";
import { toError } from "../errors.ts";
import { isDenied } from "../store/transaction.ts";
import { show } from "../sync/proof/difference.ts";
import { proveFeed } from "./feed.ts";
import { keyOf, SESSION_TABLES, type VerifyReader } from "./reader.ts";

/** Proves that the append-only tables refuse changes. Returns what is wrong, in words. */
export async function verifyGuards(reader: VerifyReader): Promise<string[]> {
  const problems: string[] = [];
  for (const guard of GUARDS) problems.push(...(await proveGuard(reader, guard)));
  return problems;
}

/** Proves the rest of the whole store, but for what its sessions prove. Returns what is wrong, in words. */
export async function verifyWhole(reader: VerifyReader, sessionIds: readonly string[]): Promise<string[]> {
  const problems: string[] = [];
  for (const table of SESSION_TABLES) {
    for (const id of await reader.strayIds(table, sessionIds)) {
      problems.push(`${table}:${show(id.id)} belongs to no session in the store`);
    }
  }
  const known = new Set<unknown>(sessionIds);
  for (const id of await reader.sessionsOfUnresolved()) {
    if (!known.has(id)) problems.push(`unresolved parents belong to ${show(id)}, which is no session in the store`);
  }
  problems.push(...(await proveNotAgain(reader)));
  const feedProblem = await proveFeed(reader);
  if (feedProblem !== null) problems.push(feedProblem);
  const owners = new Map<unknown, unknown>();
  for (const row of await reader.sources()) {
    const { session_id } = row;
    const place = `the checkpoint of the file ${show(keyOf(row)[1])}`;
    if (!known.has(session_id))
      problems.push(`${place} belongs to ${show(session_id)}, which is no session in the store`);
    else if (owners.has(session_id))
      problems.push(`${place} and another one belong to the session ${show(session_id)}`);
    owners.set(session_id, row);
  }
  return problems;
}

/** What is not taken in again was forgotten, and someone stands for it. */
async function proveNotAgain(reader: VerifyReader): Promise<string[]> {
  const { messages, sessions } = await reader.forgotten();
  const without = await reader.withoutTombstone([...messages]);
  const forgotten = new Set(sessions.size === 0 ? [] : await reader.forgottenSessions());
  return [
    ...without.map(
      (uuid) => `the message ${show(uuid)} is not taken in again, but no tombstone says that it was forgotten`,
    ),
    ...[...sessions]
      .filter((id) => !forgotten.has(id))
      .map((id) => `the session ${show(id)} is not read again, but was not forgotten`),
  ];
}

interface Guard {
  readonly table: "commit" | "repair_event" | "source_segment" | "forgotten" | "not_again" | "feed";
  /** A change of any row; null: there is no column to change. */
  readonly change: string | null;
  /** Tried where the table has none; null: then there is nothing to guard in the whole store. */
  readonly row: Readonly<Record<string, unknown>> | null;
}

const GUARDS: readonly Guard[] = [
  { table: "commit", change: "operator = 'verify'", row: null },
  {
    table: "repair_event",
    change: "reason = 'verify'",
    row: { session_id: "", event_type: "message_added", operator: "", reason: "", timestamp: new DateTime() },
  },
  {
    table: "source_segment",
    change: "length = length + 1",
    row: { length: 0, hash: "", codec: "raw", dictionary: 0, keyframe: 0 },
  },
  { table: "forgotten", change: "length = length + 1", row: null },
  { table: "not_again", change: null, row: null },
  { table: "feed", change: "n = n + 1", row: { session_id: "", n: 0 } },
];

const NEVER_KEPT = "riffd: this is never kept";

/** Tries to change and to delete a row, in transactions that end with an error whatever happens. */
async function proveGuard(reader: VerifyReader, { table, change, row }: Guard): Promise<string[]> {
  const [[existing]] = await reader.read<[RecordId[]]>(`SELECT VALUE id FROM ${table} LIMIT 1`);
  if (existing === undefined && row === null) return [];
  const id = existing ?? new RecordId(table, ["", 0, 0]);
  const made = existing === undefined ? "CREATE $id CONTENT $row RETURN NONE;" : "";
  const problems: string[] = [];
  const tried = [["deleted", "DELETE $id RETURN BEFORE"]];
  if (change !== null) tried.unshift(["changed", `UPDATE $id SET ${change} RETURN BEFORE`]);
  for (const [verb, statement] of tried) {
    const told = await reader
      .read(
        `BEGIN; ${made} IF array::len(${statement}) = 0 { THROW 'riffd: denied' }; THROW '${NEVER_KEPT}'; COMMIT;`,
        { id, row },
      )
      .then(() => "it was kept")
      .catch((thrown: unknown) => toError(thrown).message);
    if (told.includes(`${table} is append-only`) || isDenied(new Error(told))) continue; // a reader changes nothing at all
    problems.push(
      told.includes(NEVER_KEPT)
        ? `rows of the table ${table} can be ${verb}: the event append_only, which forbids it, is not in force`
        : `whether rows of the table ${table} can be ${verb} could not be tried: ${told}`,
    );
  }
  return problems;
}
