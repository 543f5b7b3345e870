// The gates, cheapest first: what of a file must be read, given its checkpoint and what the file system says of it.
import { EMPTY_HASH, xxh64Hex } from "../core/hash.ts";
import { PREFIX_AGE_MS, PREFIX_GROWTH, SMALL_PREFIX_BYTES } from "./context.ts";
import type { FileFacts, OpenTranscript } from "./files.ts";
import { DICTIONARY_BYTES } from "./segment-codec.ts";
import type { SegmentRow, SourceRow, Store } from "./store.ts";

/** Bytes at each end of the archived part that are hashed as a sample. */
export const SAMPLE_BYTES = 4096;

/**
 * `unchanged`: nothing is opened. `tail`: the bytes archived so far are taken as they are if a sample of them still
 * holds. `all`: they are compared with the archive from the first to the last.
 */
export type Gate = "unchanged" | "tail" | "all";

/** Passes a file through the gate that costs nothing. */
export function gateByFacts(source: SourceRow, facts: FileFacts, quiet: boolean, now: Date): Gate {
  const sameFile = source.dev === facts.dev && source.ino === facts.ino;
  const untouched =
    sameFile && source.size === facts.size && source.mtime_ns === facts.mtime_ns && source.ctime_ns === facts.ctime_ns;
  const due = quiet && prefixIsDue(source, facts.size, now);
  if (untouched && source.complete && !source.gone && (source.settled || !quiet)) {
    return source.settled && due && prefixIsOld(source, now) ? "all" : "unchanged";
  }
  if (due || !sameFile) return "all";
  if (untouched || facts.size > source.size) return "tail";
  return "all";
}

/** Whether a quiet file that holds more bytes than were last compared as a whole is to be compared again. */
function prefixIsDue(source: SourceRow, size: number, now: Date): boolean {
  const bytes = Math.max(source.archived, size);
  if (source.verified_size >= bytes) return false;
  return bytes <= SMALL_PREFIX_BYTES || bytes >= source.verified_size * PREFIX_GROWTH || prefixIsOld(source, now);
}

function prefixIsOld(source: SourceRow, now: Date): boolean {
  return source.verified_size < source.archived && now.getTime() - source.verified_at.getTime() >= PREFIX_AGE_MS;
}

/** Whether a file was last written long enough ago; a time in the future counts as long ago. */
export function isQuiet(facts: FileFacts, now: Date, quietMs: number): boolean {
  return Math.abs(now.getTime() - facts.mtimeMs) >= quietMs;
}

/**
 * The bytes before the archived end, which the next segment is compressed with, if a sample of the archived part still
 * is what it was; null if not. Reads at most SAMPLE_BYTES and DICTIONARY_BYTES.
 */
export async function readVerifiedTail(file: OpenTranscript, source: SourceRow): Promise<Buffer | null> {
  const { archived, head_length, head_hash, tail_length, tail_hash } = source;
  const from = Math.max(0, archived - DICTIONARY_BYTES);
  const before = await file.read(from, archived);
  if (before.length !== archived - from) return null;
  const head = from === 0 ? before.subarray(0, head_length) : await file.read(0, head_length);
  const same = xxh64Hex(head) === head_hash && xxh64Hex(before.subarray(before.length - tail_length)) === tail_hash;
  return same ? before : null;
}

type Sample = Pick<SourceRow, "head_length" | "head_hash" | "tail_length" | "tail_hash">;

/** The sample after `raw` was archived at `from`; `before` are the DICTIONARY_BYTES before it, or all there are. */
export function sampleAfter(before: Buffer, raw: Buffer, from: number, previous: Sample): Sample {
  if (raw.length === 0) return previous;
  const tail = raw.length >= SAMPLE_BYTES ? raw : Buffer.concat([before, raw]);
  const sample = {
    tail_length: Math.min(SAMPLE_BYTES, tail.length),
    tail_hash: xxh64Hex(tail.subarray(-SAMPLE_BYTES)),
  };
  if (previous.head_length === SAMPLE_BYTES) return { ...previous, ...sample };
  const head = (from === 0 ? raw : Buffer.concat([before, raw])).subarray(0, SAMPLE_BYTES);
  return { head_length: head.length, head_hash: xxh64Hex(head), ...sample };
}

/** The sample of a file of which `archived` bytes are archived. */
export async function sampleOf(file: OpenTranscript, archived: number): Promise<Sample> {
  const length = Math.min(SAMPLE_BYTES, archived);
  if (length === 0) return { head_length: 0, head_hash: EMPTY_HASH, tail_length: 0, tail_hash: EMPTY_HASH };
  const head_hash = xxh64Hex(await file.read(0, length));
  const tail_hash = xxh64Hex(await file.read(archived - length, archived));
  return { head_length: length, head_hash, tail_length: length, tail_hash };
}

/** How a file compares with the archived bytes of a generation. */
export interface Comparison {
  /** All archived bytes stand at the beginning of the file. */
  readonly equal: boolean;
  /** The archive's first segments that the file begins with, without their bytes. */
  readonly shared: readonly SegmentRow[];
}

/** Reads the file's beginning and compares it with the archive, segment by segment. */
export async function compareWithArchive(
  file: OpenTranscript,
  store: Store,
  sessionId: string,
  generation: number,
  archived: number,
): Promise<Comparison> {
  const shared: SegmentRow[] = [];
  for await (const page of store.segments(sessionId, generation)) {
    for (const segment of page) {
      const bytes = await file.read(segment.offset, segment.offset + segment.length);
      if (bytes.length !== segment.length || xxh64Hex(bytes) !== segment.hash) return { equal: false, shared };
      shared.push({ ...segment, data: null });
    }
  }
  const covered = shared.reduce((sum, segment) => sum + segment.length, 0);
  return { equal: covered === archived, shared };
}
