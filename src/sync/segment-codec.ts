// Segments at rest. Blocks of an import stand alone, under brotli at its fastest setting (smaller and faster than
// deflate on transcripts). Appends are small, so they are deflated with the bytes before them as a dictionary; every
// KEYFRAME_DISTANCE the dictionary is left out, so that reading from the middle never starts far back.
import { brotliCompressSync, brotliDecompressSync, constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { xxh64Hex } from "../core/hash.ts";
import { RiffError } from "../errors.ts";
import type { SegmentRow } from "./store.ts";

/** Bytes before an appended segment that its compression may refer to; deflate's window. */
export const DICTIONARY_BYTES = 32 * 1024;

/** Appends are compressed with a dictionary unless the last segment without one is this far back. */
const KEYFRAME_DISTANCE = 256 * 1024;

/** Segments below this size gain from a dictionary; larger ones stand alone. */
const SMALL_SEGMENT = 64 * 1024;

/** On the calling thread: 2 ms for 1 MiB, where encoders in the thread pool cost tens of MB in allocator arenas. */
const BROTLI_OPTIONS = { params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: 20 } };

/**
 * Compresses the bytes that are to be `stored` for the file's `raw`, which they differ from where something was
 * forgotten. `before` are the stored bytes that precede them (the last DICTIONARY_BYTES are used).
 */
export function encodeSegment(
  offset: number,
  raw: Buffer,
  before: Buffer,
  lastKeyframe: number,
  stored: Buffer = raw,
): SegmentRow {
  const base = {
    offset,
    length: raw.length,
    hash: xxh64Hex(raw),
    stored_hash: storedHash(raw, stored),
    shared_with: null,
  };
  if (raw.length >= SMALL_SEGMENT) return { ...base, ...compressAlone(stored), dictionary: 0, keyframe: offset };
  const chained = before.length > 0 && offset - lastKeyframe < KEYFRAME_DISTANCE;
  // Nothing before the keyframe, from which decoding begins.
  const reach = Math.min(DICTIONARY_BYTES, offset - lastKeyframe, before.length);
  const dictionary = chained ? before.subarray(before.length - reach) : Buffer.alloc(0);
  const data = chained ? deflateRawSync(stored, { dictionary }) : deflateRawSync(stored);
  return { ...base, codec: "deflate", dictionary: dictionary.length, keyframe: chained ? lastKeyframe : offset, data };
}

/** The last DICTIONARY_BYTES of `before` and `raw` together. */
export function tailOf(before: Buffer, raw: Buffer): Buffer {
  if (raw.length >= DICTIONARY_BYTES) return raw.subarray(-DICTIONARY_BYTES);
  return raw.length === 0 ? before : Buffer.concat([before, raw]).subarray(-DICTIONARY_BYTES);
}

/** Compresses other bytes for a segment that is there, so that it is decoded from where it was. */
export function encodeAgain(
  segment: SegmentRow,
  stored: Buffer,
  before: Buffer,
): Pick<SegmentRow, "offset" | "codec" | "data" | "stored_hash"> {
  const { offset, hash, dictionary } = segment;
  const found = xxh64Hex(stored);
  const base = { offset, stored_hash: found === hash ? null : found };
  if (dictionary > 0) {
    return { ...base, codec: "deflate", data: deflateRawSync(stored, { dictionary: before.subarray(-dictionary) }) };
  }
  if (stored.length < SMALL_SEGMENT) return { ...base, codec: "deflate", data: deflateRawSync(stored) };
  return { ...base, ...compressAlone(stored) };
}

function compressAlone(bytes: Buffer): Pick<SegmentRow, "codec" | "data"> {
  const data = brotliCompressSync(bytes, BROTLI_OPTIONS);
  return data.length < bytes.length ? { codec: "brotli", data } : { codec: "raw", data: bytes };
}

function storedHash(raw: Buffer, stored: Buffer): string | null {
  return stored === raw || stored.equals(raw) ? null : xxh64Hex(stored);
}

/**
 * The raw bytes of a segment. `before` must end with the `dictionary` bytes that precede it. Throws RIFF_STORE_DAMAGED
 * when they cannot be decoded or are not what the segment's hash says.
 */
export function decodeSegment(segment: SegmentRow, before: Buffer, where: string): Buffer {
  let raw: Buffer;
  try {
    raw = decode(segment, before);
  } catch (thrown) {
    throw damaged(where, segment, "cannot be decompressed", thrown);
  }
  if (raw.length !== segment.length) throw damaged(where, segment, `decompresses to ${raw.length} bytes`);
  if (xxh64Hex(raw) !== (segment.stored_hash ?? segment.hash)) throw damaged(where, segment, "does not match its hash");
  return raw;
}

function decode(segment: SegmentRow, before: Buffer): Buffer {
  const data = segment.data ?? Buffer.alloc(0);
  switch (segment.codec) {
    case "brotli":
      return brotliDecompressSync(data);
    case "deflate":
      return segment.dictionary === 0
        ? inflateRawSync(data)
        : inflateRawSync(data, { dictionary: before.subarray(before.length - segment.dictionary) });
    case "raw":
      return Buffer.from(data);
    case "shared":
      throw new Error("a shared segment holds no bytes");
    default:
      return segment.codec satisfies never;
  }
}

function damaged(where: string, segment: SegmentRow, what: string, cause?: unknown): RiffError {
  return new RiffError(
    "RIFF_STORE_DAMAGED",
    `The archived bytes ${where} at offset ${segment.offset} (${segment.length} bytes): the segment ${what}.`,
    "Run `riffd verify` to see all that is damaged, and restore the store from a backup.",
    cause,
  );
}
