// The sample that newcomers see first: it must show what it is meant to show.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { dumpStore } from "./support/dump.ts";
import { removeScratch, Workbench } from "./support/workbench.ts";

afterAll(removeScratch);

const PROJECTS = fileURLToPath(new URL("../examples/projects/", import.meta.url));

test("the examples are two healthy sessions, one with a subagent, and one that is damaged in two ways", async () => {
  const bench = await Workbench.create();
  for (const name of readdirSync(PROJECTS, { recursive: true }) as string[]) {
    if (/\.jsonl$/.test(name)) bench.write(name, readFileSync(join(PROJECTS, name)));
  }
  await bench.sync();
  const sessions = await dumpStore(bench.store);
  const healthy = sessions.filter(({ project }) => project.endsWith("tidewatch"));
  expect(
    healthy.map(({ kind, corruption_score, faults, thread_count }) => [kind, corruption_score, faults, thread_count]),
  ).toEqual([
    ["main", 0, [], 1],
    ["agent", 0, [], 1],
    ["main", 0, [], 1],
  ]);
  expect(healthy.map(({ message_count }) => message_count)).toEqual([14, 6, 22]);

  const [broken, ...others] = sessions.filter(({ project }) => project.endsWith("teapot"));
  expect(others).toEqual([]);
  expect(broken?.faults.map(({ kind, cut_off, note }) => [kind, cut_off, note])).toEqual([
    ["phantom", 3, false],
    ["unreadable", 0, false],
    ["phantom", 2, false],
  ]);
  expect(broken?.corruption_score).toBe((5 + 1) / (13 + 1));
  const cutAt = broken?.messages.filter(({ is_orphaned }) => is_orphaned).map(({ message_type }) => message_type);
  expect(cutAt).toEqual(["progress", "user"]);

  const titles = await Promise.all(sessions.map(({ session_id }) => bench.store.findSession(session_id)));
  expect(titles.map((session) => session?.title)).toEqual([
    "Changelog for tidewatch 1.4",
    null,
    "The flaky tide test",
    "A teapot that refuses coffee",
  ]);
});
