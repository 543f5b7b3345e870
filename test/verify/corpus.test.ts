// Real transcripts, where they are at hand.
import { afterAll, expect, test } from "vitest";
import { CORPUS, hasCorpus, makeHome } from "../support/corpus.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, scratchFolder, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

test("real transcripts verify as they were imported", async ({ skip }) => {
  skip(!hasCorpus, `there are none at ${CORPUS}`);
  const bench = await Workbench.create({ root: makeHome(scratchFolder()) });
  await bench.sync();
  const { verdicts, problems, notes } = await verifyAll(bench);
  expect(problems).toEqual([]);
  expect(notes).toEqual([]);
  expect(verdicts.length).toBeGreaterThan(50);
}, 120_000);
