// A store for rehearsals: takes steps as the real one does, keeps them in memory over a store that is only read, and
// answers as that store would if they had been written. So a dry run is the sync itself, and says what it would do.
// Rows that no step reads are not kept, and archived bytes are read again from their files.
import { xxh64Hex } from "../core/hash.ts";
import { RiffError } from "../errors.ts";
import type { Files } from "./files.ts";
import { archivedEntries } from "./reload.ts";
import type {
  ChainHead,
  CommitOutcome,
  CommitRow,
  EventRow,
  Forgotten,
  FoundMessage,
  RemovedMessage,
  SegmentRow,
  SessionRow,
  SessionSummary,
  SourceKey,
  SourceRow,
  Step,
  Store,
  StoredRows,
  StoredSegment,
  Tombstone,
  UnresolvedRow,
} from "./store.ts";
import { GraphTracker } from "./tracker.ts";

/** A segment that was not written, and the file that holds its bytes. */
type HeldSegment = SegmentRow & { readonly path: string };

/** What steps put into one generation. */
interface HeldGeneration {
  /** Entries before this offset were there before. */
  readonly parsedFrom: number;
  readonly segments: HeldSegment[];
  readonly tombstones: Tombstone[];
  /** Messages whose score was decided: whether it is above 0. */
  readonly scored: Map<number, boolean>;
}

/** Costs a few hundred bytes of memory for each message that a pass would write. */
export class DryStore implements Store {
  readonly location: string;
  readonly #base: Store | null;
  readonly #files: Files;
  readonly #sessions = new Map<string, SessionRow>();
  /** null: a step removed it. */
  readonly #sources = new Map<string, SourceRow | null>();
  /** null: a step removed it. */
  readonly #unresolved = new Map<string, UnresolvedRow | null>();
  readonly #generations = new Map<string, HeldGeneration>();
  readonly #found = new Map<string, FoundMessage[]>();
  /** Messages that vanished, by place; null: it came back. */
  readonly #removed = new Map<string, Map<string, RemovedMessage | null>>();
  /** Session → rows of generations below this are gone. */
  readonly #superseded = new Map<string, number>();

  /** `base`: the store as it is; null: there is none, so everything is new. It is never written to, nor closed. */
  constructor(base: Store | null, files: Files, location: string) {
    this.#base = base;
    this.#files = files;
    this.location = location;
  }

