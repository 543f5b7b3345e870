import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { historyArb } from "../support/arbitraries.ts";
import { chain, jsonl, userMessage, uuid } from "../support/builders.ts";
import { deathsArb, dyingStore } from "../support/dying-store.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

/** Raise it for a longer search: RIFFD_TEST_SEED=random RIFFD_TEST_RUNS=2000 npx vitest run test/verify/untouched.test.ts */
const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 12);

const limitsArb = fc.record({ bytes: fc.integer({ min: 40, max: 1500 }), rows: fc.integer({ min: 1, max: 4 }) });

test("a store that nobody touched never alarms, whatever the files did and wherever a pass died", async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, limitsArb, deathsArb, async (history, limits, deaths) => {
      const bench = await Workbench.create();
      bench.stepLimits = limits;
      for (const [i, snapshot] of history.entries()) {
        bench.lay(snapshot);
        for (const death of deaths[i] ?? []) {
          bench.faults = dyingStore(death);
          await bench.sync().catch((error: Error) => expect(error.message).toBe("died"));
          expect((await verifyAll(bench)).problems).toEqual([]);
        }
        bench.faults = (store) => store;
        await bench.sync();
        const verified = await verifyAll(bench);
        expect(verified.problems).toEqual([]);
        expect(verified.notes).toEqual([]);
      }
    }),
    { numRuns: RUNS },
  );
});

test("each thing that can happen to a file leaves a store that verifies", async () => {
  const bench = await Workbench.create();
  const clean = async (status: string, id = "gear") => {
    const told: string[] = [];
    await bench.sync({ onReport: (report) => void (report.sessionId === id && told.push(report.status)) });
    expect([told[0], (await verifyAll(bench)).problems]).toEqual([status, []]);
  };
  bench.write("-p/gear.jsonl", jsonl(...chain(4)), false);
  await clean("imported");
  bench.write("-p/gear.jsonl", Buffer.concat([jsonl(...chain(5)), Buffer.from('{"type":"us')]), false);
  await clean("appended");
  bench.write("-p/gear.jsonl", Buffer.concat([jsonl(...chain(5)), Buffer.from('{"type":"us')]));
  await clean("appended"); // settled: the torn end is archived as an unfinished piece
  bench.write("-p/gear.jsonl", Buffer.concat([jsonl(...chain(5)), Buffer.from('{"type":"user"}\n')]));
  await clean("appended");
  bench.write("-p/gear.jsonl", jsonl(...chain(2), userMessage({ uuid: uuid(9), parent: uuid(77) })));
  await clean("rewritten");
  bench.write("-p/gear.jsonl", jsonl(...chain(5)));
  await clean("rewritten"); // what had vanished has come back
  const path = join(bench.root, "-p/gear.jsonl");
  mkdirSync(join(bench.root, "-q"));
  renameSync(path, join(bench.root, "-q/gear.jsonl"));
  await clean("moved");
  rmSync(join(bench.root, "-q/gear.jsonl"));
  await clean("gone");
  bench.write("-q/gear.jsonl", jsonl(...chain(5)));
  await clean("back");
  bench.write("-q/gear/subagents/agent-a1.jsonl", jsonl(userMessage({ uuid: uuid(30), parent: uuid(5), agent: "a1" })));
  await clean("imported", "gear/agent-a1");
});
