// Rebuilds what a process that read a generation would have in memory, from the archived bytes: the whole graph and the
// totals. Needed when a look was interrupted, and when verdicts change.
import { type Line, LineSplitter } from "../core/line-splitter.ts";
import { type Entry, readEntries } from "./steps.ts";
import type { SessionRow, SourceRow, Store, Tombstone } from "./store.ts";
import { Totals } from "./totals.ts";
import { GraphTracker } from "./tracker.ts";

/** The part of a generation whose entries were taken: its bytes before `end`, as those of a quiet file. */
export interface ReadUpTo {
  readonly generation: number;
  readonly end: number;
}

/**
 * The archived lines of a generation from `from` on, which begins a line; the last may be unfinished, and then counts
 * as the end of a quiet file.
 */
export async function* archivedLines(
  store: Pick<Store, "readArchive">,
  sessionId: string,
  { generation, end }: ReadUpTo,
  from = 0,
): AsyncGenerator<{ line: Line; open: boolean }> {
  const splitter = new LineSplitter(from);
  for await (const chunk of store.readArchive(sessionId, generation, from, end)) {
    for (let at = 0; at < chunk.length; ) {
      const taken = splitter.take(chunk, at);
      if (taken === null) break;
      yield { line: taken.line, open: false };
      at = taken.next;
    }
  }
  yield { line: splitter.rest(), open: true };
}

/** Entries are handed on in batches of about this many. */
const BATCH = 500;

/** Told of each tombstone, with the entry that stands there. */
export type OnTombstone = (tombstone: Tombstone, entry: Entry | null) => void;

/** The archived entries of a generation in byte order, in batches; those forgotten with the digests they had. */
export async function* archivedEntries(
  store: Pick<Store, "readArchive" | "tombstones">,
  sessionId: string,
  upTo: ReadUpTo,
  onTombstone: OnTombstone = () => {},
): AsyncGenerator<Entry[]> {
  const tombstones = new TombstoneCursor(store.tombstones(sessionId, upTo.generation));
  let entries: Entry[] = [];
  for await (const { line, open } of archivedLines(store, sessionId, upTo)) {
    readEntries(line, open, entries);
    if (entries.length < BATCH) continue;
    restoreDigests(entries, await tombstones.upTo(entries.at(-1)!.offset), onTombstone);
    yield entries;
    entries = [];
  }
  restoreDigests(entries, await tombstones.upTo(Number.POSITIVE_INFINITY), onTombstone);
  yield entries;
}

/** Hands out tombstones in byte order, a page at a time. */
export class TombstoneCursor {
  readonly #pages: AsyncIterator<Tombstone[]>;
  #page: Tombstone[] = [];
  #isDone = false;

  constructor(pages: AsyncIterable<Tombstone[]>) {
    this.#pages = pages[Symbol.asyncIterator]();
  }

  /** Those at or before `offset` that were not handed out yet. */
  async upTo(offset: number): Promise<Tombstone[]> {
    const found: Tombstone[] = [];
    for (;;) {
      const count = this.#page.findIndex((tombstone) => tombstone.offset > offset);
      found.push(...this.#page.splice(0, count < 0 ? this.#page.length : count));
      if (this.#page.length > 0 || this.#isDone) return found;
      const next = await this.#pages.next();
      if (next.done) this.#isDone = true;
      else this.#page = [...next.value];
    }
  }
}

function restoreDigests(entries: Entry[], tombstones: readonly Tombstone[], onTombstone: OnTombstone): void {
  let at = 0;
  for (const tombstone of tombstones) {
    while (at < entries.length && entries[at]!.offset < tombstone.offset) at++;
    const entry = entries[at]?.offset === tombstone.offset ? entries[at]! : null;
    if (entry !== null && entry.kind !== "piece") {
      entries[at] = { ...entry, digest: tombstone.digest, forgotten: true };
    }
    onTombstone(tombstone, entry);
  }
}

export interface Reloaded {
  readonly totals: Totals;
  readonly tracker: GraphTracker;
}

/**
 * The graph and totals of the generation that is being read. With `session`, whose visible generation it is, also the
 * verdicts that the store holds.
 */
export async function reload(store: Store, source: SourceRow, session: SessionRow | null): Promise<Reloaded> {
  const totals = new Totals();
  const tracker = new GraphTracker(source.session_id, source.generation);
  for await (const entries of archivedEntries(store, source.session_id, {
    generation: source.generation,
    end: source.read_to,
  })) {
    for (const entry of entries) {
      totals.add(entry);
      if (entry.kind === "message") tracker.add(entry);
      else if (entry.kind === "piece") tracker.addPiece(entry);
    }
  }
  if (session?.generation === source.generation) {
    const listed = session.fault_count === session.faults.length;
    const scored = listed
      ? session.faults.filter((fault) => fault.cut_off > 0).map((fault) => fault.offset)
      : await store.scoredOffsets(session.session_id, session.generation);
    const unresolved = await store.unresolvedOf(session.session_id);
    if (source.complete) tracker.graph.takeLate(); // written when that look ended
    tracker.restore(
      unresolved.filter((row) => row.generation === source.generation),
      scored,
    );
  }
  return { totals, tracker };
}
