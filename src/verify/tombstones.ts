// What was forgotten: every tombstone was written by a commit, stands where its bytes say that a value or piece was, and
// nothing of what that said is left.
import { EventsDigest } from "../core/chain.ts";
import { tombstoneFromDb } from "../store/rows.ts";
import { SAMPLE_BYTES } from "../sync/checkpoint.ts";
import type { BytesProof } from "../sync/proof/bytes.ts";
import type { Chain, GenerationLinks, Link } from "../sync/proof/chain.ts";
import { Difference, differs, isNot, placeOf, show } from "../sync/proof/difference.ts";
import type { Entry } from "../sync/steps.ts";
import type { Tombstone } from "../sync/store.ts";
import { placeOfRow, type VerifyReader } from "./reader.ts";

/** Proves the tombstones of a session against the commits that wrote them. Throws a Difference for the first that is wrong. */
export async function proveTombstones(sessionId: string, reader: VerifyReader, chain: Chain): Promise<void> {
  const digests = new Map(
    chain.links.filter(({ forgetting }) => forgetting !== null).map(({ n }) => [n, new EventsDigest()]),
  );
  const notAgain = await reader.forgotten();
  for await (const page of reader.tombstones(sessionId)) {
    for (const row of page) {
      const what = placeOfRow("forgotten", row);
      if (row.session_id !== sessionId) throw differs(what, "session_id", sessionId, row.session_id);
      const { commit, ...tombstone } = tombstoneFromDb(row);
      const digest = digests.get(commit);
      if (digest === undefined) throw new Difference(`${what} was written by no commit`);
      digest.add(tombstone);
      const { scope, message_uuid } = tombstone;
      if (scope === "message" && !notAgain.messages.has(message_uuid ?? "")) {
        throw new Difference(`${what}: the message ${show(message_uuid)} was forgotten, but would be taken in again`);
      }
    }
  }
  for (const { n, forgetting } of chain.links) {
    if (forgetting === null) continue;
    const digest = digests.get(n)!;
    if (digest.count !== forgetting.tombstones) {
      throw isNot(`commit ${n}`, "its tombstones", show(forgetting.tombstones), digest.count);
    }
    if (digest.finish() !== forgetting.tombstones_sha256) {
      throw new Difference(`the tombstones of commit ${n} are not what it wrote: the digest is another`);
    }
  }
  if (chain.forgottenAt !== null && !notAgain.sessions.has(sessionId)) {
    throw new Difference("the session was forgotten, but its file would be read again");
  }
}

/** The tombstones of a generation against what its bytes hold now. */
export class GoneProof {
  readonly #links: GenerationLinks;
  #difference: Difference | null = null;
  #inHead = false;
  #inTail = false;

  constructor(links: GenerationLinks) {
    this.#links = links;
  }

  add(tombstone: Tombstone, entry: Entry | null): void {
    const { offset, length } = tombstone;
    if (offset < SAMPLE_BYTES) this.#inHead = true;
    if (offset + length > this.#links.archived - SAMPLE_BYTES) this.#inTail = true;
    this.#difference ??= this.#compare(tombstone, entry);
  }

  #compare(tombstone: Tombstone, entry: Entry | null): Difference | null {
    const { offset, length, kind, message_uuid } = tombstone;
    const { generation, archived, readTo } = this.#links;
    const what = placeOf("forgotten", generation, offset);
    if (entry === null) {
      // The beginning of a line whose end never came.
      const isTail = kind === "piece" && offset === readTo && length === archived - readTo;
      return isTail ? null : new Difference(`${what} is one too many: nothing begins there`);
    }
    if (entry.kind !== kind) return differs(what, "kind", entry.kind, kind);
    if (entry.length !== length) return differs(what, "length", entry.length, length);
    const uuid = entry.kind === "message" ? entry.uuid : null;
    if (uuid !== message_uuid) return differs(what, "message_uuid", uuid, message_uuid);
    if (entry.kind === "piece") return null;
    const { content, claims } = entry;
    if (content.text === "" && claims.cwd === null && claims.title === null) return null;
    return new Difference(`${what} says that a ${kind} was forgotten, but its bytes still say something`);
  }

  /** Throws a Difference. */
  finish(): void {
    if (this.#difference !== null) throw this.#difference;
  }

  /** What of a sample of the file the archive can still tell. */
  provable(sample: BytesProof["sample"]): Partial<BytesProof["sample"]> {
    const { head_length, head_hash, tail_length, tail_hash } = sample;
    return {
      head_length,
      tail_length,
      ...(this.#inHead ? {} : { head_hash }),
      ...(this.#inTail ? {} : { tail_hash }),
    };
  }
}

/** Who forgot what, when and why, for people. */
export function forgettingNotes(links: readonly Link[]): string[] {
  const notes = new Map<string, { count: number; link: Link }>();
  for (const link of links) {
    if (link.forgetting === null) continue;
    const { scope, reason, tombstones } = link.forgetting;
    const key = JSON.stringify([scope, link.operator, reason]);
    const noted = notes.get(key);
    notes.set(key, { count: (noted?.count ?? 0) + tombstones, link: noted?.link ?? link });
  }
  return [...notes.values()].map(({ count, link }) => {
    const { scope, reason } = link.forgetting!;
    const what = scope === "session" ? "the whole session" : `${count} of its messages`;
    return `${what} forgotten by ${link.operator} at ${link.time.toISOString()}: ${reason}`;
  });
}
