import { appendFileSync, renameSync, rmSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { PolledFiles } from "../../src/source/polled-files.ts";
import { lay } from "../support/watching.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

const HOUR_MS = 3_600_000;

let root: string;
let changes: string[];
beforeEach(() => {
  root = scratchFolder();
  changes = [];
});

function polledFiles({ hotForMs = HOUR_MS, maxHot = 10 } = {}): PolledFiles {
  return new PolledFiles({
    wanted: (name) => name !== "-secret",
    hotForMs,
    maxHot,
    changed: (path) => changes.push(path),
  });
}

/** What was told since this was asked last. */
function told(): string[] {
  return changes.splice(0).sort();
}

/** As if it had changed so long ago. */
function age(path: string, ms: number): void {
  const time = (Date.now() - ms) / 1000;
  utimesSync(path, time, time);
}

test("tells of nothing that has not changed, and of each change once", async () => {
  const path = lay(root, "-p", "a.jsonl");
  const polled = polledFiles();
  await polled.begin([root]);
  await polled.lookAtHot();
  await polled.lookAtAll([root]);
  expect(told()).toEqual([]);
  appendFileSync(path, "{}\n");
  await polled.lookAtHot();
  expect(told()).toEqual([path]);
  await polled.lookAtHot();
  await polled.lookAtAll([root]);
  expect(told()).toEqual([]);
});

test("looks in hot rounds at files that changed lately, and at the others in rounds of all", async () => {
  const cold = lay(root, "-p", "cold.jsonl");
  const hot = lay(root, "-p", "hot.jsonl");
  age(cold, 2 * HOUR_MS);
  const polled = polledFiles();
  await polled.begin([root]);
  appendFileSync(cold, "{}\n");
  appendFileSync(hot, "{}\n");
  const appeared = lay(root, "-q", "new.jsonl");
  await polled.lookAtHot();
  expect(told()).toEqual([hot]);
  await polled.lookAtAll([root]);
  expect(told()).toEqual([cold, appeared]);
  for (const path of [cold, hot, appeared]) appendFileSync(path, "{}\n");
  await polled.lookAtHot();
  expect(told()).toEqual([cold, hot, appeared]);
});

test("keeps no more files hot than it may: those that changed last", async () => {
  const paths = Array.from({ length: 6 }, (_, n) => lay(root, "-p", `${n}.jsonl`));
  for (const [n, path] of paths.entries()) age(path, (10 - n) * 1000);
  const polled = polledFiles({ maxHot: 2 });
  await polled.begin([root]);
  polled.heat(paths[0]!);
  for (const path of paths) appendFileSync(path, "{}\n");
  await polled.lookAtHot();
  expect(told()).toEqual([paths[0], paths[5]]);
  await polled.lookAtAll([root]);
  expect(told()).toEqual(paths.slice(1, 5));
});

test("lets files cool down", async () => {
  const path = lay(root, "-p", "a.jsonl");
  const polled = polledFiles({ hotForMs: 1000 });
  await polled.begin([root]);
  polled.heat(path, Date.now() - 1001);
  appendFileSync(path, "{}\n");
  await polled.lookAtHot();
  expect(told()).toEqual([]);
  await polled.lookAtAll([root]);
  expect(told()).toEqual([path]);
});

test("sees a replacement of the same size and time", async () => {
  const path = lay(root, "-p", "a.jsonl");
  const other = lay(root, "-p", "b.tmp");
  const polled = polledFiles();
  for (const file of [path, other]) utimesSync(file, 1, 1);
  await polled.begin([root]);
  renameSync(other, path);
  await polled.lookAtAll([root]);
  expect(told()).toEqual([path]);
});

test("tells of files that vanish, with their folder or alone, once, and of their return", async () => {
  const [alone, deep] = [lay(root, "-p", "a.jsonl"), lay(root, "-p", "s", "subagents", "agent-a1.jsonl")];
  const polled = polledFiles();
  await polled.begin([root]);
  rmSync(alone);
  await polled.lookAtHot();
  expect(told()).toEqual([alone]);
  rmSync(join(root, "-p"), { recursive: true });
  await polled.lookAtAll([root]);
  expect(told()).toEqual([deep]);
  await polled.lookAtAll([root]);
  expect(told()).toEqual([]);
  lay(dirname(deep), "agent-a1.jsonl");
  await polled.lookAtAll([root]);
  expect(told()).toEqual([deep]);
});

test("tells nothing of files below a root that is away, and what has changed when it is back", async () => {
  const [same, changed] = [lay(root, "projects", "-p", "a.jsonl"), lay(root, "projects", "-p", "b.jsonl")];
  const [projects, away] = [join(root, "projects"), join(root, "away")];
  const polled = polledFiles();
  await polled.begin([projects]);
  renameSync(projects, away);
  await polled.lookAtAll([projects]);
  await polled.lookAtAll([]);
  expect(told()).toEqual([]);
  appendFileSync(join(away, "-p", "b.jsonl"), "{}\n");
  renameSync(away, projects);
  await polled.lookAtAll([projects]);
  expect(told()).toEqual([changed]);
  expect(same).not.toBe(changed);
});

test("does not look at excluded projects", async () => {
  const polled = polledFiles();
  await polled.begin([root]);
  lay(root, "-secret", "a.jsonl");
  const path = lay(root, "-p", "a.jsonl");
  await polled.lookAtAll([root]);
  expect(told()).toEqual([path]);
});
