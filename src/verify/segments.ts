// The segments of a session: without a gap, and such that each can be decoded.
import { EMPTY_HASH, extendFingerprint } from "../core/hash.ts";
import type { DbRow } from "../store/rows.ts";
import type { GenerationLinks } from "../sync/proof/chain.ts";
import { Difference, differs, isNot, placeOf } from "../sync/proof/difference.ts";
import { DICTIONARY_BYTES } from "../sync/segment-codec.ts";
import { keyOf, placeOfRow } from "./reader.ts";

/** What the segments of a generation say together. */
export interface SegmentFacts {
  readonly fingerprint: string;
  readonly keyframe: number;
}

/** Reads the segments of a generation without their bytes. Throws a Difference for the first that is out of place. */
export async function proveSegments(
  pages: AsyncIterable<readonly DbRow[]>,
  { generation, archived }: GenerationLinks,
): Promise<SegmentFacts> {
  let facts: SegmentFacts = { fingerprint: EMPTY_HASH, keyframe: 0 };
  let end = 0;
  for await (const page of pages) {
    for (const row of page) {
      const [, , offset, ...rest] = keyOf(row);
      const what = placeOfRow("source_segment", row);
      if (typeof offset === "number" && offset > end)
        throw new Difference(`${placeOf("source_segment", generation, end)} is missing`);
      if (offset !== end || rest.length > 0) throw notWritten(row);
      const { length, hash, stored_hash, codec, dictionary, keyframe, shared_with, held } = row;
      if (typeof length !== "number" || !(length > 0)) throw isNot(what, "length", "above 0", length);
      if (typeof hash !== "string" || !/^[0-9a-f]{16}$/.test(hash)) throw isNot(what, "hash", "16 hex digits", hash);
      if (stored_hash !== undefined && !(typeof stored_hash === "string" && codec !== "shared")) {
        throw isNot(what, "stored_hash", "that of bytes that are held", stored_hash);
      }
      const whole = Math.min(DICTIONARY_BYTES, offset - facts.keyframe);
      if (dictionary !== 0 && (dictionary !== whole || codec === "brotli" || codec === "raw")) {
        throw isNot(what, "dictionary", `0 or ${whole}`, dictionary);
      }
      const expected = dictionary === 0 ? offset : facts.keyframe;
      if (keyframe !== expected) throw differs(what, "keyframe", expected, keyframe);
      const isShared = codec === "shared";
      if (isShared !== (held === false)) throw isNot(what, "codec", isShared ? "one with bytes" : "shared", codec);
      if (isShared && !(typeof shared_with === "number" && shared_with < generation)) {
        throw isNot(what, "shared_with", "an earlier generation", shared_with);
      }
      facts = { fingerprint: extendFingerprint(facts.fingerprint, hash), keyframe: expected };
      end = offset + length;
    }
  }
  if (end < archived) throw new Difference(`${placeOf("source_segment", generation, end)} is missing`);
  if (end > archived)
    throw new Difference(`the last segment of generation ${generation} is longer than what was archived`);
  return facts;
}

/** For a segment that stands where no commit has put one. */
export function notWritten(row: DbRow): Difference {
  return new Difference(`${placeOfRow("source_segment", row)} was written by no commit`);
}
