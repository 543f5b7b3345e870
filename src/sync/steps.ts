// Reads the new bytes of a file as steps, each small enough for one commit: the bytes to archive, and the items of the
// lines that end in them. Segments may end anywhere, also within a line; a line is parsed when its end has come.
import { xxh64Hex } from "../core/hash.ts";
import { MAX_LINE_BYTES, type Piece, type Value } from "../core/line.ts";
import { itemsOf, type Line, LineSplitter } from "../core/line-splitter.ts";
import { type Message, readRecord, type SideRecord } from "../core/message.ts";
import { type Replacement, replaceIn, skeletonAt } from "../core/skeleton.ts";
import type { SegmentRow } from "./store.ts";

/** A message, a side record, or an unreadable piece. */
export type Entry = Message | SideRecord | Piece;

export interface ReadStep {
  /** File offset of the first byte to archive. */
  readonly from: number;
  readonly raw: Buffer;
  /** What is archived for `raw`: the same, but for what was forgotten. */
  readonly stored: Buffer;
  readonly entries: readonly Entry[];
  readonly parsedFrom: number;
  readonly parsedTo: number;
  /** The last entry is a piece that reaches the end of the file and may yet be completed. */
  readonly provisional: boolean;
  /** Segments of the generation before that hold exactly these bytes. */
  readonly shared: readonly SegmentRow[];
  readonly last: boolean;
}

/** Reads `[from, to)` of a file; fewer bytes only where the file ends earlier. */
export interface ByteReader {
  read(from: number, to: number): Promise<Buffer>;
}

/** How much goes into one step, and so into one commit. */
export interface StepLimits {
  /** Bytes, at most; also the most that one segment holds. */
  readonly bytes: number;
  /** A step ends with the line that brings it to this many rows. */
  readonly rows: number;
}

/** The engine is fastest near 500 rows; more bytes at once cost it memory and win no speed. */
export const STEP_LIMITS: StepLimits = { bytes: 512 * 1024, rows: 500 };

export interface StepPlan {
  /** Where reading goes on, and what was archived before. */
  readonly parsed: number;
  readonly archived: number;
  /** Nothing is archived from here on: the end of the file, or of its last whole line while it is live. */
  readonly limit: number;
  /** The file is quiet: the last line counts also without its 0x0A. */
  readonly quiet: boolean;
  /** Segments of the generation before that hold the file's first bytes, from offset 0 on without a gap. */
  readonly shared: readonly SegmentRow[];
  readonly limits: StepLimits;
  /** Uuids of messages of which only skeletons are taken. With any, a step holds whole lines, however long. */
  readonly forgotten: ReadonlySet<string>;
}

/** Yields at least one step; an empty one when there are no new bytes. */
export async function* readSteps(file: ByteReader, plan: StepPlan): AsyncGenerator<ReadStep> {
  const { limits } = plan;
  const splitter = new LineSplitter(plan.parsed);
  const forgetter = plan.forgotten.size === 0 ? null : new Forgetter(plan.forgotten);
  for (let at = plan.parsed; at < plan.archived; ) {
    const chunk = await file.read(at, Math.min(at + limits.bytes, plan.archived));
    if (chunk.length === 0) break;
    splitter.take(chunk, 0); // the beginning of a line that was archived before its end came
    at += chunk.length;
  }
  let shared = plan.shared;
  let position = plan.archived;
  let limit = Math.max(plan.limit, plan.archived);
  let parsedFrom = plan.parsed;
  let left: Buffer = Buffer.alloc(0);
  for (;;) {
    const sharedNow = sharedSegments(shared, position + limits.bytes);
    shared = shared.slice(sharedNow.length);
    const isShared = sharedNow.length > 0;
    const wanted = isShared ? endOf(sharedNow.at(-1)!) : Math.min(position + limits.bytes, limit);
    let block = left;
    if (position + left.length < wanted) {
      const more = await file.read(position + left.length, wanted);
      block = left.length === 0 ? more : Buffer.concat([left, more]);
      if (position + block.length < wanted) limit = position + block.length; // the file has shrunk under the reader
    }
    if (forgetter !== null) {
      // What is shared was archived before: if something of it is to go, that is done where it is.
      forgetter.begin(isShared ? Number.POSITIVE_INFINITY : position);
      if (!isShared) block = await untilLineEnd(file, block, position, limit, limits.bytes);
    }
    const entries: Entry[] = [];
    let at = 0;
    while (at < block.length && (isShared || entries.length < limits.rows)) {
      if (forgetter !== null && !isShared && at > 0 && position + block.length < limit) {
        if (block.indexOf(0x0a, at) < 0) break;
      }
      const taken = splitter.take(block, at);
      if (taken === null) {
        at = block.length;
        break;
      }
      readEntries(taken.line, false, entries, forgetter);
      at = taken.next;
    }
    const raw = block.subarray(0, at);
    left = block.subarray(at);
    const last = position + at >= limit;
    let parsedTo = splitter.lineStart;
    let provisional = false;
    if (last && plan.quiet) {
      const before = entries.length;
      readEntries(splitter.rest(), true, entries, forgetter);
      const tail = entries.length > before ? entries.at(-1)! : null;
      provisional = tail?.kind === "piece";
      if (tail !== null) parsedTo = provisional ? tail.offset : tail.offset + tail.length;
    }
    const stored = forgetter === null ? raw : replaceIn(raw, position, forgetter.replacements);
    yield { from: position, raw, stored, entries, parsedFrom, parsedTo, provisional, shared: sharedNow, last };
    if (last) return;
    position += at;
    parsedFrom = parsedTo;
  }
}

