// What needs somebody, and since when it does.
import { describe, expect, test } from "vitest";
import { problemsOf, recoveryOf, type Troubled } from "../../src/daemon/problems.ts";
import type { LiveFile, WorkState } from "../../src/sync/pipeline-status.ts";
import type { WatchTrouble } from "../../src/sync/watching.ts";
import { daemonStatus } from "../support/daemon-status.ts";

const { pipeline, watch } = daemonStatus();
const [STARTED, CHANGED, FAILED] = [1, 2, 3].map((hour) => new Date(Date.UTC(2026, 2, 1, hour))) as [Date, Date, Date];
const TROUBLE: WatchTrouble = {
  kind: "root",
  path: "/p",
  message: "There is no projects folder /p.",
  hint: "Make it.",
};

/** It failed first so many milliseconds after FAILED; null: it did not. */
function file(name: string, state: WorkState, failed: number | null): LiveFile {
  return {
    path: `/p/${name}`,
    session_id: null,
    state,
    lag_bytes: 9,
    changed_at: CHANGED,
    attempts: 7,
    failed_at: failed === null ? null : new Date(FAILED.getTime() + failed),
    error: failed === null ? null : { code: "RIFF_FILE_UNREADABLE", message: "no rights", hint: "Check its rights." },
  };
}

const problems = (differences: Partial<Troubled>) =>
  problemsOf({ store: null, pipeline, watch, setbacks: [], started: STARTED, ...differences });

function problemsWith(live: readonly LiveFile[], counts: Partial<Record<WorkState, number>>) {
  return problems({ pipeline: { ...pipeline, live, backlog: { ...pipeline.backlog, ...counts } } });
}

describe("a problem", () => {
  test("is a file that could not be read, from the first time on, with what to do; others are none", () => {
    const live = [file("a", "backing-off", 1), file("b", "quarantined", 2), file("c", "queued", null)];
    const hint = "Check its rights.";
    expect(problemsWith(live, { "backing-off": 1, quarantined: 1, queued: 1 })).toEqual([
      { message: "/p/a is tried again: no rights", hint, since: live[0]!.failed_at },
      { message: "/p/b is set aside until it changes: no rights", hint, since: live[1]!.failed_at },
    ]);
  });

  test("of many files is told for some of them; the others are counted, and are as old as the first of them", () => {
    const live = Array.from({ length: 12 }, (_, n) => file(`${n}`, "quarantined", n));
    const told = problemsWith(live, { quarantined: 30, "backing-off": 5 });
    expect(told.map(({ since }) => since.getTime() - FAILED.getTime())).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(told.at(-1)?.message).toBe("25 more files could not be read");
  });

  test("of watching is as old as it is, not as the daemon", () => {
    const troubled = { ...watch, troubles: [{ ...TROUBLE, since: FAILED }] };
    expect(problems({ watch: troubled })).toEqual([{ message: TROUBLE.message, hint: TROUBLE.hint, since: FAILED }]);
  });

  test("that is over is told in words that do not sound like it", () => {
    expect(recoveryOf(TROUBLE)).toBe("The projects folder /p can be read.");
    for (const kind of ["limit", "failure"] as const) {
      expect(recoveryOf({ ...TROUBLE, kind })).not.toMatch(/no more|Cannot|There is no/);
    }
  });
});
