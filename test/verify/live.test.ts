// verify while others write: each session is proved as it is at one moment, so nothing that is on its way is an alarm.
import { appendFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { chain, jsonl, SESSION, uuid } from "../support/builders.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

test("a store that is written to all the time never alarms", async () => {
  const bench = await Workbench.create();
  const file = bench.write(`-p/${SESSION}.jsonl`, jsonl(...chain(500)), false);
  await bench.sync();
  let written = 500;
  let isDone = false;
  const writing = (async () => {
    while (!isDone) {
      appendFileSync(file, jsonl(...chain(20, { from: written + 1, parent: uuid(written) })));
      written += 20;
      bench.write(`-p/new-${written}.jsonl`, jsonl(...chain(1, { from: 1_000_000 + written })));
      await bench.sync();
    }
  })();
  try {
    for (let n = 1; n <= 3; n++) {
      const before = written;
      const { verdicts, problems } = await verifyAll(bench, new Map(bench.heads));
      expect(problems).toEqual([]);
      expect(verdicts.length).toBeGreaterThan(0);
      await expect.poll(() => written, { timeout: 20_000 }).toBeGreaterThan(before);
    }
  } finally {
    isDone = true;
    await writing;
  }
});