/** The entries of a line, appended to `entries`; of what the `forgetter` knows, as their skeletons are read. */
export function readEntries(line: Line, open: boolean, entries: Entry[], forgetter: Forgetter | null = null): void {
  for (const item of itemsOf(line, open)) {
    if (item.kind === "piece") entries.push(item);
    else {
      const start = item.offset - line.base;
      const bytes = line.bytes.subarray(start, start + item.length);
      entries.push(forgetter?.read(item, bytes) ?? readRecord(item, bytes));
    }
  }
}

/** Whether a record's `uuid` is one of these messages'. */
export function isNamed(uuid: unknown, messages: ReadonlySet<string>): boolean {
  return typeof uuid === "string" && messages.has(uuid.toWellFormed());
}

/** Leaves skeletons of the messages that are not to be taken in. */
class Forgetter {
  readonly #messages: ReadonlySet<string>;
  #from = 0;
  replacements: Replacement[] = [];

  constructor(messages: ReadonlySet<string>) {
    this.#messages = messages;
  }

  /** The next step: what begins before `from` is archived already, so that it is too late to leave it out. */
  begin(from: number): void {
    this.#from = from;
    this.replacements = [];
  }

  /** What is taken of a value that is to be forgotten; null: it is not, or it is too late. */
  read(value: Value, bytes: Buffer): Message | SideRecord | null {
    if (value.offset < this.#from || !isNamed(value.json.uuid, this.#messages)) return null;
    const replacement = skeletonAt(value.offset, bytes);
    this.replacements.push(replacement);
    const skeleton = replaceIn(bytes, value.offset, [replacement]);
    const json = JSON.parse(skeleton.toString()) as Value["json"];
    return { ...readRecord({ ...value, json }, skeleton), digest: xxh64Hex(bytes), forgotten: true };
  }
}

/** The bytes at `position`, with as many more as it takes that a line ends in them, up to `limit`. */
async function untilLineEnd(
  file: ByteReader,
  block: Buffer,
  position: number,
  limit: number,
  step: number,
): Promise<Buffer> {
  const parts = [block];
  let length = block.length;
  while (position + length < limit && length <= MAX_LINE_BYTES && parts.at(-1)!.indexOf(0x0a) < 0) {
    const from = position + length;
    const more = await file.read(from, Math.min(from + step, limit));
    if (more.length === 0) break;
    parts.push(more);
    length += more.length;
  }
  return parts.length === 1 ? block : Buffer.concat(parts);
}

/** The next whole segments up to `end`; at least one, if any. */
function sharedSegments(shared: readonly SegmentRow[], end: number): SegmentRow[] {
  let count = 0;
  while (count < shared.length && (count === 0 || endOf(shared[count]!) <= end)) count++;
  return shared.slice(0, count);
}

function endOf(segment: SegmentRow): number {
  return segment.offset + segment.length;
}
