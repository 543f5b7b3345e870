import { expect, test } from "vitest";
import { problemsOf } from "../../src/daemon/problems.ts";
import type { LiveFile, WorkState } from "../../src/sync/pipeline-status.ts";
import { daemonStatus } from "../support/daemon-status.ts";

const changed = new Date("2026-03-01T13:00:00.000Z");

function file(name: string, state: WorkState, message: string | null): LiveFile {
  const error = message === null ? null : { code: "RIFF_FILE_UNREADABLE", message, hint: "Check its rights." };
  return { path: `/p/${name}`, session_id: null, state, lag_bytes: 9, changed_at: changed, attempts: 1, error };
}

/** The problems of a daemon with nothing but these files. */
function told(live: readonly LiveFile[], counts: Partial<Record<WorkState, number>>) {
  const { pipeline, watch, started_at: started } = daemonStatus();
  const backlog = { ...pipeline.backlog, ...counts };
  return problemsOf({ store: null, pipeline: { ...pipeline, live, backlog }, watch, setbacks: [], started });
}

test("a file that could not be read is a problem from the first time on, with what to do, and others are none", () => {
  const live = [file("a", "backing-off", "no rights"), file("b", "quarantined", "a fault"), file("c", "queued", null)];
  expect(told(live, { "backing-off": 1, quarantined: 1, queued: 1 })).toEqual([
    { message: "/p/a is tried again: no rights", hint: "Check its rights.", since: changed },
    { message: "/p/b is set aside until it changes: a fault", hint: "Check its rights.", since: changed },
  ]);
});

test("of many files that could not be read some are named, and all are counted", () => {
  const live = Array.from({ length: 12 }, (_, n) => file(`${n}`, "quarantined", "no rights"));
  const problems = told(live, { quarantined: 30, "backing-off": 5 });
  expect(problems).toHaveLength(11);
  expect(problems.at(-1)?.message).toBe("25 more files could not be read");
});
