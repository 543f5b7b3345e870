// Destroys what a session holds of a message, or all that it holds, in every generation: the bytes become skeletons and
// filler of the same length, the rows lose their content, and tombstones keep the digests that all proofs go by.
// docs/semantics.md, section 7. Each commit is complete in itself: whatever interrupts it, a second run goes on.
import { sha256Hex, xxh64Hex, xxh64OfChunks } from "../core/hash.ts";
import type { Item } from "../core/line.ts";
import { itemsOf, type Line } from "../core/line-splitter.ts";
import { readRecord } from "../core/message.ts";
import { fillerAt, type Replacement, skeletonAt } from "../core/skeleton.ts";
import type { SyncContext } from "./context.ts";
import { interrupted, LostRace, outrun, SessionLog } from "./look.ts";
import { type Generation, redact } from "./redact.ts";
import { archivedLines, TombstoneCursor } from "./reload.ts";
import { isNamed } from "./steps.ts";
import { type Destroyed, type ForgetScope, MAX_CONTENT_CHARS, type Store, type Tombstone } from "./store.ts";

/** What is to be forgotten of a session, and why. */
export interface Order {
  /** null: everything. */
  readonly messages: ReadonlySet<string> | null;
  readonly reason: string;
}

/** What was destroyed of a session, or would be. */
export interface Loss {
  readonly sessionId: string;
  readonly messages: number;
  readonly records: number;
  readonly pieces: number;
  readonly bytes: number;
  readonly generations: readonly number[];
}

/** What one commit destroys at most, but for what stands on one line. */
const MAX_VALUES = 500;
const MAX_BYTES = 4 * 1024 * 1024;

/** A lost race is tried again this often. */
const MAX_RACES = 5;

/** One value or piece that is to be destroyed. */
interface Doomed {
  readonly tombstone: Tombstone;
  readonly replacement: Replacement;
  /** The hash of its content, if that is so large that it stands in parts. */
  readonly contentHash: string | null;
}

/** Values and pieces of one generation that one commit destroys. */
interface Batch {
  readonly doomed: readonly Doomed[];
  /** The session's title and folder once they are gone; null: not known, for they are not all that is to go. */
  readonly claims: { readonly cwd: string | null; readonly title: string | null } | null;
}

/** What forgetting would destroy of a session; null: nothing that was not destroyed before. Reads, and writes nothing. */
export async function survey(store: Store, sessionId: string, order: Order): Promise<Loss | null> {
  const count = new Losses(sessionId);
  for (const generation of await generationsOf(store, sessionId)) {
    for await (const { doomed } of batches(store, sessionId, generation, order)) count.add(doomed);
  }
  return count.loss;
}

/**
 * Destroys it. Returns what was destroyed; null: there was nothing left to destroy, and nothing was written. Throws the
 * store's failures and RIFF_INTERRUPTED; what was committed until then is complete.
 */
export async function forgetIn(context: SyncContext, sessionId: string, order: Order): Promise<Loss | null> {
  const count = new Losses(sessionId);
  for (let race = 0; ; race++) {
    try {
      await forgetOnce(context, sessionId, order, count);
      return count.loss;
    } catch (thrown) {
      if (!(thrown instanceof LostRace)) throw thrown;
      if (race === MAX_RACES) throw outrun(sessionId, thrown);
    }
  }
}

async function forgetOnce(context: SyncContext, sessionId: string, order: Order, count: Losses): Promise<void> {
  const { store } = context;
  const [found] = await store.findSessions([sessionId]);
  if (found === undefined || found.source === null) return;
  const log = new SessionLog(context, found.session, found.source);
  const generations = await generationsOf(store, sessionId);
  if (order.messages === null && found.session.forgotten_at === null) {
    await write(context, log, generations[0]!, generations, order, { doomed: [], claims: null });
  }
  // The newest first: what it shares with older ones has become its own before theirs is destroyed.
  for (const generation of generations.toReversed()) {
    for await (const batch of batches(store, sessionId, generation, order)) {
      if (batch.doomed.length === 0) continue;
      if (context.signal.aborted) throw interrupted();
      await write(context, log, generation, generations, order, batch);
      count.add(batch.doomed);
    }
  }
}

