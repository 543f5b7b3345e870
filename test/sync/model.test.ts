import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { Model, type ModelSession, type Snapshot } from "../model/model.ts";
import { historyArb } from "../support/arbitraries.ts";
import { dumpStore } from "../support/dump.ts";
import { deathsArb, dyingStore } from "../support/dying-store.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

/** Raise it for a longer search: RIFFD_TEST_SEED=random RIFFD_TEST_RUNS=2000 npx vitest run test/sync/model.test.ts */
const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 60);

test("any history of files leaves the store as the model says, after each look", async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, async (history) => {
      await expectModel(await Workbench.create(), history);
    }),
    { numRuns: RUNS },
  );
});

test("reading in the smallest of steps ends as the model says", async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, limitsArb, async (history, limits) => {
      const bench = await Workbench.create();
      bench.stepLimits = limits;
      await expectModel(bench, history);
    }),
    { numRuns: Math.ceil(RUNS / 2) },
  );
});

test("a pass that dies before or after any commit is completed by the next, as if it had not died", async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, limitsArb, deathsArb, async (history, limits, deaths) => {
      const bench = await Workbench.create();
      bench.stepLimits = limits;
      const model = new Model();
      for (const [look, snapshot] of history.entries()) {
        bench.lay(snapshot);
        for (const death of deaths[look] ?? []) {
          bench.faults = dyingStore(death);
          await bench.sync().catch((error: Error) => expect(error.message).toBe("died"));
        }
        bench.faults = (store) => store;
        await bench.sync();
        model.see(snapshot);
        expect(readable(await dumpStore(bench.store))).toEqual(readable(model.sessions()));
      }
    }),
    { numRuns: RUNS },
  );
});

/** Steps of a few bytes and rows, so that every look takes many commits. */
const limitsArb = fc.record({ bytes: fc.integer({ min: 40, max: 1500 }), rows: fc.integer({ min: 1, max: 4 }) });

test("a second pass over the same files writes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, async (history) => {
      const bench = await Workbench.create();
      for (const snapshot of history) {
        bench.lay(snapshot);
        await bench.sync();
        const before = await bench.store.chainHeads();
        const reports = await bench.sync();
        expect([...reports.values()].filter((report) => report.status !== "unchanged")).toEqual([]);
        expect(await bench.store.chainHeads()).toEqual(before);
      }
    }),
    { numRuns: Math.ceil(RUNS / 3) },
  );
});

test("reading a history in one look ends as reading it in many, but for the log of events", async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, async (history) => {
      const last: Snapshot = history.at(-1)!.map((look) => ({ ...look, quiet: true }));
      const many = await Workbench.create();
      for (const snapshot of [...history, last]) {
        many.lay(snapshot);
        await many.sync();
      }
      const once = await Workbench.create();
      once.lay(last);
      await once.sync();
      const exists = new Set((await dumpStore(once.store)).map((session) => session.session_id));
      // Files that went, and names that were taken at the time, are of the history and not of its end.
      const stillThere = (await dumpStore(many.store)).filter((session) => session.state === "live");
      if (stillThere.some((session) => !exists.has(session.session_id))) return;
      if (stillThere.length !== (await dumpStore(many.store)).length) return;
      expect(readable(stillThere.map(withoutHistory))).toEqual(
        readable((await dumpStore(once.store)).map(withoutHistory)),
      );
    }),
    { numRuns: Math.ceil(RUNS / 3) },
  );
});

/** Syncs each snapshot of a history; after each the store must be as the model says. */
async function expectModel(bench: Workbench, history: readonly Snapshot[]): Promise<void> {
  const model = new Model();
  for (const snapshot of history) {
    bench.lay(snapshot);
    await bench.sync();
    model.see(snapshot);
    expect(readable(await dumpStore(bench.store))).toEqual(readable(model.sessions()));
  }
}

function withoutHistory(session: ModelSession): ModelSession {
  return { ...session, events: [], removed: [], generation: 0 };
}

/** Bytes as text, so that a difference can be read. */
function readable(sessions: readonly ModelSession[]) {
  return sessions.map((session) => ({ ...session, archived: session.archived.toString("latin1") }));
}
