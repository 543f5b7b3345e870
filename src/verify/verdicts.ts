// The verdicts of the generation that readers see, and its session's row: computed from the bytes and from the verdicts
// on parents in other sessions that the store holds, and compared with what the rows say.
import type { ParentState } from "../core/graph.ts";
import type { StoredMessage } from "../store/rows.ts";
import { withFindingsOf } from "../sync/look.ts";
import { compareColumns, Difference, differs, isNot, placeOf, show } from "../sync/proof/difference.ts";
import { VerdictNotes } from "../sync/proof/verdicts.ts";
import type { Entry } from "../sync/steps.ts";
import type { SessionRow, UnresolvedRow } from "../sync/store.ts";
import { Totals } from "../sync/totals.ts";
import { GraphTracker } from "../sync/tracker.ts";

/** A row of a generation that readers do not see yet has the verdict it was written with. */
export function proveFresh(generation: number, row: StoredMessage, state: ParentState): void {
  const found = {
    parent_state: row.parent_state,
    is_orphaned: row.is_orphaned,
    corruption_score: row.corruption_score,
  };
  const expected = { parent_state: state, is_orphaned: false, corruption_score: 0 };
  compareColumns(placeOf("message", generation, row.offset), expected, found);
}

/** A row that was left from an older generation has the verdict it had then: only its own columns tell of it. */
export function proveLeft(generation: number, row: StoredMessage): void {
  const { offset, parent_uuid, parent_state, is_orphaned, corruption_score } = row;
  const what = placeOf("message", generation, offset);
  if (!STATES.includes(parent_state) || (parent_uuid === null) !== (parent_state === "root")) {
    throw isNot(what, "parent_state", parent_uuid === null ? '"root"' : "that of a parent", parent_state);
  }
  if (is_orphaned !== (parent_state === "phantom")) throw differs(what, "is_orphaned", !is_orphaned, is_orphaned);
  if (corruption_score !== 0 && corruption_score !== 1)
    throw isNot(what, "corruption_score", "0 or 1", corruption_score);
}

const STATES: readonly ParentState[] = ["root", "resolved", "pending", "external", "phantom"];

/** A generation: its graph and totals by the bytes, and the verdicts that its rows hold. */
export class VerdictsProof {
  readonly #sessionId: string;
  readonly #generation: number;
  /** Its last look was read to its end, and so its verdicts are written. */
  readonly isComplete: boolean;
  readonly tracker: GraphTracker;
  readonly #totals = new Totals();
  readonly #notes = new VerdictNotes();

  constructor(sessionId: string, generation: number, isComplete: boolean) {
    this.#sessionId = sessionId;
    this.#generation = generation;
    this.isComplete = isComplete;
    this.tracker = new GraphTracker(sessionId, generation);
  }

  add(entry: Entry): void {
    this.#totals.add(entry);
    if (entry.kind === "piece") this.tracker.addPiece(entry);
  }

  /** Keeps the verdict of the next message row. */
  note(row: StoredMessage): void {
    this.#notes.add(row);
  }

  /** Compares verdicts, unresolved parents and the session's row with the graph. Throws a Difference. */
  prove(session: SessionRow, unresolved: readonly UnresolvedRow[], removed: number): void {
    // A session that is being forgotten has no title before the last of it has gone.
    const named = session.forgotten_at === null ? {} : { cwd: null, title: null };
    const totals = { ...this.#totals.columns, ...named };
    if (session.spared && session.kind === "main") throw differs("the session's row", "spared", false, true);
    if (!this.isComplete) {
      this.#proveVerdicts(null);
      for (const row of unresolved) {
        if (this.tracker.graph.indexAt(row.offset) < 0) throw this.#unresolvedSurplus(row);
      }
      compareColumns("the session's row", { ...totals, removed_count: removed }, session);
      return;
    }
    this.#proveUnresolved(unresolved);
    const findings = this.tracker.findings(session.spared);
    this.#proveVerdicts(new Set(findings.faults.filter((fault) => fault.cut_off > 0).map((fault) => fault.offset)));
    const expected = withFindingsOf({ ...session, ...totals, removed_count: removed }, findings, session.spared);
    compareColumns("the session's row", expected, session);
  }

  /** `scored`: offsets of the messages at which a fault with weight is told; null: not known yet. */
  #proveVerdicts(scored: ReadonlySet<number> | null): void {
    const { graph } = this.tracker;
    for (let i = 0; i < this.#notes.count; i++) {
      const { offset, state: found, isOrphaned, isScored, isOdd } = this.#notes.at(i);
      const state = graph.stateOf(i);
      const what = placeOf("message", this.#generation, offset);
      const waits = scored === null && found !== "root" && state === "resolved"; // its parent came in this look
      if (found !== state && !waits) throw differs(what, "parent_state", state, found);
      if (isOdd) throw new Difference(`${what}: is_orphaned or corruption_score is no verdict`);
      if (isOrphaned !== (found === "phantom")) throw differs(what, "is_orphaned", !isOrphaned, isOrphaned);
      if (scored === null) continue;
      if (scored.has(offset) !== isScored) throw differs(what, "corruption_score", isScored ? 0 : 1, isScored ? 1 : 0);
    }
  }

  #proveUnresolved(rows: readonly UnresolvedRow[]): void {
    const stored = new Map(rows.map((row) => [row.offset, row]));
    for (const { offset, parent, uuid, isHead } of this.tracker.graph.unresolved()) {
      const row = stored.get(offset);
      stored.delete(offset);
      const what = `the unresolved parent of ${placeOf("message", this.#generation, offset)}`;
      if (row === undefined) throw new Difference(`${what} is missing`);
      compareColumns(what, { parent_uuid: parent, message_uuid: uuid, is_head: isHead }, row);
      if (!["pending", "external", "phantom"].includes(row.state)) throw isNot(what, "state", "a verdict", row.state);
      const needsPlace = row.state === "external";
      if (row.state !== "phantom" && (row.found_in !== null) !== needsPlace) {
        throw isNot(what, "found_in", needsPlace ? "a session" : "nothing", row.found_in);
      }
    }
    const [left] = stored.values();
    if (left !== undefined || stored.size > 0) throw this.#unresolvedSurplus(left!);
    if (rows.length > this.tracker.graph.unresolved().length) throw new Difference("an unresolved parent stands twice");
  }

  #unresolvedSurplus(row: UnresolvedRow): Difference {
    const place = placeOf("message", this.#generation, row.offset);
    return new Difference(
      `the unresolved parent ${show(row.parent_uuid)} of ${place} is one too many (${this.#sessionId})`,
    );
  }
}
