// Follows the graph while messages are added, and says what of it must be written. Two ways to the same result: with
// the whole graph in memory, or, for a few lines behind a large session, with a look-up of their parents alone.
import { type Added, type Fault, type ParentState, SessionGraph } from "../core/graph.ts";
import type { Piece } from "../core/line.ts";
import type { Message } from "../core/message.ts";
import type { Entry } from "./steps.ts";
import type { SessionRow, Store, UnresolvedRow, VerdictUpdate } from "./store.ts";

/** The graph's part of a session row, and the changes of rows that were written before. */
export interface Findings {
  readonly threadCount: number;
  readonly orphanCount: number;
  readonly cutOff: number;
  readonly unresolvedCount: number;
  readonly forwardLinks: number;
  /** All faults and notes in byte order. */
  readonly faults: readonly Fault[];
  readonly verdicts: readonly VerdictUpdate[];
  readonly unresolvedSet: readonly UnresolvedRow[];
  readonly unresolvedRemoved: readonly UnresolvedRow[];
}

export interface Tracker {
  /** Adds the next message in byte order. */
  add(message: Message): Added;
  addPiece(piece: Piece): void;
  /** A provisional piece is read again. */
  removePiece(offset: number): void;
  /** What is to be written now; what was told once is not told again. */
  findings(spareOrphans: boolean): Findings;
}

export class GraphTracker implements Tracker {
  readonly graph = new SessionGraph();
  readonly #sessionId: string;
  readonly #generation: number;
  readonly #pieces = new Map<number, Piece>();
  /** What the store holds: unresolved rows by offset, and offsets of messages with a score. */
  readonly #unresolved = new Map<number, UnresolvedRow>();
  #scored: ReadonlySet<number> = new Set();

  constructor(sessionId: string, generation: number) {
    this.#sessionId = sessionId;
    this.#generation = generation;
  }

  /** Takes over the verdicts that the store holds for messages that were added. */
  restore(unresolved: readonly UnresolvedRow[], scored: readonly number[]): void {
    for (const row of unresolved) {
      this.#unresolved.set(row.offset, row);
      const index = this.graph.indexAt(row.offset);
      if (index >= 0) this.graph.decide(index, row.state, row.found_in);
    }
    this.#scored = new Set(scored);
  }

  add(message: Message): Added {
    return this.graph.add(message);
  }

  addPiece(piece: Piece): void {
    this.#pieces.set(piece.offset, piece);
  }

  removePiece(offset: number): void {
    this.#pieces.delete(offset);
  }

