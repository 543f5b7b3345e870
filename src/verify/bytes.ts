// The archived bytes of a session: its segments without a gap, and each commit's bytes against the SHA-256 it wrote.
import { createHash, type Hash } from "node:crypto";
import { EMPTY_HASH, extendFingerprint, xxh64Hex } from "../core/hash.ts";
import type { DbRow } from "../store/rows.ts";
import { SAMPLE_BYTES } from "../sync/checkpoint.ts";
import { DICTIONARY_BYTES } from "../sync/segment-codec.ts";
import type { SourceRow } from "../sync/store.ts";
import type { GenerationLinks, Link } from "./chain.ts";
import { Difference, differs, isNot, placeOf } from "./difference.ts";
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

/** Takes the bytes of a generation in order, and keeps the first difference from its commits. */
export class BytesProof {
  readonly #links: readonly Link[];
  readonly #generation: number;
  #at = 0;
  #position = 0;
  #hash: Hash = createHash("sha256");
  #head: Buffer = Buffer.alloc(0);
  #tail: Buffer = Buffer.alloc(0);
  difference: Difference | null = null;

  constructor({ generation, links }: GenerationLinks) {
    this.#generation = generation;
    this.#links = links;
    for (const link of links) {
      if (link.from !== link.to || link.segment_sha256 === "" || this.difference !== null) continue;
      this.difference = differs(`commit ${link.n}`, "segment_sha256", "", link.segment_sha256);
    }
  }

  take(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0; ) {
      while (this.#links[this.#at]?.to === this.#position) this.#at++;
      const link = this.#links[this.#at];
      const part = link === undefined ? rest : rest.subarray(0, link.to - this.#position);
      this.#hash.update(part);
      this.#position += part.length;
      rest = rest.subarray(part.length);
      if (link === undefined || this.#position < link.to) continue;
      const found = this.#hash.digest("hex");
      this.#hash = createHash("sha256");
      if (found === link.segment_sha256) continue;
      this.difference ??= new Difference(
        `the bytes ${link.from} to ${link.to} of generation ${this.#generation} are not what commit ${link.n} wrote: the SHA-256 is another`,
      );
    }
    if (this.#head.length < SAMPLE_BYTES) this.#head = Buffer.concat([this.#head, chunk]).subarray(0, SAMPLE_BYTES);
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-SAMPLE_BYTES)]).subarray(-SAMPLE_BYTES);
  }

  /** The sample of the bytes that were taken, as a checkpoint keeps it. */
  get sample(): Pick<SourceRow, "head_length" | "head_hash" | "tail_length" | "tail_hash"> {
    const hashOf = (bytes: Buffer) => (bytes.length === 0 ? EMPTY_HASH : xxh64Hex(bytes));
    return {
      head_length: this.#head.length,
      head_hash: hashOf(this.#head),
      tail_length: this.#tail.length,
      tail_hash: hashOf(this.#tail),
    };
  }
}
