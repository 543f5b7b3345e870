// A session's row and its checkpoint, with those columns set right that its chain, its segments and its name tell.
import { EMPTY_HASH, extendFingerprint, xxh64Hex } from "../core/hash.ts";
import { SAMPLE_BYTES } from "./checkpoint.ts";
import { newSession, newSource, type Place } from "./new-rows.ts";
import { type Chain, chainColumns, type GenerationLinks } from "./proof/chain.ts";
import { Difference } from "./proof/difference.ts";
import type { SessionRow, SourceRow, Store } from "./store.ts";

/** The row as it is but for what the chain says; its counts and faults follow from the bytes. */
export function mendedSession(place: Place, chain: Chain, stored: SessionRow | null): SessionRow {
  const columns = chainColumns(place.sessionId, chain);
  const { kind } = columns;
  const parent_session = kind === "agent" ? parentIn(place.sessionId) : null;
  const base = stored ?? newSession(place, { kind, parent_session }, chain.last.time);
  return { ...base, project: place.project, parent_session, ...columns, event_count: chain.events };
}

/** A subagent's session is named `<session>/agent-<id>`, unless its parent session is not known. */
function parentIn(sessionId: string): string | null {
  const at = sessionId.lastIndexOf("/");
  return at < 0 ? null : sessionId.slice(0, at);
}

/**
 * The checkpoint as it is but for what chain and segments say. One that is missing is taken for that of a look which
 * was not completed. Throws a Difference where segments are missing.
 */
export async function mendedSource(
  store: Store,
  place: Place,
  chain: Chain,
  stored: SourceRow | null,
): Promise<SourceRow> {
  const newest = chain.generations.at(-1)!;
  const { generation, archived, parsed, readTo } = newest;
  const { visible_generation } = chain.last;
  const isBuilding = generation !== visible_generation;
  const visible = chain.generations.find((one) => one.generation === visible_generation)!;
  return {
    ...(stored ?? { ...newSource(place, UNSEEN), baseline: baselineOf(newest) }),
    host: place.host,
    path: place.path,
    session_id: place.sessionId,
    project: place.project,
    generation,
    archived,
    parsed,
    read_to: readTo,
    provisional: readTo > parsed,
    gone: chain.state === "gone",
    ...(isBuilding ? { visible_end: visible.readTo } : {}),
    ...(await readSegments(store, place.sessionId, newest)),
    ...(await readSample(store, place.sessionId, newest, stored)),
  };
}

/** Facts of no file: whatever the file system says, the file is read. */
const UNSEEN = { dev: "", ino: "", size: 0, mtime_ns: "", ctime_ns: "" };

/** What was read at a generation's first look, as far as its commits tell: what they appended is change. */
function baselineOf({ links, archived }: GenerationLinks): number {
  return links.find(({ kind }) => kind === "append")?.from ?? archived;
}

/** Fingerprint and keyframe after the last segment. */
async function readSegments(store: Store, sessionId: string, { generation, archived }: GenerationLinks) {
  let fingerprint: string = EMPTY_HASH;
  let keyframe = 0;
  let end = 0;
  for await (const page of store.segments(sessionId, generation)) {
    for (const segment of page) {
      if (segment.offset !== end) throw missing(generation, end);
      end += segment.length;
      fingerprint = extendFingerprint(fingerprint, segment.hash);
      keyframe = segment.keyframe;
    }
  }
  if (end < archived) throw missing(generation, end);
  if (end > archived) throw new Difference(`generation ${generation} has segments that no commit wrote`);
  return { fingerprint, keyframe };
}

function missing(generation: number, offset: number): Difference {
  return new Difference(`the archived bytes of generation ${generation} are missing from offset ${offset} on`);
}

/**
 * The sample by which the next look tells that the file still begins with what was archived. Of bytes that were
 * forgotten the archive cannot tell it: there it stays as it is, and where there is none, a look makes it again.
 */
async function readSample(
  store: Store,
  sessionId: string,
  { generation, archived }: GenerationLinks,
  stored: SourceRow | null,
) {
  const read = async (from: number, to: number) => {
    const chunks: Buffer[] = [];
    for await (const chunk of store.readArchive(sessionId, generation, from, to)) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const length = Math.min(SAMPLE_BYTES, archived);
  if (length === 0) return { head_length: 0, head_hash: EMPTY_HASH, tail_length: 0, tail_hash: EMPTY_HASH };
  const head = xxh64Hex(await read(0, length));
  const tail = xxh64Hex(await read(archived - length, archived));
  const { inHead, inTail } = await forgottenIn(store, sessionId, generation, length, archived - length);
  return {
    head_length: length,
    head_hash: (inHead ? stored?.head_hash : undefined) ?? head,
    tail_length: length,
    tail_hash: (inTail ? stored?.tail_hash : undefined) ?? tail,
  };
}

/** Whether something was forgotten that begins before `headEnd`, and that ends after `tailStart`. */
async function forgottenIn(
  store: Store,
  sessionId: string,
  generation: number,
  headEnd: number,
  tailStart: number,
): Promise<{ inHead: boolean; inTail: boolean }> {
  let inHead = false;
  let inTail = false;
  for await (const page of store.tombstones(sessionId, generation)) {
    for (const { offset, length } of page) {
      inHead ||= offset < headEnd;
      inTail ||= offset + length > tailStart;
    }
  }
  return { inHead, inTail };
}