async function generationsOf(store: Store, sessionId: string): Promise<Generation[]> {
  const generations = new Map<number, Generation>();
  for await (const page of store.commits(sessionId)) {
    for (const { n, generation: number, from, to, read_to } of page) {
      const generation = generations.get(number) ?? { generation: number, end: 0, archived: 0, written: [] };
      generations.set(number, generation);
      generation.end = read_to;
      generation.archived = to;
      if (to > from) generation.written.push({ n, from, to });
    }
  }
  return [...generations.values()].sort((a, b) => a.generation - b.generation);
}

class Losses {
  readonly #sessionId: string;
  readonly #counts = { message: 0, record: 0, piece: 0 };
  readonly #generations = new Set<number>();
  #bytes = 0;

  constructor(sessionId: string) {
    this.#sessionId = sessionId;
  }

  add(doomed: readonly Doomed[]): void {
    for (const { tombstone } of doomed) {
      this.#counts[tombstone.kind]++;
      this.#generations.add(tombstone.generation);
      this.#bytes += tombstone.length;
    }
  }

  get loss(): Loss | null {
    const { message, record, piece } = this.#counts;
    if (message + record + piece === 0) return null;
    const generations = [...this.#generations].sort((a, b) => a - b);
    return {
      sessionId: this.#sessionId,
      messages: message,
      records: record,
      pieces: piece,
      bytes: this.#bytes,
      generations,
    };
  }
}

/**
 * What of a generation is to be destroyed and was not yet, in byte order. Of single messages it is one batch, as the
 * title is not known before the end; the archive may be changed between two batches.
 */
async function* batches(
  store: Store,
  sessionId: string,
  { generation, end, archived }: Generation,
  order: Order,
): AsyncGenerator<Batch> {
  const isAll = order.messages === null;
  const tombstones = new TombstoneCursor(store.tombstones(sessionId, generation));
  const archiveDigest = (from: number, to: number) => xxh64OfChunks(store.readArchive(sessionId, generation, from, to));
  const claims: { cwd: string | null; title: string | null } = { cwd: null, title: null };
  for (let from = 0; from < end; ) {
    const doomed: Doomed[] = [];
    let bytes = 0;
    let next = end;
    for await (const { line, open } of archivedLines(store, sessionId, { generation, end }, from)) {
      const gone = new Set((await tombstones.upTo(line.base + line.to - 1)).map(({ offset }) => offset));
      for (const item of itemsOf(line, open)) {
        const isDoomed = !gone.has(item.offset) && isMeant(item, order);
        if (isDoomed) {
          doomed.push(await doom(item, line, generation, isAll ? "session" : "message", archiveDigest));
          bytes += item.length;
        } else if (item.kind === "value" && !isAll) {
          const { cwd, title } = readRecord(item, valueBytes(item, line)).claims;
          claims.cwd ??= cwd;
          claims.title = title ?? claims.title;
        }
      }
      if (!isAll || open || (doomed.length < MAX_VALUES && bytes < MAX_BYTES)) continue;
      next = line.base + line.to + 1;
      break;
    }
    yield { doomed, claims: isAll ? null : claims };
    from = next;
  }
  if (!isAll || archived === end) return;
  // Of a line whose end never came. Its bytes are in no row, but they are there.
  if (await isBlank(store.readArchive(sessionId, generation, end, archived), end)) return;
  if ((await tombstones.upTo(end)).some(({ offset }) => offset === end)) return;
  yield {
    doomed: [unreadable(generation, end, archived - end, await archiveDigest(end, archived), "session")],
    claims: null,
  };
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0d, 0x0a]);

