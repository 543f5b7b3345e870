// The verdicts on parents in other sessions, recovered where rows that tell them were lost or altered. Three rows tell
// each: the unresolved parent, the message, and the session's list of faults. What they do not tell is left pending,
// and is decided with the other verdicts of the pass.
import type { Unresolved } from "../core/graph.ts";
import { differentColumn } from "./proof/difference.ts";
import type { NotedVerdict, VerdictNotes } from "./proof/verdicts.ts";
import type { RowId, SessionRow, Stored, UnresolvedRow } from "./store.ts";
import type { GraphTracker } from "./tracker.ts";

export interface Recovered {
  /** All that there should be, and which of them are not there as they should be. */
  readonly rows: readonly UnresolvedRow[];
  readonly broken: readonly UnresolvedRow[];
  readonly surplus: readonly RowId[];
  /** Not all that was found tells the same: the damage that follows is not news. */
  readonly isDoubtful: boolean;
}

/** `notes`: the verdicts that the message rows hold, marked where there was none. `stored`: rows as they stand there. */
export function recoverVerdicts(
  place: { readonly sessionId: string; readonly generation: number },
  tracker: GraphTracker,
  notes: VerdictNotes,
  stored: readonly Stored<UnresolvedRow>[],
  session: SessionRow | null,
): Recovered {
  const { sessionId, generation } = place;
  const left = new Map(stored.map((row) => [JSON.stringify(row.key), row]));
  const phantoms = listedPhantoms(session);
  const rows: UnresolvedRow[] = [];
  const broken: UnresolvedRow[] = [];
  let isDoubtful = false;
  for (const one of tracker.graph.unresolved()) {
    const key = JSON.stringify([one.parent, sessionId, generation, one.offset]);
    const found = left.get(key)?.columns ?? null;
    left.delete(key);
    const noted = notes.at(one.index);
    const verdict = verdictOf(one, found, noted, phantoms);
    if (verdict.state !== found?.state || (!noted.isMarked && verdict.state !== noted.state)) isDoubtful = true;
    const row: UnresolvedRow = {
      parent_uuid: one.parent,
      session_id: sessionId,
      generation,
      offset: one.offset,
      message_uuid: one.uuid,
      is_head: one.isHead,
      ...verdict,
    };
    rows.push(row);
    if (found === null || differentColumn(row, found) !== null) broken.push(row);
  }
  const surplus = [...left.values()].map(({ key }): RowId => ({ table: "unresolved", key }));
  return { rows, broken, surplus, isDoubtful };
}

type Verdict = Pick<UnresolvedRow, "state" | "found_in">;
type Phantoms = ReadonlyMap<number, string | null> | null;

/** Offset → `found_in` of the phantoms that a session lists; null: it does not list all, or there is no row. */
function listedPhantoms(session: SessionRow | null): Phantoms {
  if (session === null || session.fault_count !== session.faults.length) return null;
  const phantoms = session.faults.filter(({ kind }) => kind === "phantom");
  return new Map(phantoms.map(({ offset, found_in }) => [offset, found_in]));
}

function verdictOf(one: Unresolved, row: UnresolvedRow | null, noted: NotedVerdict, phantoms: Phantoms): Verdict {
  const state = stateOf(row?.state ?? null, noted.isMarked ? null : noted.state, phantoms?.has(one.offset) ?? null);
  const listed = phantoms?.get(one.offset) ?? null;
  if (state === "phantom") return { state, found_in: row?.state === state ? row.found_in : listed };
  if (state === "external" && row?.state === state && row.found_in !== null) return { state, found_in: row.found_in };
  return { state: "pending", found_in: null };
}

/** What most tell of the state: the row of the unresolved parent, the message's row, the list of faults. */
function stateOf(told: Verdict["state"] | null, noted: NotedVerdict["state"], isListed: boolean | null) {
  const other = noted === "pending" || noted === "external" || noted === "phantom" ? noted : null;
  if (told === null && other === null) return isListed ? "phantom" : "pending";
  if (told === null || other === null || told === other) return told ?? other;
  if (isListed === null || (told === "phantom") === isListed) return told;
  return (other === "phantom") === isListed ? other : told;
}
