// The proof: each commit's hash covers the commit and the hash of the one before, and the commit covers the bytes, the
// rows and the events it wrote by their digests. Digests, not contents: what is forgotten leaves the proof whole.
import { createHash, type Hash } from "node:crypto";
import { canonicalJson } from "./canonical.ts";
import { sha256Hex } from "./hash.ts";

/** The hash before a session's first commit. */
export const CHAIN_START = "0".repeat(64);

/** SHA-256 over a session's id and its commit without its own hash. Dates count as ISO 8601 with milliseconds. */
export function commitHash(sessionId: string, commit: object & { readonly hash?: unknown }): string {
  const { hash: _, ...covered } = commit;
  return sha256Hex(hashedText({ session_id: sessionId, ...covered }));
}

/** SHA-256 over events in order; over nothing it is the empty text. */
export function eventsDigest(events: readonly object[]): string {
  const digest = new EventsDigest();
  for (const event of events) digest.add(event);
  return digest.finish();
}

/** The same, event by event. */
export class EventsDigest {
  readonly #hash: Hash = createHash("sha256");
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(event: object): void {
    this.#hash.update(`${this.#count++ === 0 ? "" : "\n"}${hashedText(event)}`);
  }

  /** 64 hex digits; the empty text where nothing was added. Call it once. */
  finish(): string {
    return this.#count === 0 ? "" : this.#hash.digest("hex");
  }
}

/** The digest of the rows that a commit wrote, built row by row: kind, place and xxh64 of each value in byte order. */
export class RowsDigest {
  readonly #hash: Hash = createHash("sha256");
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(kind: "message" | "record", offset: number, length: number, digest: string): void {
    this.#count++;
    this.#hash.update(`${kind} ${offset} ${length} ${digest}\n`);
  }

  /** 64 hex digits; the empty text where nothing was added. Call it once. */
  finish(): string {
    return this.#count === 0 ? "" : this.#hash.digest("hex");
  }
}

function hashedText(row: object): string {
  const entries = Object.entries(row).map(([key, value]) => [key, value instanceof Date ? value.toISOString() : value]);
  return canonicalJson(Object.fromEntries(entries));
}
