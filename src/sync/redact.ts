// Segments in which bytes are replaced by others of the same length. Appended segments are compressed with the bytes
// before them, and generations share segments: what follows a changed one, or refers to it, is written anew with it.
import { createHash, type Hash } from "node:crypto";
import { type Replacement, replaceIn } from "../core/skeleton.ts";
import { DICTIONARY_BYTES, encodeAgain, tailOf } from "./segment-codec.ts";
import type { Destroyed, Store } from "./store.ts";

/** A part of a generation's bytes that one commit wrote. */
interface Written {
  readonly n: number;
  readonly from: number;
  readonly to: number;
}

/** A generation as its commits tell it. */
export interface Generation {
  readonly generation: number;
  /** The bytes before it, read as those of a quiet file, give exactly the entries that were taken. */
  end: number;
  archived: number;
  readonly written: Written[];
}

/**
 * The segments that change when the replacements, which are in byte order, are made in a generation, and what the
 * commits that wrote its bytes hold then. Segments of other generations change only in form: they get bytes of their
 * own where they shared those that are destroyed.
 */
export async function redact(
  store: Store,
  sessionId: string,
  { generation, written }: Generation,
  generations: readonly Generation[],
  replacements: readonly Replacement[],
): Promise<{ segments: Destroyed["segments"]; redacted: { n: number; sha256: string }[] }> {
  const segments: Destroyed["segments"][number][] = [];
  const redacted: { n: number; sha256: string }[] = [];
  if (replacements.length === 0) return { segments, redacted };
  const from = replacements[0]!.offset;
  const to = endOf(replacements.at(-1)!);
  const touched = written.filter((link) => link.from < to && link.to > from);
  const end = touched.at(-1)!.to;
  const proofs = touched
    .filter((link) => replacements.some((one) => one.offset < link.to && endOf(one) > link.from))
    .map((link) => new Proof(link));
  const upcoming = new Upcoming(replacements);
  const holders: number[] = [];
  let was: Buffer = Buffer.alloc(0);
  let is: Buffer = Buffer.alloc(0);
  for await (const { segment, raw } of store.storedSegments(sessionId, generation, touched[0]!.from)) {
    const { offset, dictionary } = segment;
    const stored = replaceIn(raw, offset, upcoming.within(offset, offset + raw.length));
    const needs = dictionary > 0 && !was.subarray(-dictionary).equals(is.subarray(-dictionary));
    if (offset >= end && !needs) break;
    if (stored !== raw || needs) {
      segments.push({ generation, ...encodeAgain(segment, stored, is) });
      if (segment.codec !== "shared") holders.push(offset);
    }
    for (const proof of proofs) proof.take(stored, offset);
    was = tailOf(was, raw);
    is = tailOf(is, stored);
  }
  for (const proof of proofs) redacted.push(proof.told);
  const later = generations.filter((other) => other.generation > generation).map((other) => other.generation);
  for (const sharer of await store.sharersOf(sessionId, generation, later, holders)) {
    segments.push(await ownCopy(store, sessionId, sharer));
  }
  return { segments, redacted };
}

/** The bytes of a shared segment as its own. */
async function ownCopy(
  store: Store,
  sessionId: string,
  { generation, offset }: { generation: number; offset: number },
) {
  let before: Buffer = Buffer.alloc(0);
  for await (const { segment, raw } of store.storedSegments(
    sessionId,
    generation,
    Math.max(0, offset - DICTIONARY_BYTES),
  )) {
    if (segment.offset === offset) return { generation, ...encodeAgain(segment, raw, before) };
    before = tailOf(before, raw);
  }
  throw new Error(`generation ${generation} of ${sessionId} has no segment at ${offset}`);
}

function endOf({ offset, length }: Replacement): number {
  return offset + length;
}

/** Replacements in byte order, asked for ranges in byte order. */
class Upcoming {
  readonly #replacements: readonly Replacement[];
  #at = 0;

  constructor(replacements: readonly Replacement[]) {
    this.#replacements = replacements;
  }

  within(from: number, to: number): Replacement[] {
    while (this.#at < this.#replacements.length && endOf(this.#replacements[this.#at]!) <= from) this.#at++;
    const found: Replacement[] = [];
    for (let i = this.#at; i < this.#replacements.length && this.#replacements[i]!.offset < to; i++) {
      found.push(this.#replacements[i]!);
    }
    return found;
  }
}

/** The SHA-256 of what the range of a commit holds. */
class Proof {
  readonly #link: Written;
  readonly #hash: Hash = createHash("sha256");

  constructor(link: Written) {
    this.#link = link;
  }

  take(bytes: Buffer, offset: number): void {
    const { from, to } = this.#link;
    if (offset >= to || offset + bytes.length <= from) return;
    this.#hash.update(bytes.subarray(Math.max(0, from - offset), to - offset));
  }

  get told(): { n: number; sha256: string } {
    return { n: this.#link.n, sha256: this.#hash.digest("hex") };
  }
}