  findings(spareOrphans: boolean): Findings {
    const { graph } = this;
    const analysis = graph.analyse(spareOrphans);
    const changed = new Set<number>();
    const unresolvedSet: UnresolvedRow[] = [];
    const unresolvedRemoved: UnresolvedRow[] = [];

    for (const { offset } of graph.takeLate()) {
      changed.add(offset);
      const row = this.#unresolved.get(offset);
      if (row === undefined) continue;
      unresolvedRemoved.push(row);
      this.#unresolved.delete(offset);
    }
    const unresolved = graph.unresolved();
    for (const one of unresolved) {
      const row: UnresolvedRow = {
        parent_uuid: one.parent,
        session_id: this.#sessionId,
        generation: this.#generation,
        offset: one.offset,
        message_uuid: one.uuid,
        is_head: one.isHead,
        state: one.state as UnresolvedRow["state"],
        found_in: one.foundIn,
      };
      const stored = this.#unresolved.get(one.offset);
      if (stored?.state === row.state && stored.found_in === row.found_in) continue;
      if ((stored?.state ?? "pending") !== row.state) changed.add(one.offset);
      unresolvedSet.push(row);
      this.#unresolved.set(one.offset, row);
    }
    const scored = new Set(analysis.faults.filter((fault) => fault.cut_off > 0).map((fault) => fault.offset));
    for (const offset of scored) if (!this.#scored.has(offset)) changed.add(offset);
    for (const offset of this.#scored) if (!scored.has(offset)) changed.add(offset);
    this.#scored = scored;

    return {
      threadCount: analysis.threadCount,
      orphanCount: analysis.orphanCount,
      cutOff: analysis.cutOff,
      unresolvedCount: unresolved.length,
      forwardLinks: graph.forwardLinks,
      faults: [...analysis.faults, ...[...this.#pieces.values()].map(unreadableFault)].sort(
        (a, b) => a.offset - b.offset,
      ),
      verdicts: [...changed]
        .sort((a, b) => a - b)
        .map((offset) => verdictUpdate(offset, graph.stateOf(graph.indexAt(offset)), scored.has(offset))),
      unresolvedSet,
      unresolvedRemoved,
    };
  }
}

/** More new messages than this are cheaper with the whole graph. */
const MAX_LOOKUPS = 200;

/**
 * The graph of a session as far as a few appended messages need it: their parents are looked up, nothing else is read.
 * Only for appends that cannot change what is above them; `create` tells.
 */
export class AppendTracker implements Tracker {
  readonly #session: SessionRow;
  readonly #generation: number;
  /** uuid → offset of the top of its chain, for parents in the store and messages of this append. */
  readonly #tops: Map<string, number>;
  readonly #faults: Map<number, Fault>;
  readonly #verdicts = new Map<number, VerdictUpdate>();
  readonly #unresolvedSet: UnresolvedRow[] = [];
  #threads: number;
  #unresolved: number;

  private constructor(session: SessionRow, generation: number, tops: Map<string, number>) {
    this.#session = session;
    this.#generation = generation;
    this.#tops = tops;
    this.#faults = new Map(session.faults.map((fault) => [fault.offset, fault]));
    this.#threads = session.thread_count;
    this.#unresolved = session.unresolved_count;
  }

  /** A tracker for `entries`, or null when they need the whole graph. */
  static async create(store: Store, session: SessionRow, entries: readonly Entry[]): Promise<AppendTracker | null> {
    const messages = entries.filter((entry) => entry.kind === "message");
    if (messages.length > MAX_LOOKUPS || session.message_count === 0) return null;
    if (session.fault_count > session.faults.length) return null;
    if (session.forward_links > 0 && session.faults.length > 0) return null;
    const uuids = new Set<string>();
    const parents = new Set<string>();
    for (const { uuid, parent } of messages) {
      if (uuids.has(uuid) || parent === uuid) return null; // repeated, or its own parent
      if (parents.has(uuid)) return null; // a child that stands before its parent
      uuids.add(uuid);
      if (parent !== null && !uuids.has(parent)) parents.add(parent);
    }
    if (session.unresolved_count > 0 && uuids.size > 0) {
      const waiting = await store.unresolvedWaitingFor([...uuids]);
      if (waiting.some((row) => row.session_id === session.session_id)) return null; // a late parent
    }
    const tops = new Map<string, number>();
    const found = await store.findMessages([...uuids, ...parents]);
    for (const row of found) {
      if (row.session_id !== session.session_id) continue;
      if (uuids.has(row.message_uuid)) return null; // repeats an earlier message
      if (row.occurrence === 1) tops.set(row.message_uuid, row.root_offset);
    }
    return new AppendTracker(session, session.generation, tops);
  }

  add(message: Message): Added {
    const { offset, uuid, parent } = message;
    const top = parent === null ? undefined : this.#tops.get(parent);
    const state = parent === null ? "root" : top === undefined ? "pending" : "resolved";
    const rootOffset = top ?? offset;
    this.#tops.set(uuid, rootOffset);
    if (state !== "resolved" && !(state === "root" && message.subtype === "compact_boundary")) this.#threads++;
    if (parent !== null && state === "pending") {
      this.#unresolved++;
      this.#unresolvedSet.push({
        parent_uuid: parent,
        session_id: this.#session.session_id,
        generation: this.#generation,
        offset,
        message_uuid: uuid,
        is_head: false,
        state,
        found_in: null,
      });
    }
    if (message.conversation) this.#countBelow(rootOffset);
    return { index: -1, occurrence: 1, state, rootOffset };
  }

  /** One more conversation record hangs in the tree of the message at `rootOffset`. */
  #countBelow(rootOffset: number): void {
    const fault = this.#faults.get(rootOffset);
    if (fault === undefined || fault.kind === "unreadable" || fault.kind === "repeated_uuid") return;
    // The head's note and a service agent's stay notes, whatever hangs below.
    if (fault.note && (this.#session.spared || this.#isHead(fault))) return;
    this.#faults.set(rootOffset, { ...fault, cut_off: fault.cut_off + 1, note: false });
    if (fault.kind === "phantom") this.#verdicts.set(rootOffset, verdictUpdate(rootOffset, "phantom", true));
    else this.#verdicts.set(rootOffset, verdictUpdate(rootOffset, "resolved", true));
  }

  #isHead(fault: Fault): boolean {
    return fault.kind === "phantom" && fault.is_head;
  }

  addPiece(piece: Piece): void {
    this.#faults.set(piece.offset, unreadableFault(piece));
  }

  removePiece(offset: number): void {
    this.#faults.delete(offset);
  }

  findings(): Findings {
    const faults = [...this.#faults.values()].sort((a, b) => a.offset - b.offset);
    return {
      threadCount: this.#threads,
      orphanCount: this.#session.orphan_count,
      cutOff: faults.reduce((sum, fault) => sum + fault.cut_off, 0),
      unresolvedCount: this.#unresolved,
      forwardLinks: this.#session.forward_links,
      faults,
      verdicts: [...this.#verdicts.values()],
      unresolvedSet: this.#unresolvedSet,
      unresolvedRemoved: [],
    };
  }
}

function verdictUpdate(offset: number, state: ParentState, scored: boolean): VerdictUpdate {
  return { offset, parent_state: state, is_orphaned: state === "phantom", corruption_score: scored ? 1 : 0 };
}

function unreadableFault(piece: Piece): Fault {
  return {
    kind: "unreadable",
    offset: piece.offset,
    length: piece.length,
    message_uuid: null,
    parent_uuid: null,
    found_in: null,
    reason: piece.reason,
    is_head: false,
    cut_off: 0,
    note: false,
  };
}
