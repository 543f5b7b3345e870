// Proves the feed: every commit of every session has one place in it or waits for one, a session's in the order of their
// numbers. The commits themselves are proved with their sessions.
import { show } from "../sync/proof/difference.ts";
import { keyOf, type VerifyReader } from "./reader.ts";

/** Returns the first thing that is wrong, in words, or null. Others may write meanwhile. */
export async function proveFeed(reader: VerifyReader): Promise<string | null> {
  const { last, beyond, waiting, chains } = await reader.feedState();
  if (typeof last !== "number") return `the feed's head should be a number, but is ${show(last)}`;
  const [surplus] = beyond;
  if (surplus !== undefined)
    return `feed:${show(surplus.id)} stands outside of the feed, which ends with place ${last}`;
  const seen = new Map<unknown, number>();
  /** The next commit of a session; null where it is. */
  const next = (session: unknown, n: unknown): string | null => {
    const due = (seen.get(session) ?? 0) + 1;
    if (n !== due) return `commit ${due} of the session ${show(session)} is due, not ${show(n)}`;
    if (due > (chains.get(session) ?? 0)) return `the session ${show(session)} has no commit ${due}`;
    seen.set(session, due);
    return null;
  };

  let place = 0;
  for await (const rows of reader.feed(last)) {
    for (const row of rows) {
      place++;
      if (show(keyOf(row)) !== show([place]))
        return `place ${place} of the feed is missing: ${show(keyOf(row))} follows`;
      const wrong = next(row.session_id, row.n);
      if (wrong !== null) return `place ${place} of the feed: ${wrong}`;
    }
  }
  if (place !== last) return `place ${place + 1} of the feed is missing: the last one is ${last}`;
  for (const id of waiting) {
    const [session, n, ...rest] = keyOf({ id });
    const wrong = rest.length > 0 ? "it is no commit's" : next(session, n);
    if (wrong !== null) return `feed_waiting:${show(keyOf({ id }))} waits for a place in the feed: ${wrong}`;
  }
  for (const [session, chain] of chains) {
    const n = (seen.get(session) ?? 0) + 1;
    if (n <= chain) return `commit ${n} of the session ${show(session)} has no place in the feed, and waits for none`;
  }
  return null;
}
