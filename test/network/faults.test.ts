// A network that misbehaves between riffd and its store: nothing is lost, nothing is doubled, it is told once, and the
// work goes on by itself.
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Patience, RemoteDatabase } from "../../src/store/remote-database.ts";
import type { SurrealStore } from "../../src/store/surreal-store.ts";
import type { Store } from "../../src/sync/store.ts";
import { Model, type Snapshot } from "../model/model.ts";
import { historyArb } from "../support/arbitraries.ts";
import { chain, jsonl, SESSION } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { FaultyProxy } from "../support/faulty-proxy.ts";
import { killRunning } from "../support/riffd.ts";
import { TestServer } from "../support/server.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, scratchFolder, Workbench } from "../support/workbench.ts";

/** Faults are noticed soon; a busy machine is none. */
const PATIENCE: Patience = { first: 30_000, away: 60_000, connect: 2_000, call: 1_000 };

let server: TestServer;
let proxy: FaultyProxy;
let told: string[] = [];
const open: RemoteDatabase[] = [];

beforeAll(async () => {
  server = await TestServer.start(scratchFolder());
});

afterEach(async () => {
  for (const database of open.splice(0)) await database.close();
  await proxy?.close();
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

/** A workbench whose store is behind a proxy. */
async function benchBehindProxy(patience: Patience = PATIENCE): Promise<Workbench> {
  proxy = await FaultyProxy.listen(server.port);
  told = [];
  const database = await server.open(await server.newDatabase(), {
    port: proxy.port,
    patience,
    events: { away: () => told.push("away"), back: () => told.push("back") },
  });
  open.push(database);
  return Workbench.over(database);
}

/** Does something before the commit of this number, counted from 0, and before no other. */
function beforeCommit(wanted: number, act: () => void): (store: SurrealStore) => Store {
  let commits = 0;
  return (store) =>
    new Proxy<Store>(store, {
      get(target, name) {
        const value = target[name as keyof Store];
        if (typeof value !== "function") return value;
        if (name !== "commit") return value.bind(target);
        return (step: Parameters<Store["commit"]>[0]) => {
          if (commits++ === wanted) act();
          return target.commit(step);
        };
      },
    });
}

/** The store is what the model says, its chains have no gap, and everything in it is proved. */
async function expectWhole(bench: Workbench, model: Model): Promise<void> {
  const plain = (sessions: Awaited<ReturnType<typeof dumpStore>>) =>
    sessions.map((session) => ({ ...session, archived: session.archived.toString("latin1") }));
  expect(plain(await dumpStore(bench.store))).toEqual(plain(model.sessions()));
  expect((await verifyAll(bench)).problems).toEqual([]);
}

const FIRST = jsonl(...chain(40));
const GROWN = jsonl(...chain(60));

/** A file that is imported in many commits, and grows. */
function looks(bytes: Buffer): Snapshot {
  return [{ path: `-p/${SESSION}.jsonl`, bytes, quiet: true }];
}

/** What goes wrong before some commit, and how it ends. */
const FAULTS: Readonly<Record<string, () => void>> = {
  "is cut after the commit and before the reply": () => void proxy.cutBeforeReply(),
  "is cut before the commit arrives": () => proxy.cut(),
  "hangs, open on one side only, and then works again": () => {
    proxy.stalled = true;
    setTimeout(() => {
      proxy.stalled = false;
    }, 2_500);
  },
  "answers too late": () => void proxy.delayReply(2_500),
  "is cut, and then refuses for a while": () => {
    proxy.refusing = true;
    proxy.cut();
    setTimeout(() => {
      proxy.refusing = false;
    }, 700);
  },
};

describe("a connection that", () => {
  test.each(Object.keys(FAULTS))("%s loses nothing, doubles nothing, and is told once", async (fault) => {
    const bench = await benchBehindProxy();
    bench.stepLimits = { bytes: 2_000, rows: 5 };
    const model = new Model();
    bench.lay(looks(FIRST));
    bench.faults = beforeCommit(3, FAULTS[fault]!);
    await bench.sync();
    model.see(looks(FIRST));
    await expectWhole(bench, model);
    expect(told).toEqual(["away", "back"]);

    bench.lay(looks(GROWN));
    bench.faults = beforeCommit(1, FAULTS[fault]!);
    await bench.sync();
    model.see(looks(GROWN));
    await expectWhole(bench, model);
    expect(told).toEqual(["away", "back", "away", "back"]);
  });

  test("is slow by 20 ms in each direction changes nothing", async () => {
    const bench = await benchBehindProxy({ ...PATIENCE, call: 10_000 });
    proxy.delayMs = 20;
    const model = new Model();
    for (const bytes of [FIRST, GROWN]) {
      bench.lay(looks(bytes));
      await bench.sync();
      model.see(looks(bytes));
      await expectWhole(bench, model);
    }
    expect(told).toEqual([]);
  });

  test("only takes its time with a call is waited for", async () => {
    const bench = await benchBehindProxy();
    const started = performance.now();
    await bench.store.database.run("SLEEP 2500ms");
    expect(performance.now() - started).toBeGreaterThan(2_000);
    expect(told).toEqual([]);
  });

  test("does not come back ends the pass; what was committed is whole, and the next pass goes on", async () => {
    const bench = await benchBehindProxy({ ...PATIENCE, away: 1_000 });
    bench.stepLimits = { bytes: 2_000, rows: 5 };
    bench.lay(looks(FIRST));
    bench.faults = beforeCommit(3, () => {
      proxy.refusing = true;
      proxy.cut();
    });
    await expect(bench.sync()).rejects.toMatchObject({ code: "RIFF_STORE_UNREACHABLE" });
    expect(told).toEqual(["away"]);
    proxy.refusing = false;
    const [half] = await bench.store.chainHeads();
    expect(half?.chain).toBe(3);
    expect((await verifyAll(bench)).problems).toEqual([]);
    bench.faults = (store) => store;
    await bench.sync();
    const model = new Model();
    model.see(looks(FIRST));
    await expectWhole(bench, model);
    expect(told).toEqual(["away", "back"]);
  });

  test("misbehaves at random moments leaves any history as the model says", async () => {
    const kinds = Object.keys(FAULTS).filter((name) => !name.includes("late") && !name.includes("hangs"));
    const faultsArb = fc.array(fc.record({ commit: fc.nat(12), fault: fc.constantFrom(...kinds) }), { minLength: 3 });
    await fc.assert(
      fc.asyncProperty(historyArb, faultsArb, async (history, faults) => {
        const bench = await benchBehindProxy();
        bench.stepLimits = { bytes: 600, rows: 3 };
        const model = new Model();
        try {
          for (const [look, snapshot] of history.entries()) {
            const { commit, fault } = faults[look % faults.length]!;
            bench.lay(snapshot);
            bench.faults = beforeCommit(commit, FAULTS[fault]!);
            await bench.sync();
            model.see(snapshot);
            await expectWhole(bench, model);
          }
        } finally {
          await open.pop()?.close();
          await proxy.close();
        }
      }),
      { numRuns: 12 },
    );
  }, 180_000);
});

test("a store whose lists must be written ahead in parts ends as the model says", async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, async (history) => {
      const bench = await benchBehindProxy({ ...PATIENCE, call: 10_000 });
      Object.assign(bench.store.database, { limits: { ...bench.store.database.limits, listRows: 1 } });
      const model = new Model();
      try {
        for (const snapshot of history) {
          bench.lay(snapshot);
          await bench.sync();
          model.see(snapshot);
          await expectWhole(bench, model);
        }
        expect(await bench.store.database.run("SELECT * FROM staged")).toEqual([[]]);
      } finally {
        await open.pop()?.close();
        await proxy.close();
      }
    }),
    { numRuns: 15 },
  );
});
