// Projects that are not to be read: what the store has of them stays as it is.
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { discover } from "../../src/source/discover.ts";
import { projectFilter } from "../../src/source/project-filter.ts";
import { localFiles } from "../../src/source/transcript-file.ts";
import { syncPass } from "../../src/sync/sync.ts";
import { chain, jsonl } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.create();
  bench.write("-open/gear.jsonl", jsonl(...chain(3)));
  bench.write("-secret/plan.jsonl", jsonl(...chain(4, { from: 20 })));
  bench.write("-secret/plan/subagents/agent-a1.jsonl", jsonl(...chain(2, { from: 40 })));
  await bench.sync();
});

/** One pass that reads no project whose name matches; what became of each session. */
async function syncWithout(pattern: string): Promise<Record<string, string>> {
  const told: Record<string, string> = {};
  const scan = await discover([bench.root], projectFilter([], [pattern]));
  await syncPass(bench.context, localFiles, scan, {
    force: false,
    forceSessions: new Set(),
    only: null,
    onReport: ({ sessionId, status }) => {
      told[sessionId] ??= status;
    },
  });
  return told;
}

test("an excluded project is neither read nor marked as gone, whatever happens in it", async () => {
  const before = await dumpStore(bench.store);
  bench.write("-secret/plan.jsonl", jsonl(...chain(9, { from: 20 })));
  bench.write("-secret/new.jsonl", jsonl(...chain(1, { from: 60 })));
  expect(await syncWithout("-secret")).toEqual({ gear: "unchanged" });
  rmSync(join(bench.root, "-secret/plan/subagents"), { recursive: true });
  rmSync(join(bench.root, "-secret/plan.jsonl"));
  expect(await syncWithout("-sec*")).toEqual({ gear: "unchanged" });
  expect(await dumpStore(bench.store)).toEqual(before);
});

test("no longer excluded, it is read on from where it was", async () => {
  bench.write("-secret/plan.jsonl", jsonl(...chain(6, { from: 20 })));
  rmSync(join(bench.root, "-secret/plan/subagents"), { recursive: true });
  await syncWithout("-secret");
  const reports = await bench.sync();
  expect([...reports.values()].map(({ sessionId, status }) => [sessionId, status]).sort()).toEqual([
    ["gear", "unchanged"],
    ["plan", "appended"],
    ["plan/agent-a1", "gone"],
  ]);
  expect((await bench.store.findSession("plan"))?.message_count).toBe(6);
});

test("a file that moved out of an excluded project stays the same session", async () => {
  renameSync(join(bench.root, "-secret/plan.jsonl"), join(bench.root, "-open/plan.jsonl"));
  expect(await syncWithout("-secret")).toMatchObject({ gear: "unchanged", plan: "moved" });
  expect((await bench.store.findSession("plan"))?.project).toBe("-open");
});

test("a projects folder of its own is not excluded by its name, and what lies in it directly is read", async () => {
  bench.write("stray.jsonl", jsonl(...chain(1, { from: 80 })));
  expect(await syncWithout("*")).toEqual({ stray: "imported" });
});
