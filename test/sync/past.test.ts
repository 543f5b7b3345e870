import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { EMPTY_HASH, extendSessionHash } from "../../src/core/hash.ts";
import { archivedEntries } from "../../src/sync/reload.ts";
import type { CommitRow } from "../../src/sync/store.ts";
import { historyArb } from "../support/arbitraries.ts";
import { dumpStore } from "../support/dump.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

test("the archived bytes and the times of commits give back every past state", async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, async (history) => {
      const bench = await Workbench.create();
      const moments = [{ at: new Date(), sessions: await dumpStore(bench.store) }];
      for (const snapshot of history) {
        await nextMillisecond();
        bench.lay(snapshot);
        await bench.sync();
        moments.push({ at: new Date(), sessions: await dumpStore(bench.store) });
      }
      for (const { at, sessions } of moments) {
        const past = [];
        for (const id of await bench.store.sessionIds()) {
          const state = await stateAt(bench, id, at);
          if (state !== null) past.push(state);
        }
        expect(past).toEqual(
          sessions.map(({ session_id, messages, records, pieces, session_hash }) => ({
            session_id,
            messages: messages.map(({ offset, length, message_uuid, parent_uuid, occurrence, digest }) => ({
              offset,
              length,
              message_uuid,
              parent_uuid,
              occurrence,
              digest,
            })),
            records,
            pieces,
            session_hash,
          })),
        );
      }
    }),
    { numRuns: 40 },
  );
});

/** What riffd knew of a session at a moment, from its commits and archived bytes alone; null: nothing. */
async function stateAt(bench: Workbench, sessionId: string, at: Date) {
  const commits: CommitRow[] = [];
  for await (const page of bench.store.commits(sessionId)) commits.push(...page.filter(({ time }) => time <= at));
  const last = commits.at(-1);
  if (last === undefined) return null;
  const generation = last.visible_generation;
  const read = commits.findLast((commit) => commit.generation === generation)!;
  const upTo = { generation, end: read.read_to };
  const state = {
    session_id: sessionId,
    messages: [] as object[],
    records: [] as object[],
    pieces: [] as object[],
    session_hash: EMPTY_HASH,
  };
  const occurrences = new Map<string, number>();
  for await (const entries of archivedEntries(bench.store, sessionId, upTo)) {
    for (const entry of entries) {
      const { offset, length } = entry;
      if (entry.kind === "piece") state.pieces.push({ offset, length, reason: entry.reason });
      else if (entry.kind === "record") {
        state.records.push({ offset, length, record_type: entry.type, digest: entry.digest });
      } else {
        const { uuid, parent, digest } = entry;
        const occurrence = (occurrences.get(uuid) ?? 0) + 1;
        occurrences.set(uuid, occurrence);
        state.messages.push({ offset, length, message_uuid: uuid, parent_uuid: parent, occurrence, digest });
        state.session_hash = extendSessionHash(state.session_hash, uuid, parent, digest);
      }
    }
  }
  return state;
}

/** Commits of two moments must not share a time. */
async function nextMillisecond(): Promise<void> {
  const now = Date.now();
  while (Date.now() === now) await new Promise((resolve) => setImmediate(resolve));
}
