// Proves one session: chain → events → bytes → rows → verdicts, and its file where it exists. Every generation is read
// once, from its first byte to its last, in memory that does not grow with it (but for the graph).

import { RiffError, toError } from "../errors.ts";
import { Unanswered } from "../store/database.ts";
import { unresolvedFromDb } from "../store/rows.ts";
import type { Files } from "../sync/files.ts";
import { interrupted, versionKey } from "../sync/look.ts";
import { BytesProof } from "../sync/proof/bytes.ts";
import {
  type Chain,
  chainColumns,
  type GenerationLinks,
  proveChain,
  type RememberedHead,
} from "../sync/proof/chain.ts";
import { compareColumns, Difference, placeOf, show } from "../sync/proof/difference.ts";
import { DigestProof } from "../sync/proof/digests.ts";
import { proveEvents, type Vanished, type VanishedMessages } from "../sync/proof/events.ts";
import { archivedEntries, TombstoneCursor } from "../sync/reload.ts";
import type { Entry } from "../sync/steps.ts";
import type { SessionRow, SourceRow, Tombstone, UnresolvedRow } from "../sync/store.ts";
import { GraphTracker } from "../sync/tracker.ts";
import { FileProof } from "./file.ts";
import { commitsOf, eventsOf } from "./numbered.ts";
import { keyOf, placeOfRow, type VerifyReader } from "./reader.ts";
import { type Expected, RowsProof, surplus } from "./rows.ts";
import { notWritten, proveSegments, type SegmentFacts } from "./segments.ts";
import { readSession, readSource } from "./session-row.ts";
import { forgettingNotes, GoneProof, proveTombstones } from "./tombstones.ts";
import { proveFresh, proveLeft, VerdictsProof } from "./verdicts.ts";

export interface VerifyContext {
  readonly reader: VerifyReader;
  /** What this machine last saw of each chain. */
  readonly heads: { find(sessionId: string): RememberedHead | undefined };
  /** Random id of this machine's state folder; files of other machines are not looked at. */
  readonly host: string;
  readonly files: Files;
  /** Aborted: stop. */
  readonly signal: AbortSignal;
}

/** What was proved of a session, or the first thing in which it is not what it should be. */
export interface SessionVerdict {
  readonly sessionId: string;
  readonly problem: string | null;
  /** What is no fault of the store. */
  readonly notes: readonly string[];
  readonly commits: number;
  readonly events: number;
  readonly messages: number;
  /** Archived bytes of the generation that readers see. */
  readonly bytes: number;
}

/** Entries compared with the store at a time: as many, or as many bytes. */
const BATCH_ROWS = 1000;
const BATCH_BYTES = 1024 * 1024;

/** Proves one session. Throws only what stops everything: a store that cannot be read, an interrupt. */
export async function verifySession(context: VerifyContext, sessionId: string): Promise<SessionVerdict> {
  const proof = new SessionProof(context, sessionId);
  let problem: string | null = null;
  try {
    await proof.run();
  } catch (thrown) {
    problem = problemOf(thrown);
  }
  return { sessionId, problem, notes: proof.notes, ...proof.counts };
}

/** What is wrong, in words. Throws what stops everything. */
export function problemOf(thrown: unknown): string {
  const error = toError(thrown);
  if (error instanceof Difference) return error.message;
  if (error instanceof Unanswered) throw error;
  if (error instanceof RiffError) {
    if (error.code !== "RIFF_STORE_DAMAGED") throw error;
    return error.message;
  }
  return `the store holds something unexpected: ${error.message}`;
}

class SessionProof {
  readonly #context: VerifyContext;
  readonly #id: string;
  /** Rows of messages that had vanished and came back, which should have gone then. */
  readonly #returned: string[] = [];
  readonly notes: string[] = [];
  readonly counts = { commits: 0, events: 0, messages: 0, bytes: 0 };

  constructor(context: VerifyContext, sessionId: string) {
    this.#context = context;
    this.#id = sessionId;
  }

