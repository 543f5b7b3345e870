import { describe, expect, test } from "vitest";
import type { PlannedTarget } from "../../src/commands/sync-pass.ts";
import { formatDuration, Workload } from "../../src/commands/sync-progress.ts";
import type { WrittenStep } from "../../src/control/protocol.ts";

const COST = 4096;

const planned = (sessionId: string, archived: number | null): PlannedTarget => ({
  sessionId,
  path: `/p/${sessionId}`,
  archived,
});

const step = (session_id: string, from: number, to: number, messages = 0): WrittenStep => ({
  session_id,
  messages,
  records: 0,
  bytes: to - from,
});

describe("the work of a pass", () => {
  test("is the bytes that are new, and a little for each session", () => {
    const sizes: Record<string, number> = { "/p/new": 100_000, "/p/grown": 60_000, "/p/known": 50_000 };
    const work = new Workload(
      [planned("new", null), planned("grown", 50_000), planned("known", 50_000)],
      (path) => sizes[path]!,
    );
    const total = 110_000 + 3 * COST;
    expect([work.sessions, work.share]).toEqual([3, 0]);
    work.ended("known");
    expect(work.share).toBeCloseTo(COST / total);
    work.wrote(step("new", 0, 40_000, 25));
    expect(work.share).toBeCloseTo((COST + 40_000) / total);
    expect(work.messages).toBe(25);
    work.wrote(step("new", 40_000, 100_000, 30));
    work.ended("new");
    expect(work.share).toBeCloseTo((2 * COST + 100_000) / total);
    work.ended("grown"); // it was read without a word of it
    expect([work.share, work.sessionsDone, work.messages]).toEqual([1, 3, 55]);
  });

  test("is never more than was planned, also where a session is read whole again", () => {
    const work = new Workload([planned("rewritten", 50_000), planned("next", null)], () => 50_000);
    work.wrote(step("rewritten", 0, 50_000, 1));
    expect(work.share).toBe(0);
    work.ended("rewritten");
    work.wrote(step("next", 0, 50_000));
    work.wrote(step("next", 50_000, 80_000)); // grew meanwhile
    expect(work.share).toBeLessThan(1);
    work.ended("next");
    work.ended("next");
    work.wrote(step("a session that was settled", 0, 0));
    expect(work.share).toBe(1);
  });

  test("takes as long for its rest as it took so far", () => {
    const work = new Workload(
      [planned("a", null), planned("b", null), planned("c", null), planned("d", null)],
      () => 0,
    );
    expect(work.millisecondsLeft(1000)).toBeNull();
    work.ended("a");
    expect(work.millisecondsLeft(1000)).toBeCloseTo(3000);
    for (const id of ["b", "c", "d"]) work.ended(id);
    expect(work.millisecondsLeft(4000)).toBe(0);
  });

  test("is done where there is none", () => {
    expect(new Workload([], () => 0).share).toBe(1);
  });
});

test("a duration is told as roughly as people want it", () => {
  expect([0, 1, 8000, 119_000, 120_000, 125 * 60_000].map(formatDuration)).toEqual([
    "0 s",
    "1 s",
    "8 s",
    "119 s",
    "2 min",
    "2 h 5 min",
  ]);
  expect(formatDuration(3 * 60_000)).toBe("3 min");
});