/** Whether bytes from offset `at` on say nothing: whitespace, and a byte order mark at the beginning of the file. */
async function isBlank(chunks: AsyncIterable<Buffer>, at: number): Promise<boolean> {
  let position = at;
  for await (const chunk of chunks) {
    for (const byte of chunk) {
      if (!BLANKS.has(byte) && byte !== BOM[position]) return false;
      position++;
    }
  }
  return true;
}

function isMeant(item: Item, { messages }: Order): boolean {
  if (messages === null) return item.kind === "value" || item.reason !== "nul";
  return item.kind === "value" && isNamed(item.json.uuid, messages);
}

function valueBytes(item: Item, line: Line): Buffer {
  return line.bytes.subarray(item.offset - line.base, item.offset - line.base + item.length);
}

async function doom(
  item: Item,
  line: Line,
  generation: number,
  scope: ForgetScope,
  archiveDigest: (from: number, to: number) => Promise<string>,
): Promise<Doomed> {
  const { offset, length } = item;
  if (item.kind === "piece") {
    // The bytes of a line that is too long were not kept.
    const isKept = item.reason !== "too_long";
    const digest = isKept ? xxh64Hex(valueBytes(item, line)) : await archiveDigest(offset, offset + length);
    return unreadable(generation, offset, length, digest, scope);
  }
  const bytes = valueBytes(item, line);
  const record = readRecord(item, bytes);
  const { text } = record.content;
  return {
    tombstone: {
      generation,
      offset,
      length,
      scope,
      kind: record.kind,
      digest: record.digest,
      message_uuid: record.kind === "message" ? record.uuid : null,
    },
    replacement: skeletonAt(offset, bytes),
    contentHash: text.length > MAX_CONTENT_CHARS ? sha256Hex(text) : null,
  };
}

function unreadable(generation: number, offset: number, length: number, digest: string, scope: ForgetScope): Doomed {
  return {
    tombstone: { generation, offset, length, kind: "piece", digest, message_uuid: null, scope },
    replacement: fillerAt(offset, length),
    contentHash: null,
  };
}

/** One commit. */
async function write(
  context: SyncContext,
  log: SessionLog,
  generation: Generation,
  generations: readonly Generation[],
  order: Order,
  { doomed, claims }: Batch,
): Promise<void> {
  const { store } = context;
  const { session } = log;
  const time = context.now();
  const isAll = order.messages === null;
  const { segments, redacted } = await redact(
    store,
    session.session_id,
    generation,
    generations,
    doomed.map(({ replacement }) => replacement),
  );
  const emptied = rangesOf(generation.generation, doomed, isAll);
  const hashes = [...new Set(doomed.flatMap(({ contentHash }) => contentHash ?? []))];
  const destroyed: Destroyed = {
    segments,
    emptied,
    largeContents: await store.contentsOnlyIn(session.session_id, emptied, hashes),
    notAgain: isAll ? [["session", session.session_id]] : [...order.messages].map((uuid) => ["message", uuid]),
  };
  const isVisible = generation.generation === session.generation;
  const named = isAll ? { cwd: null, title: null } : isVisible ? claims : null;
  await log.write(
    log.prepare({
      kind: "forgotten",
      time,
      session: { ...session, ...named, forgotten_at: session.forgotten_at ?? (isAll ? time : null) },
      source: null,
      events: [],
      tombstones: doomed.map(({ tombstone }) => tombstone),
      forgetting: { scope: isAll ? "session" : "message", reason: order.reason, redacted },
      destroyed,
    }),
  );
}

function rangesOf(generation: number, doomed: readonly Doomed[], isAll: boolean): Destroyed["emptied"] {
  const offsets = doomed.filter(({ tombstone }) => tombstone.kind !== "piece").map(({ tombstone }) => tombstone.offset);
  if (offsets.length === 0) return [];
  if (isAll) return [{ generation, from: offsets[0]!, to: offsets.at(-1)! }];
  return offsets.map((offset) => ({ generation, from: offset, to: offset }));
}
