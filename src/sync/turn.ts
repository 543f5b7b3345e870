// The last step of a rewrite: compares the new generation with the one that readers see, logs what changed, and turns
// the readers to it. Both are read from the archive, so an interrupted turn can be done again.
import { canonicalJson } from "../core/canonical.ts";
import { xxh64Hex } from "../core/hash.ts";
import { itemsOf } from "../core/line-splitter.ts";
import { readRecord } from "../core/message.ts";
import type { SyncContext } from "./context.ts";
import { damageOf, type NewEvent, type SessionLog, versionKey, withFindingsOf } from "./look.ts";
import { archivedLines, type ReadUpTo, TombstoneCursor } from "./reload.ts";
import type { ByteRange, RemovedMessage, SourceRow, Store } from "./store.ts";
import type { Totals } from "./totals.ts";
import type { Tracker } from "./tracker.ts";

/** A message as the comparison of two generations sees it. */
interface Version {
  readonly uuid: string;
  readonly occurrence: number;
  readonly parent: string | null;
  readonly digest: string;
  readonly range: ByteRange;
  /** What it said is not known any more. */
  readonly forgotten: boolean;
  /** xxh64 of the canonical JSON without parentUuid. */
  contentDigest(): string;
}

/** What was read while the new generation was written. */
export interface Built {
  readonly totals: Totals;
  readonly tracker: Tracker;
  readonly quiet: boolean;
}

/** Turns a session to the generation at `building`, which was read to its end. Returns its checkpoint. */
export async function turnGeneration(
  context: SyncContext,
  log: SessionLog,
  building: SourceRow,
  { totals, tracker, quiet }: Built,
): Promise<SourceRow> {
  const { store } = context;
  const before = log.session;
  const old = { generation: before.generation, end: building.visible_end };
  const { events, removed, present } = await compareGenerations(store, before.session_id, old, {
    generation: building.generation,
    end: building.read_to,
  });
  const gone = before.removed_count === 0 ? [] : await store.removedMessages(before.session_id);
  const restored = gone.filter((row) => present.has(versionKey(row.message_uuid, row.occurrence)));
  const findings = tracker.findings(before.spared);
  const source: SourceRow = {
    ...building,
    baseline: building.archived,
    complete: true,
    settled: quiet,
    prior_incomplete: false,
    superseded: true,
    verdicts_due: true,
  };
  const session = withFindingsOf(
    { ...before, ...totals.columns, generation: building.generation, state: "live" },
    findings,
    before.spared,
  );
  const step = log.prepare({
    kind: "turn",
    time: context.now(),
    session: {
      ...session,
      removed_count: before.removed_count + removed.length - restored.length,
      // Compared once the verdicts of the new generation are decided.
      damage_before: before.damage_before ?? { damage: damageOf(before), score: before.corruption_score },
    },
    source,
    events: building.prior_incomplete ? events.filter((event) => event.event_type !== "message_added") : events,
    findings,
    removed,
    restored,
  });
  await log.write(step);
  return source;
}

async function compareGenerations(store: Store, sessionId: string, old: ReadUpTo, current: ReadUpTo) {
  const before = new Map<string, Omit<Version, "contentDigest">>();
  for await (const { contentDigest: _, ...version } of versions(store, sessionId, old)) {
    before.set(versionKey(version.uuid, version.occurrence), version);
  }
  const present = new Set<string>();
  const events: NewEvent[] = [];
  const rewritten = new Map<string, { at: number; after: Version; contentDigest: string }>();
  for await (const after of versions(store, sessionId, current)) {
    const key = versionKey(after.uuid, after.occurrence);
    present.add(key);
    const was = before.get(key);
    if (was === undefined) {
      events.push(event("message_added", "added by a rewrite of the transcript", null, after, null, after.digest));
      continue;
    }
    if (was.parent !== after.parent) {
      events.push(event("parent_repaired", "parentUuid changed in the file", was, after, was.parent, after.parent));
    }
    if (was.digest !== after.digest && !was.forgotten && !after.forgotten) {
      rewritten.set(key, { at: events.length, after, contentDigest: after.contentDigest() });
    }
  }
  // Only where the bytes differ is the old text read again, to tell another content from another spelling of it.
  const updated: { at: number; event: NewEvent }[] = [];
  if (rewritten.size > 0) {
    for await (const was of versions(store, sessionId, old)) {
      const now = rewritten.get(versionKey(was.uuid, was.occurrence));
      if (now === undefined || now.contentDigest === was.contentDigest()) continue;
      const { at, after } = now;
      updated.push({
        at,
        event: event("content_updated", "content changed in the file", was, after, was.digest, after.digest),
      });
    }
  }
  updated.sort((a, b) => a.at - b.at || a.event.after!.offset - b.event.after!.offset);
  const inOrder: NewEvent[] = [];
  let next = 0;
  for (let i = 0; i <= events.length; i++) {
    while (next < updated.length && updated[next]!.at === i) inOrder.push(updated[next++]!.event);
    if (i < events.length) inOrder.push(events[i]!);
  }
  const removed: RemovedMessage[] = [];
  for (const [key, was] of before) {
    if (present.has(key)) continue;
    const { generation, offset } = was.range;
    removed.push({ generation, offset, message_uuid: was.uuid, occurrence: was.occurrence });
    inOrder.push(event("message_removed", "no longer in the transcript", was, null, was.digest, null));
  }
  return { events: inOrder, removed, present };
}

function event(
  event_type: NewEvent["event_type"],
  reason: string,
  before: Pick<Version, "uuid" | "range"> | null,
  after: Pick<Version, "uuid" | "range"> | null,
  old_value: string | null,
  new_value: string | null,
): NewEvent {
  return {
    message_uuid: (after ?? before)!.uuid,
    event_type,
    reason,
    old_value,
    new_value,
    before: before?.range ?? null,
    after: after?.range ?? null,
  };
}

/** The messages of a generation in byte order, from its archived bytes. */
async function* versions(store: Store, sessionId: string, upTo: ReadUpTo): AsyncGenerator<Version> {
  const occurrences = new Map<string, number>();
  const tombstones = new TombstoneCursor(store.tombstones(sessionId, upTo.generation));
  for await (const { line, open } of archivedLines(store, sessionId, upTo)) {
    const forgotten = new Map((await tombstones.upTo(line.base + line.to)).map((one) => [one.offset, one.digest]));
    for (const item of itemsOf(line, open)) {
      if (item.kind === "piece") continue;
      const { offset, length, json } = item;
      const record = readRecord(item, line.bytes.subarray(offset - line.base, offset - line.base + length));
      if (record.kind === "record") continue;
      const { uuid, parent } = record;
      const digest = forgotten.get(offset) ?? record.digest;
      const occurrence = (occurrences.get(uuid) ?? 0) + 1;
      occurrences.set(uuid, occurrence);
      yield {
        uuid,
        occurrence,
        parent,
        digest,
        range: { generation: upTo.generation, offset, length },
        forgotten: forgotten.has(offset),
        contentDigest: () => xxh64Hex(Buffer.from(canonicalJson(json, "parentUuid"))),
      };
    }
  }
}
