// What a store holds of its sessions, in the model's terms, so that both can be compared.
import type { SurrealStore } from "../../src/store/surreal-store.ts";
import type { ModelSession } from "../model/model.ts";

/** All sessions of a store in the order of their ids; live rows only, but for `removed`. */
export async function dumpStore(store: SurrealStore): Promise<ModelSession[]> {
  const sessions: ModelSession[] = [];
  for (const id of await store.sessionIds()) sessions.push(await dumpSession(store, id));
  return sessions;
}

export async function dumpSession(store: SurrealStore, sessionId: string): Promise<ModelSession> {
  const session = (await store.findSession(sessionId))!;
  const { generation } = session;
  const unresolved = (await store.unresolvedOf(sessionId)).filter((row) => row.generation === generation);
  const foundIn = new Map(unresolved.map((row) => [row.offset, row.found_in]));
  const messages = (await all(store.messages(sessionId, generation))).filter((row) => row.removed_at === null);
  const removed = await store.removedMessages(sessionId);
  const source = (await store.findSource(session.source))!;
  const archived = await all(mapped(store.readArchive(sessionId, generation, 0, source.archived)));
  return {
    session_id: sessionId,
    kind: session.kind,
    project: session.project,
    state: session.state,
    generation,
    messages: messages.map((row) => ({
      offset: row.offset,
      length: row.length,
      message_uuid: row.message_uuid,
      parent_uuid: row.parent_uuid,
      parent_state: row.parent_state,
      found_in: foundIn.get(row.offset) ?? null,
      message_type: row.message_type,
      role: row.role,
      timestamp: row.timestamp?.toISOString() ?? null,
      is_orphaned: row.is_orphaned,
      corruption_score: row.corruption_score as 0 | 1,
      occurrence: row.occurrence,
      digest: row.digest,
    })),
    records: (await all(store.records(sessionId, generation))).map(({ offset, length, record_type, digest }) => ({
      offset,
      length,
      record_type,
      digest,
    })),
    pieces: (await all(store.quarantine(sessionId, generation))).map(({ offset, length, reason }) => ({
      offset,
      length,
      reason,
    })),
    faults: session.faults.map(({ kind, offset, length, message_uuid, parent_uuid, cut_off, note }) => ({
      kind,
      offset,
      ...(kind === "unreadable" ? { length } : {}),
      message_uuid,
      parent_uuid,
      cut_off,
      note,
    })),
    message_count: session.message_count,
    record_count: session.record_count,
    conversation_count: session.conversation_count,
    thread_count: session.thread_count,
    orphan_count: session.orphan_count,
    unreadable_count: session.unreadable_count,
    cut_off_count: session.cut_off_count,
    corruption_score: session.corruption_score,
    session_hash: session.session_hash,
    events: (await all(store.events(sessionId))).map(({ event_type, message_uuid, old_value, new_value }) => ({
      event_type,
      message_uuid,
      old_value,
      new_value,
    })),
    archived: Buffer.concat(archived),
    removed: removed
      .map(({ message_uuid, occurrence }) => ({ message_uuid, occurrence }))
      .sort((a, b) => compare(a.message_uuid, b.message_uuid) || a.occurrence - b.occurrence),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function all<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const rows: T[] = [];
  for await (const page of pages) rows.push(...page);
  return rows;
}

async function* mapped(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer[]> {
  for await (const chunk of chunks) yield [chunk];
}
