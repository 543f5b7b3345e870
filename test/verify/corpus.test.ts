// Real transcripts, where they are at hand.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, scratchFolder, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const CORPUS = fileURLToPath(new URL("../../../shared/corpus/", import.meta.url));
const MAKE_HOME = fileURLToPath(new URL("../../../shared/tools/make-home.mjs", import.meta.url));

test("real transcripts verify as they were imported", async ({ skip }) => {
  skip(!existsSync(CORPUS) || !existsSync(MAKE_HOME), `there are none at ${CORPUS}`);
  const home = scratchFolder();
  execFileSync(process.execPath, [MAKE_HOME, home], { stdio: "pipe" });
  const bench = await Workbench.create({ root: join(home, "projects") });
  await bench.sync();
  const { verdicts, problems, notes } = await verifyAll(bench);
  expect(problems).toEqual([]);
  expect(notes).toEqual([]);
  expect(verdicts.length).toBeGreaterThan(50);
}, 120_000);
