// The archived bytes of a generation against the SHA-256 that each of its commits wrote.
import { createHash, type Hash } from "node:crypto";
import { EMPTY_HASH, xxh64Hex } from "../../core/hash.ts";
import { SAMPLE_BYTES } from "../checkpoint.ts";
import type { SourceRow } from "../store.ts";
import type { GenerationLinks, Link } from "./chain.ts";
import { Difference, differs } from "./difference.ts";

/** Takes the bytes of a generation in order, and keeps the first difference from its commits. */
export class BytesProof {
  readonly #links: readonly Link[];
  readonly #generation: number;
  #at = 0;
  #position = 0;
  #proven = 0;
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

  /** The bytes before it are what the commits wrote, if there is no difference. */
  get proven(): number {
    return this.#proven;
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
      this.#proven = this.#position;
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