  async sources(host: string): Promise<SourceRow[]> {
    const rows = new Map(((await this.#base?.sources(host)) ?? []).map((row) => [keyText([row.host, row.path]), row]));
    for (const [key, row] of this.#sources) {
      if (row === null) rows.delete(key);
      else if (row.host === host) rows.set(key, row);
    }
    return [...rows.values()].sort((a, b) => compare(a.path, b.path));
  }

  async findSource(key: SourceKey): Promise<SourceRow | null> {
    const held = this.#sources.get(keyText(key));
    return held !== undefined ? held : ((await this.#base?.findSource(key)) ?? null);
  }

  async findSession(sessionId: string): Promise<SessionRow | null> {
    return this.#sessions.get(sessionId) ?? (await this.#base?.findSession(sessionId)) ?? null;
  }

  async findSessions(ids: readonly string[]): Promise<{ session: SessionRow; source: SourceRow | null }[]> {
    const based = (await this.#base?.findSessions(ids)) ?? [];
    const stored = new Map(based.map(({ session }) => [session.session_id, session]));
    const found: { session: SessionRow; source: SourceRow | null }[] = [];
    for (const id of ids) {
      const session = this.#sessions.get(id) ?? stored.get(id);
      if (session !== undefined) found.push({ session, source: await this.findSource(session.source) });
    }
    return found;
  }

  async sessionIds(): Promise<string[]> {
    return [...new Set([...((await this.#base?.sessionIds()) ?? []), ...this.#sessions.keys()])].sort();
  }

  async owners(ids: readonly string[]): Promise<Map<string, SourceKey>> {
    const owners = (await this.#base?.owners(ids)) ?? new Map<string, SourceKey>();
    for (const id of ids) {
      const session = this.#sessions.get(id);
      if (session !== undefined) owners.set(id, session.source);
    }
    return owners;
  }

  async chainHeads(): Promise<ChainHead[]> {
    return this.#overlaid((await this.#base?.chainHeads()) ?? []);
  }

  async summaries(): Promise<SessionSummary[]> {
    const rows = this.#overlaid<SessionSummary>((await this.#base?.summaries()) ?? []);
    return rows.sort((a, b) => compare(a.session_id, b.session_id));
  }

  /** Rows of the base, each replaced by the session that steps made of it, and the sessions that they added. */
  #overlaid<T extends { readonly session_id: string }>(rows: readonly T[]): (T | SessionRow)[] {
    return [...rows.filter((row) => !this.#sessions.has(row.session_id)), ...this.#sessions.values()];
  }

  async findMessages(uuids: readonly string[]): Promise<FoundMessage[]> {
    const rows = [...((await this.#base?.findMessages(uuids)) ?? [])];
    for (const uuid of uuids) rows.push(...(this.#found.get(uuid) ?? []));
    // The base knows the generations of its own sessions; what steps turned to is theirs to tell.
    return rows.filter((row) => (this.#sessions.get(row.session_id)?.generation ?? row.generation) === row.generation);
  }

  async scoredOffsets(sessionId: string, generation: number): Promise<number[]> {
    const scored = new Set((await this.#base?.scoredOffsets(sessionId, generation)) ?? []);
    for (const [offset, above] of this.#generations.get(placeText(sessionId, generation))?.scored ?? []) {
      if (above) scored.add(offset);
      else scored.delete(offset);
    }
    return [...scored].sort((a, b) => a - b);
  }

  async unresolvedOf(sessionId: string): Promise<UnresolvedRow[]> {
    const rows = this.#mergeUnresolved(
      (await this.#base?.unresolvedOf(sessionId)) ?? [],
      (row) => row.session_id === sessionId,
    );
    return rows.sort((a, b) => a.generation - b.generation || a.offset - b.offset);
  }

  async unresolvedWaitingFor(uuids: readonly string[]): Promise<UnresolvedRow[]> {
    const waitedFor = new Set(uuids);
    return this.#mergeUnresolved((await this.#base?.unresolvedWaitingFor(uuids)) ?? [], (row) =>
      waitedFor.has(row.parent_uuid),
    );
  }

  async allUnresolved(): Promise<UnresolvedRow[]> {
    return this.#mergeUnresolved((await this.#base?.allUnresolved()) ?? [], () => true);
  }

  #mergeUnresolved(base: readonly UnresolvedRow[], asked: (row: UnresolvedRow) => boolean): UnresolvedRow[] {
    const rows = new Map(base.map((row) => [unresolvedKey(row), row]));
    for (const [key, row] of this.#unresolved) {
      if (row === null) rows.delete(key);
      else if (asked(row)) rows.set(key, row);
    }
    return [...rows.values()].filter((row) => row.generation >= (this.#superseded.get(row.session_id) ?? 0));
  }

  async sessionsToSettle(): Promise<string[]> {
    const ids = ((await this.#base?.sessionsToSettle()) ?? []).filter((id) => !this.#sessions.has(id));
    for (const session of this.#sessions.values()) {
      const open = session.kind === "agent" && session.unresolved_count > 0;
      if (open || session.damage_before !== null) ids.push(session.session_id);
    }
    return ids;
  }

  async removedMessages(sessionId: string): Promise<RemovedMessage[]> {
    const base = (await this.#base?.removedMessages(sessionId)) ?? [];
    const rows = new Map<string, RemovedMessage | null>(base.map((row) => [rowKey(row), row]));
    for (const [place, row] of this.#removed.get(sessionId) ?? []) rows.set(place, row);
    return [...rows.values()]
      .filter((row) => row !== null)
      .sort((a, b) => a.generation - b.generation || a.offset - b.offset);
  }

  async *segments(sessionId: string, generation: number): AsyncIterable<SegmentRow[]> {
    if (this.#base !== null) yield* this.#base.segments(sessionId, generation);
    const held = this.#generations.get(placeText(sessionId, generation))?.segments ?? [];
    if (held.length > 0) yield held.map(({ path: _, ...segment }) => segment);
  }

  async *readArchive(sessionId: string, generation: number, from: number, to: number): AsyncIterable<Buffer> {
    const held = this.#generations.get(placeText(sessionId, generation))?.segments ?? [];
    const stored = Math.min(to, held[0]?.offset ?? to);
    if (this.#base !== null && from < stored) yield* this.#base.readArchive(sessionId, generation, from, stored);
    for (const segment of held) {
      const start = Math.max(from, segment.offset);
      const end = Math.min(to, segment.offset + segment.length);
      if (start >= end) continue;
      if (segment.shared_with !== null) yield* this.readArchive(sessionId, segment.shared_with, start, end);
      else yield (await this.#readAgain(segment)).subarray(start - segment.offset, end - segment.offset);
    }
  }

  /** The bytes of a segment, from the file they were read from. Throws RIFF_FILE_UNREADABLE when it has changed. */
  async #readAgain({ path, offset, length, hash }: HeldSegment): Promise<Buffer> {
    const file = await this.#files.open(path);
    try {
      const bytes = await file.read(offset, offset + length);
      if (bytes.length === length && xxh64Hex(bytes) === hash) return bytes;
    } finally {
      await file.close();
    }
    throw new RiffError(
      "RIFF_FILE_UNREADABLE",
      `${path} was rewritten while the dry run read it.`,
      "Run it again when the file is left alone. Nothing was written.",
    );
  }

  async forgotten(): Promise<Forgotten> {
    return (await this.#base?.forgotten()) ?? { messages: new Set(), sessions: new Set() };
  }

  async *tombstones(sessionId: string, generation: number): AsyncIterable<Tombstone[]> {
    if (this.#base !== null) yield* this.#base.tombstones(sessionId, generation);
    const held = this.#generations.get(placeText(sessionId, generation))?.tombstones ?? [];
    if (held.length > 0) yield held;
  }

  /** None: what an earlier pass has left to be destroyed again is left to the sync itself. */
  async notForgotten(): Promise<[]> {
    return [];
  }

  async *storedSegments(sessionId: string, generation: number, from: number): AsyncIterable<StoredSegment> {
    if (this.#base !== null) yield* this.#base.storedSegments(sessionId, generation, from);
  }

  // What healing reads: rows of the base, as it comes before any step of its session.

  async *commits(sessionId: string): AsyncIterable<CommitRow[]> {
    if (this.#base !== null) yield* this.#base.commits(sessionId);
  }

  async *events(sessionId: string): AsyncIterable<EventRow[]> {
    if (this.#base !== null) yield* this.#base.events(sessionId);
  }

  async rowsBetween(...place: Parameters<Store["rowsBetween"]>): Promise<StoredRows> {
    return (await this.#base?.rowsBetween(...place)) ?? { message: [], record: [], quarantine: [] };
  }

  async strayRows(...place: Parameters<Store["strayRows"]>): ReturnType<Store["strayRows"]> {
    return (await this.#base?.strayRows(...place)) ?? [];
  }

  async storedUnresolved(sessionId: string): ReturnType<Store["storedUnresolved"]> {
    return (await this.#base?.storedUnresolved(sessionId)) ?? [];
  }

  async content(row: Parameters<Store["content"]>[0]): Promise<string> {
    return (await this.#base?.content(row)) ?? row.content;
  }

  async sharersOf(...place: Parameters<Store["sharersOf"]>): ReturnType<Store["sharersOf"]> {
    return (await this.#base?.sharersOf(...place)) ?? [];
  }

  async contentsOnlyIn(...place: Parameters<Store["contentsOnlyIn"]>): Promise<string[]> {
    return (await this.#base?.contentsOnlyIn(...place)) ?? [];
  }

  async commit(step: Step): Promise<CommitOutcome> {
    const { session, source, commit, expectedSource } = step;
    const id = session.session_id;
    const chain = step.healing === null ? commit.n - 1 : (step.healing.storedChain ?? 0);
    if (((await this.findSession(id))?.chain ?? 0) !== chain) return "lost-race";
    if (source !== null) {
      const key: SourceKey = [source.host, source.path];
      if (checkpointText(await this.findSource(key)) !== checkpointText(expectedSource)) return "lost-race";
      this.#sources.set(keyText(key), source);
    }
    if (step.sourceRemoved !== null) this.#sources.set(keyText(step.sourceRemoved), null);
    this.#sessions.set(id, session);
    this.#keepRows(step);
    this.#keepVanished(step);
    for (const row of step.unresolvedSet) this.#unresolved.set(unresolvedKey(row), row);
    for (const row of step.unresolvedRemoved) this.#unresolved.set(unresolvedKey(row), null);
    if (commit.kind === "turn") await this.#findInherited(step);
    return "committed";
  }

  #keepRows(step: Step): void {
    const { session_id } = step.session;
    const { path } = step.commit;
    const generation = generationOf(step);
    const held = this.#generation(step);
    held.tombstones.push(...step.tombstones);
    for (const segment of step.segments) held.segments.push({ ...segment, data: null, path });
    for (const { message_uuid, offset, occurrence, root_offset } of step.messages) {
      this.#keepMessage({ session_id, message_uuid, generation, offset, occurrence, root_offset });
    }
    for (const { offset, corruption_score } of step.verdicts) held.scored.set(offset, corruption_score > 0);
  }

  #generation(step: Step): HeldGeneration {
    const { session, commit } = step;
    const place = placeText(session.session_id, generationOf(step));
    const known = this.#generations.get(place);
    if (known !== undefined) return known;
    const held: HeldGeneration = { parsedFrom: commit.parsed_from, segments: [], tombstones: [], scored: new Map() };
    this.#generations.set(place, held);
    return held;
  }

  #keepMessage(row: FoundMessage): void {
    const others = this.#found.get(row.message_uuid);
    if (others === undefined) this.#found.set(row.message_uuid, [row]);
    else others.push(row);
  }

  #keepVanished({ session, removed, restored }: Step): void {
    if (removed.length === 0 && restored.length === 0) return;
    const places = this.#removed.get(session.session_id) ?? new Map<string, RemovedMessage | null>();
    for (const row of removed) places.set(rowKey(row), row);
    for (const row of restored) places.set(rowKey(row), null);
    this.#removed.set(session.session_id, places);
  }

  /**
   * Readers see a generation from its turn on. What an interrupted pass left of it in the base is found in the archive:
   * no store tells the messages of a generation that readers do not see.
   */
  async #findInherited(step: Step): Promise<void> {
    const { session_id } = step.session;
    const { generation, read_to: end } = step.commit;
    const { parsedFrom } = this.#generation(step);
    if (parsedFrom === 0) return;
    const tracker = new GraphTracker(session_id, generation);
    for await (const entries of archivedEntries(this, session_id, { generation, end })) {
      for (const entry of entries) {
        if (entry.kind !== "message" || entry.offset >= parsedFrom) continue;
        const { occurrence, rootOffset: root_offset } = tracker.add(entry);
        const { uuid: message_uuid, offset } = entry;
        this.#keepMessage({ session_id, message_uuid, generation, offset, occurrence, root_offset });
      }
    }
  }

  async updateSource(source: SourceRow, expected: SourceRow): Promise<boolean> {
    const key: SourceKey = [source.host, source.path];
    const now = await this.findSource(key);
    if (checkpointText(now) !== checkpointText(expected)) return false;
    this.#sources.set(keyText(key), source);
    return true;
  }

  async clearVerdictsDue(sources: readonly SourceRow[]): Promise<void> {
    for (const { host, path } of sources) {
      const source = await this.findSource([host, path]);
      if (source !== null) this.#sources.set(keyText([host, path]), { ...source, verdicts_due: false });
    }
  }

  async removeSuperseded(sessionId: string, visibleGeneration: number): Promise<void> {
    this.#superseded.set(sessionId, visibleGeneration);
  }

  async close(): Promise<void> {}
}

/** The generation that the rows of a step belong to. */
function generationOf({ commit, healing }: Step): number {
  return healing?.generation ?? commit.generation;
}

/** What a store compares of a checkpoint before it replaces it. */
function checkpointText(source: SourceRow | null): string {
  return source === null ? "none" : `${source.generation} ${source.archived} ${source.parsed}`;
}

function keyText(key: SourceKey): string {
  return JSON.stringify(key);
}

function unresolvedKey({ parent_uuid, session_id, generation, offset }: UnresolvedRow): string {
  return JSON.stringify([parent_uuid, session_id, generation, offset]);
}

function placeText(sessionId: string, generation: number): string {
  return `${generation} ${sessionId}`;
}

function rowKey({ generation, offset }: RemovedMessage): string {
  return `${generation} ${offset}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
