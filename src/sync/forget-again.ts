import type { ReadingContext } from "./context.ts";
import { forgetIn } from "./forget.ts";

/**
 * Destroys what is stored of messages that were forgotten: bytes that had been archived before their line was whole,
 * and what another writer brought.
 */
export async function forgetAgain(context: ReadingContext): Promise<void> {
  const { messages } = context.forgotten;
  if (messages.size === 0) return;
  const sessions = new Map<string, Set<string>>();
  for (const { uuid, session_id } of await context.store.notForgotten([...messages])) {
    sessions.set(session_id, (sessions.get(session_id) ?? new Set()).add(uuid));
  }
  for (const [id, uuids] of sessions) await forgetIn(context, id, { messages: uuids, reason: "it came again" });
}
