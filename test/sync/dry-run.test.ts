// A dry run is the sync over a store that keeps nothing: what it reports must be what the real pass then does.
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { discover } from "../../src/source/discover.ts";
import { localFiles } from "../../src/source/transcript-file.ts";
import { DryStore } from "../../src/sync/dry-store.ts";
import type { SessionRow, SourceRow, Step, Store } from "../../src/sync/store.ts";
import { type SessionReport, syncPass } from "../../src/sync/sync.ts";
import { historyArb } from "../support/arbitraries.ts";
import { chain, jsonl, SESSION, userMessage, uuid } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { deathsArb, dyingStore } from "../support/dying-store.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

/** Raise it for a longer search: RIFFD_TEST_SEED=random RIFFD_TEST_RUNS=2000 npx vitest run test/sync/dry-run.test.ts */
const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 20);

/** Steps of a few bytes and rows, so that every look takes many commits. */
const limitsArb = fc.record({ bytes: fc.integer({ min: 40, max: 1500 }), rows: fc.integer({ min: 1, max: 4 }) });

describe("before each look of any history", { timeout: 180_000 }, () => {
  test("a dry run reports and ends with what the real pass does, and leaves the store as it is", async () => {
    await fc.assert(
      fc.asyncProperty(historyArb, async (history) => {
        const bench = await Workbench.create();
        for (const snapshot of history) {
          bench.lay(snapshot);
          await expectRehearsal(bench);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("the same with the smallest of steps, behind passes that died", async () => {
    await fc.assert(
      fc.asyncProperty(historyArb, limitsArb, deathsArb, async (history, limits, deaths) => {
        const bench = await Workbench.create();
        bench.stepLimits = limits;
        for (const [look, snapshot] of history.entries()) {
          bench.lay(snapshot);
          for (const death of deaths[look] ?? []) {
            bench.faults = dyingStore(death);
            await bench.sync().catch((error: Error) => expect(error.message).toBe("died"));
          }
          bench.faults = (store) => store;
          await expectRehearsal(bench);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("without a store all is new", async () => {
    await fc.assert(
      fc.asyncProperty(historyArb, limitsArb, async ([first], limits) => {
        const bench = await Workbench.create();
        bench.stepLimits = limits;
        bench.lay(first!);
        await expectRehearsal(bench, null);
      }),
      { numRuns: Math.ceil(RUNS / 2) },
    );
  });
});

test("a dry run takes back verdicts and what waited for a parent, when the parent comes late", async () => {
  const [one, two, three] = chain(3);
  const bench = await Workbench.create();
  for (const messages of [[one!, three!], [one!, three!, two!], [three!], [one!, two!, three!]]) {
    bench.write(`-p/${SESSION}.jsonl`, jsonl(...messages));
    await expectRehearsal(bench);
  }
});

describe("a store for rehearsals", () => {
  const FILE = `-p/${SESSION}.jsonl`;

  test("refuses a step that was prepared for another state of the session, as the real one does", async () => {
    const bench = await Workbench.create();
    bench.write(FILE, jsonl(...chain(3)));
    const steps: Step[] = [];
    await bench.sync({}, { onCommit: (step) => steps.push(step) });
    const dry = new DryStore(bench.store, localFiles, "dry");
    expect(await dry.commit(steps[0]!)).toBe("lost-race");
    const fresh = new DryStore(null, localFiles, "dry");
    expect(await fresh.commit(steps[0]!)).toBe("committed");
    expect(await fresh.commit(steps[0]!)).toBe("lost-race");
    const elsewhere = { ...steps[0]!.source!, archived: 1 };
    expect(await fresh.updateSource(elsewhere, elsewhere)).toBe(false);
    const behind = { ...steps[0]!, commit: { ...steps[0]!.commit, n: 2 }, expectedSource: elsewhere };
    expect(await fresh.commit(behind)).toBe("lost-race");
  });

  test("says so when a file that it must read again has changed meanwhile", async () => {
    const bench = await Workbench.create();
    bench.write(FILE, jsonl(...chain(3)));
    const { dry } = await rehearse(bench, null);
    bench.write(FILE, jsonl(userMessage({ uuid: uuid(7), parent: null, text: "other" })));
    await expect(bytesOf(dry, SESSION, 1, 10)).rejects.toMatchObject({ code: "RIFF_FILE_UNREADABLE" });
  });
});

/** A dry run, then the real pass: the same reports, the same store in the end, and nothing written in between. */
async function expectRehearsal(bench: Workbench, base: Store | null = bench.store): Promise<void> {
  const before = [await bench.store.chainHeads(), await dumpStore(bench.store)];
  const { dry, reports, steps } = await rehearse(bench, base);
  const rehearsed = await allOf(dry);
  // What was rehearsed counts as done: a second rehearsal on it finds nothing to do.
  const again = await rehearse(bench, dry);
  expect(again.steps).toEqual([]);
  expect(again.reports.filter(({ status }) => status !== "unchanged")).toEqual([]);
  expect([await bench.store.chainHeads(), await dumpStore(bench.store)]).toEqual(before);

  const written: Step[] = [];
  const done: SessionReport[] = [];
  await bench.sync({ onReport: (report) => done.push(report) }, { onCommit: (step) => written.push(step) });
  expect(inTurn(reports).map(reported)).toEqual(inTurn(done).map(reported));
  expect(inOrder(steps).map(shape)).toEqual(inOrder(written).map(shape));
  expect(rehearsed).toEqual(await allOf(bench.store));
}

async function rehearse(bench: Workbench, base: Store | null) {
  const dry = new DryStore(base, localFiles, "dry");
  const reports: SessionReport[] = [];
  const steps: Step[] = [];
  const context = {
    ...bench.context,
    store: dry,
    heads: { advance: () => {} },
    onCommit: (step: Step) => steps.push(step),
  };
  await syncPass(context, localFiles, await discover([bench.root]), {
    force: false,
    forceSessions: new Set(),
    only: null,
    onReport: (report) => reports.push(report),
  });
  return { dry, reports, steps };
}

/** What is the same in every run: no times, no hash that covers one. */
function reported({ durationMs: _, before, session, error, ...report }: SessionReport) {
  return { ...report, before: timeless(before), session: timeless(session), error: error?.message };
}

function timeless(session: SessionRow | null) {
  if (session === null) return null;
  const { head: _, created_at: __, last_updated: ___, ...row } = session;
  return row;
}

/** Jobs of different sessions run side by side; the reports of one are in order. */
function inTurn(reports: readonly SessionReport[]): SessionReport[] {
  return reports.toSorted((a, b) => compare(a.sessionId, b.sessionId));
}

/** Steps of different sessions run side by side; those of one are in order. */
function inOrder(steps: readonly Step[]): Step[] {
  return steps.toSorted((a, b) => compare(a.session.session_id, b.session.session_id) || a.commit.n - b.commit.n);
}

function shape({ session, commit, messages, records, quarantine, segments, events }: Step) {
  const { step_id: _, time: __, previous: ___, hash: ____, events_sha256: _____, ...told } = commit;
  return {
    session: timeless(session),
    commit: told,
    messages: messages.map(({ created_at: _, ...row }) => row),
    records: records.map(({ created_at: _, ...row }) => row),
    quarantine: quarantine.map(({ created_at: _, ...row }) => row),
    segments,
    events: events.map(({ timestamp: _, ...row }) => row),
  };
}

/** Everything that the sync can ask of a store. */
async function allOf(store: Store) {
  const sources = await store.sources("host");
  const sessions = await store.findSessions(await store.sessionIds());
  const unresolved = await store.allUnresolved();
  const parents = [...new Set(unresolved.map((row) => row.parent_uuid))].sort();
  const each = [];
  for (const { session, source } of sessions) {
    const { session_id, generation, source: key } = session;
    const archived = source?.generation === generation ? source.archived : 0;
    const archive = await bytesOf(store, session_id, generation, archived);
    const uuids = [...archive.toString().matchAll(/"(?:parentU|u)uid":"([^"]*)"/g)].map(([, uuid]) => uuid!);
    each.push({
      session: timeless(session),
      found: timeless(await store.findSession(session_id)),
      source: source && ageless(source),
      again: ageless((await store.findSource(key))!),
      archive: archive.toString("latin1"),
      middle: (await bytesOf(store, session_id, generation, archived, archived >> 1)).toString("latin1"),
      segments: (await all(store.segments(session_id, generation))).map(({ data: _, ...row }) => row),
      messages: inPlace(await store.findMessages([...new Set(uuids)])),
      scored: await store.scoredOffsets(session_id, generation),
      unresolved: await store.unresolvedOf(session_id),
      removed: await store.removedMessages(session_id),
    });
  }
  return {
    sources: sources.map(ageless),
    each,
    unresolved: inPlace(unresolved),
    waiting: inPlace(await store.unresolvedWaitingFor(parents)),
    chains: inPlace((await store.chainHeads()).map(({ session_id, chain }) => ({ session_id, chain }))),
    summaries: (await store.summaries()).map(({ session_id, source, state, message_count, session_hash }) => ({
      session_id,
      source,
      state,
      message_count,
      session_hash,
    })),
    toSettle: (await store.sessionsToSettle()).toSorted(),
  };
}

function ageless({ verified_at: _, ...row }: SourceRow) {
  return row;
}

/** Rows that a store may give in any order. */
function inPlace<T>(rows: readonly T[]): T[] {
  return rows.toSorted((a, b) => compare(JSON.stringify(a, sortedKeys), JSON.stringify(b, sortedKeys)));
}

function sortedKeys(_: string, value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => compare(a, b)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function bytesOf(store: Store, id: string, generation: number, to: number, from = 0): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of store.readArchive(id, generation, from, to)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function all<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const rows: T[] = [];
  for await (const page of pages) rows.push(...page);
  return rows;
}