  async run(): Promise<void> {
    const { reader, heads } = this.#context;
    const row = await reader.session(this.#id);
    if (row === null) throw new Difference("the session's row is missing");
    const chain = await proveChain(
      this.#id,
      commitsOf(this.#id, reader.numbered("commit", this.#id)),
      heads.find(this.#id),
    );
    this.counts.commits = chain.links.length;
    const session = readSession(row);
    compareColumns("the session's row", chainColumns(this.#id, chain), session);
    const vanished = await proveEvents(eventsOf(this.#id, reader.numbered("repair_event", this.#id)), chain.links);
    this.counts.events = chain.events;
    compareColumns("the session's row", { event_count: chain.events }, session);
    const segments = new Map<number, SegmentFacts>();
    for (const links of chain.generations) {
      const { generation, archived } = links;
      segments.set(generation, await proveSegments(reader.segments(this.#id, generation, archived), links));
    }
    const stray = await reader.strayRow("source_segment", this.#id, generationRanges(chain));
    if (stray !== null) throw notWritten(stray);
    await proveTombstones(this.#id, reader, chain);
    this.notes.push(...forgettingNotes(chain.links));

    const source = await this.#source(session);
    const readings = readingsOf(chain, session, source, vanished);
    const unresolved = await this.#unresolved(session, source);
    const file = await FileProof.open(this.#context, source, session, this.notes);
    let rowsDifference: unknown = null;
    const missing = new Map<string, Gone>();
    let visible: VerdictsProof | null = null;
    try {
      for (const reading of readings) {
        const read = await this.#readGeneration(reading, source, segments, unresolved, missing, file);
        rowsDifference ??= read.difference;
        visible ??= read.visible;
      }
    } finally {
      await file?.close();
    }
    if (rowsDifference !== null) throw rowsDifference;
    await this.#strays(chain);
    const [returned] = this.#returned;
    if (returned !== undefined) throw new Difference(`${returned} is one too many: it has come back to the file`);
    for (const { what, found } of missing.values()) {
      if (!found) throw new Difference(`${what} is missing: it has vanished from the file, but its row should not`);
    }
    visible!.prove(session, unresolved, missing.size);
    if (!visible!.isComplete) {
      this.notes.push("its last reading was not completed, so its verdicts are not proved; `riffd sync` completes it");
    }
    file?.tell();
  }

  async #source(session: SessionRow): Promise<SourceRow> {
    const row = await this.#context.reader.source(session.source);
    if (row === null) throw new Difference(`there is no checkpoint for its file ${session.source[1]}`);
    const source = readSource(row);
    const [host, path] = session.source;
    const { session_id, project, state } = session;
    compareColumns("the checkpoint", { host, path, session_id, project, gone: state === "gone" }, source);
    return source;
  }

  async #unresolved(session: SessionRow, source: SourceRow): Promise<UnresolvedRow[]> {
    const current: UnresolvedRow[] = [];
    for (const row of await this.#context.reader.unresolved(this.#id)) {
      const what = `the unresolved parent ${show(keyOf(row))}`;
      const one = unresolvedFromDb(row);
      if (keyOf(row).length !== 4 || keyOf(row)[1] !== this.#id) throw new Difference(`${what} is one too many`);
      if (one.generation === session.generation) current.push(one);
      else if (!source.superseded || one.generation > session.generation) {
        throw new Difference(`${what} is one too many: readers see generation ${session.generation}`);
      }
    }
    return current.sort((a, b) => a.offset - b.offset);
  }

  /** Reads a generation and proves its bytes; the first difference of its rows is returned, for bytes come first. */
  async #readGeneration(
    reading: Reading,
    source: SourceRow,
    segments: ReadonlyMap<number, SegmentFacts>,
    unresolved: readonly UnresolvedRow[],
    missing: Map<string, Gone>,
    file: FileProof | null,
  ): Promise<{ difference: unknown; visible: VerdictsProof | null }> {
    const { reader } = this.#context;
    const { store } = reader;
    const { generation, links, archived } = reading.links;
    const bytes = new BytesProof(reading.links);
    const digests = new DigestProof(links);
    const visible = reading.isVisible ? new VerdictsProof(this.#id, generation, reading.isComplete) : null;
    const tracker = visible?.tracker ?? new GraphTracker(this.#id, generation);
    const rows = new RowsProof(reader, this.#id, generation, ({ entry, added }, row) => {
      visible?.note(row);
      if (reading.isBuilding) proveFresh(generation, row, added!.state);
      else if (visible === null) proveLeft(generation, row);
      const gone = entry.kind === "message" ? missing.get(versionKey(entry.uuid, added!.occurrence)) : undefined;
      if (gone?.generation === generation && gone.offset === entry.offset) gone.found = true;
    });
    let difference: unknown = null;
    const attempt = async (prove: () => void | Promise<void>) => {
      try {
        if (difference === null) await prove();
      } catch (thrown) {
        problemOf(thrown); // what stops everything is thrown on
        difference = thrown;
      }
    };

    let batch: Expected[] = [];
    let batchBytes = 0;
    const hidden = new TombstoneCursor(store.tombstones(this.#id, generation));
    const archive = {
      readArchive: (sessionId: string, of: number, _from: number, to: number) =>
        this.#proven(store.readArchive(sessionId, of, 0, archived), to, bytes, reading.isCurrent ? file : null, hidden),
      tombstones: (sessionId: string, of: number) => store.tombstones(sessionId, of),
    };
    const gone = new GoneProof(reading.links);
    const upTo = { generation, end: reading.links.readTo };
    for await (const entries of archivedEntries(archive, this.#id, upTo, (one, entry) => gone.add(one, entry))) {
      for (const entry of entries) {
        const added = entry.kind === "message" ? tracker.add(entry) : null;
        visible?.add(entry);
        let createdAt: Date | null = null;
        await attempt(() => {
          createdAt = digests.add(entry);
        });
        const removed = this.#history(reading, entry, added?.occurrence ?? 0, missing);
        batch.push({
          entry,
          added,
          createdAt,
          presence: reading.presence === "none" && removed !== null ? "maybe" : reading.presence,
          removedAt: removed?.time ?? null,
        });
        batchBytes += entry.length;
        if (batch.length < BATCH_ROWS && batchBytes < BATCH_BYTES) continue;
        const full = batch;
        await attempt(() => rows.compare(full, entry.offset + 1));
        batch = [];
        batchBytes = 0;
      }
    }
    if (bytes.difference !== null) throw bytes.difference;
    await attempt(() => gone.finish());
    if (archived > 0) await attempt(() => rows.compare(batch, archived));
    await attempt(() => digests.finish());
    if (reading.isCurrent) {
      const { fingerprint, keyframe } = segments.get(generation)!;
      // The sample is of the file's bytes: where some of them were forgotten, the archive cannot tell it any more.
      compareColumns("the checkpoint", { fingerprint, keyframe, ...gone.provable(bytes.sample) }, source);
    }
    if (visible !== null) {
      this.counts.bytes = archived;
      this.counts.messages = tracker.graph.size;
      tracker.restore(unresolved, []);
    }
    return { difference, visible };
  }

  /** Follows messages that vanish and come back; tells whether this one has vanished from here. */
  #history(reading: Reading, entry: Entry, occurrence: number, missing: Map<string, Gone>): Vanished | null {
    if (entry.kind !== "message" || !reading.links.wasVisible) return null;
    const { generation } = reading.links;
    if (missing.size > 0) {
      const key = versionKey(entry.uuid, occurrence);
      const gone = missing.get(key);
      if (gone?.found) this.#returned.push(gone.what);
      missing.delete(key);
    }
    const vanished = reading.vanished?.get(entry.offset);
    if (vanished === undefined || vanished.uuid !== entry.uuid) return null;
    const what = placeOf("message", generation, entry.offset);
    missing.set(versionKey(entry.uuid, occurrence), { generation, offset: entry.offset, what, found: false });
    return vanished;
  }

  /** The archived bytes, each chunk proved before it is given on; what lies behind `end` is only proved. */
  async *#proven(
    chunks: AsyncIterable<Buffer>,
    end: number,
    bytes: BytesProof,
    file: FileProof | null,
    hidden: TombstoneCursor,
  ): AsyncGenerator<Buffer> {
    let position = 0;
    let forgotten: Tombstone[] = [];
    for await (const chunk of chunks) {
      if (this.#context.signal.aborted) throw interrupted();
      bytes.take(chunk);
      if (file !== null) {
        const from = position;
        forgotten = forgotten.filter(({ offset, length }) => offset + length > from);
        forgotten.push(...(await hidden.upTo(position + chunk.length)));
        await file.compare(chunk, position, forgotten);
      }
      if (position < end) yield chunk.subarray(0, end - position);
      position += chunk.length;
    }
  }

  /** Rows where there are no bytes at all. */
  async #strays(chain: Chain): Promise<void> {
    for (const table of ["message", "record", "quarantine"] as const) {
      const row = await this.#context.reader.strayRow(table, this.#id, generationRanges(chain));
      if (row !== null) throw surplus(table, row);
    }
    const row = await this.#context.reader.strayRow("forgotten", this.#id, generationRanges(chain));
    if (row !== null) throw new Difference(`${placeOfRow("forgotten", row)} is one too many: there are no bytes`);
  }
}

/** A message that vanished and did not come back up to here; its row must be found. */
interface Gone {
  readonly generation: number;
  readonly offset: number;
  readonly what: string;
  found: boolean;
}

/** How a generation is to be read. */
interface Reading {
  readonly links: GenerationLinks;
  readonly presence: Expected["presence"];
  /** The one that readers see. */
  readonly isVisible: boolean;
  /** The one that the checkpoint is in. */
  readonly isCurrent: boolean;
  /** The one that readers will see. */
  readonly isBuilding: boolean;
  /** Its last look was read to its end, and so its verdicts are written. */
  readonly isComplete: boolean;
  readonly vanished: ReadonlyMap<number, Vanished> | undefined;
}

function generationRanges(chain: Chain): { generation: number; end: number }[] {
  return chain.generations.map(({ generation, archived }) => ({ generation, end: archived }));
}

function readingsOf(chain: Chain, session: SessionRow, source: SourceRow, vanished: VanishedMessages): Reading[] {
  const newest = chain.generations.at(-1)!;
  const { generation, archived, parsed, readTo } = newest;
  compareColumns(
    "the checkpoint",
    { generation, archived, parsed, read_to: readTo, provisional: readTo > parsed },
    source,
  );
  const isBuilding = source.generation !== session.generation;
  const visible = chain.generations.find((one) => one.generation === session.generation);
  if (isBuilding) compareColumns("the checkpoint", { visible_end: visible?.readTo }, source);
  return chain.generations.map((links): Reading => {
    const isVisible = links === visible;
    const isCurrent = links === newest;
    const mayBeLeft = links.generation < session.generation ? source.superseded : !isVisible;
    return {
      links,
      presence: isVisible || isCurrent ? "row" : mayBeLeft ? "maybe" : "none",
      isVisible,
      isCurrent,
      isBuilding: isCurrent && isBuilding,
      isComplete: isBuilding ? !source.prior_incomplete : source.complete,
      vanished: vanished.get(links.generation),
    };
  });
}
