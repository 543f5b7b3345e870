import { describe, expect, test } from "vitest";
import type { WrittenStep } from "../../src/control/protocol.ts";
import { Activity, type CatchUpView } from "../../src/daemon/activity.ts";
import { RiffError } from "../../src/errors.ts";
import type { Clock } from "../../src/sync/clock.ts";
import type { Step } from "../../src/sync/store.ts";
import type { Planned, SessionReport } from "../../src/sync/sync.ts";
import { openLog } from "../support/log.ts";

const NO_EVENTS: SessionReport["events"] = {
  message_added: 0,
  parent_repaired: 0,
  content_updated: 0,
  corruption_fixed: 0,
  message_removed: 0,
};

function report(sessionId: string, changes: Partial<SessionReport> = {}): SessionReport {
  return {
    sessionId,
    path: `/p/${sessionId}.jsonl`,
    status: "appended",
    before: null,
    session: null,
    events: NO_EVENTS,
    error: null,
    healedRows: 0,
    durationMs: 7.4,
    ...changes,
  };
}

/** A step of a session, as far as it is told. */
function step(session_id: string, messages: number, bytes: number): Step {
  const rows = { messages: Array.from({ length: messages }), records: [] };
  return { session: { session_id }, commit: { from: 0, to: bytes }, ...rows } as unknown as Step;
}

function planned(...ids: string[]): Planned[] {
  return ids.map((sessionId) => ({ path: `/p/${sessionId}.jsonl`, sessionId, source: null }));
}

/** An activity whose clock stands still until it is moved. */
function begin({ view = null }: { view?: CatchUpView | null } = {}) {
  const log = openLog();
  const counted: unknown[] = [];
  let time = 0;
  const clock: Clock = { now: () => new Date(time), after: () => () => {} };
  let caughtUp = 0;
  const failures: Error[] = [];
  const progress: string[] = [];
  const activity = new Activity({
    logger: log.logger,
    clock,
    metrics: {
      committed: (written: WrittenStep) => counted.push(["committed", written.messages]),
      reported: ({ status }) => counted.push(["reported", status]),
      failed: (code) => counted.push(["failed", code]),
      retried: () => counted.push(["retried"]),
    },
    view,
    onProgress: (text) => progress.push(text),
    onCaughtUp: () => caughtUp++,
    onFatal: (error) => failures.push(error),
  });
  const said = () => log.lines().map(({ level, msg }) => `${level} ${msg}`);
  return {
    activity,
    log,
    counted,
    said,
    failures,
    progress,
    caughtUp: () => caughtUp,
    pass: (ms: number) => (time += ms),
  };
}

describe("what happens to a session", () => {
  test("is one line with what all of its steps wrote, and the latest change of the status", () => {
    const { activity, log, counted } = begin();
    activity.committed(step("s", 2, 100));
    activity.committed(step("s", 1, 50));
    activity.synced(report("s", { events: { ...NO_EVENTS, message_added: 3, parent_repaired: 1 } }), 112.4);
    expect(log.lines()).toMatchObject([
      {
        level: "info",
        msg: "grew: 3 messages, 1 parent_repaired",
        session: "s",
        messages: 3,
        bytes: 150,
        parent_repaired: 1,
        lag_ms: 112,
        duration_ms: 7,
      },
    ]);
    expect(activity.changes).toMatchObject([{ session_id: "s", status: "appended", messages: 3, bytes: 150 }]);
    expect(counted).toEqual([
      ["committed", 2],
      ["committed", 1],
      ["reported", "appended"],
    ]);
    activity.synced(report("s", { status: "rewritten" }), null);
    expect(activity.changes.map(({ status, messages }) => [status, messages])).toEqual([
      ["rewritten", 0],
      ["appended", 3],
    ]);
  });

  test("that changes nothing is no line for everybody, and no change", () => {
    const { activity, log } = begin();
    activity.synced(report("s", { status: "unchanged" }), null);
    activity.synced(report("s", { status: "settled" }), null);
    expect(log.lines().map(({ level }) => level)).toEqual(["debug"]);
    expect(activity.changes).toEqual([]);
  });

  test("is kept for the last twenty changes", () => {
    const { activity } = begin();
    for (let i = 0; i < 30; i++) activity.synced(report(`s${i}`), null);
    expect(activity.changes).toHaveLength(20);
    expect(activity.changes[0]).toMatchObject({ session_id: "s29" });
  });
});

describe("a sync that was handed over", () => {
  test("is told like any other, and takes nothing from what the pipeline writes", () => {
    const { activity, said, counted } = begin();
    const handed = activity.handed();
    handed.committed(step("s", 5, 900));
    handed.ended(report("s"));
    handed.ended(report("s", { events: { ...NO_EVENTS, parent_repaired: 1 } }));
    const interrupted = activity.handed();
    interrupted.committed(step("s", 7, 1000));
    activity.committed(step("s", 1, 100));
    activity.synced(report("s"), 5);
    expect(said()).toEqual(["info grew: 5 messages", "info is settled: 1 parent_repaired", "info grew: 1 message"]);
    expect(activity.changes.map(({ status, messages, bytes }) => [status, messages, bytes])).toEqual([
      ["appended", 1, 100],
      ["settled", 0, 0],
      ["appended", 5, 900],
    ]);
    expect(counted).toEqual([
      ["committed", 5],
      ["reported", "appended"],
      ["reported", "settled"],
      ["committed", 7],
      ["committed", 1],
      ["reported", "appended"],
    ]);
  });

  test("that could not read a file says so", () => {
    const { activity, log, counted } = begin();
    const error = new RiffError("RIFF_FILE_UNREADABLE", "Cannot read it", "Check its rights.");
    activity.handed().ended(report("s", { status: "failed", error }));
    expect(log.lines()).toMatchObject([
      {
        level: "warn",
        msg: "could not be read",
        session: "s",
        path: "/p/s.jsonl",
        error: { hint: "Check its rights." },
      },
    ]);
    expect(counted).toEqual([
      ["failed", "RIFF_FILE_UNREADABLE"],
      ["reported", "failed"],
    ]);
    expect(activity.changes).toEqual([]);
  });
});

describe("a failure", () => {
  test("is a warning while it is tried again, an error when it is set aside, and over when the file can be read", () => {
    const { activity, log, counted } = begin();
    const error = new RiffError("RIFF_FILE_UNREADABLE", "Cannot read it", "Check its rights.");
    activity.failed({ path: "/p/s.jsonl", sessionId: "s" }, error, 1000.4);
    activity.failed({ path: "/p/s.jsonl", sessionId: "s" }, error, null);
    activity.recovered({ path: "/p/s.jsonl", sessionId: "s" });
    expect(log.lines()).toMatchObject([
      {
        level: "warn",
        session: "s",
        next_ms: 1000,
        error: { code: "RIFF_FILE_UNREADABLE", hint: "Check its rights." },
      },
      { level: "error", path: "/p/s.jsonl", session: "s" },
      { level: "info", path: "/p/s.jsonl", session: "s", msg: "can be read again" },
    ]);
    expect(counted).toEqual([["failed", "RIFF_FILE_UNREADABLE"], ["retried"], ["failed", "RIFF_FILE_UNREADABLE"]]);
  });

  test("that is fatal is passed on", () => {
    const { activity, failures } = begin();
    activity.fatal(new Error("the disk"));
    expect(failures.map(({ message }) => message)).toEqual(["the disk"]);
  });
});

describe("the first import", () => {
  test("is told every ten seconds where nobody watches, and at its end", () => {
    const { activity, said, progress, caughtUp, pass } = begin();
    activity.planned(planned("a", "b", "c"));
    activity.synced(report("a", { status: "unchanged" }), null);
    activity.tried("/p/a.jsonl");
    activity.synced(report("x", { status: "settled" }), null); // it was not to be read
    pass(11_000);
    activity.tried("/p/b.jsonl");
    activity.tried("/p/c.jsonl");
    activity.caughtUp([]);
    expect(said()).toEqual([
      "info 3 transcripts to read",
      "debug is settled",
      "info read 2 of 3 transcripts",
      "info caught up with 3 transcripts in 11.0 s",
    ]);
    expect(progress).toEqual(["reading 3 transcripts", "reading 2 of 3 transcripts"]);
    expect(caughtUp()).toBe(1);
  });

  test("says at its end what could not be read of it", () => {
    const { activity, log } = begin();
    activity.planned(planned("a", "b"));
    activity.caughtUp(["/p/b.jsonl", "/p/later.jsonl"]);
    expect(log.lines().at(-1)).toMatchObject({
      msg: "caught up with 1 transcript in 0 ms; 1 could not be read",
      files: 2,
      unread: 1,
    });
  });

  test("is shown instead where somebody watches, and its lines are for those who look closer", () => {
    const seen: unknown[] = [];
    const view: CatchUpView = {
      planned: (files) => seen.push(["planned", files.length]),
      wrote: ({ messages }) => seen.push(["wrote", messages]),
      ended: (id) => seen.push(["ended", id]),
      done: () => seen.push(["done"]),
    };
    const { activity, said } = begin({ view });
    activity.planned(planned("a"));
    activity.committed(step("a", 5, 10));
    activity.synced(report("a", { status: "imported" }), null);
    activity.tried("/p/a.jsonl");
    activity.synced(report("a", { status: "settled", events: { ...NO_EVENTS, parent_repaired: 1 } }), null);
    activity.caughtUp([]);
    activity.synced(report("a"), 1);
    expect(seen).toEqual([["planned", 1], ["wrote", 5], ["ended", "a"], ["done"]]);
    expect(said()).toEqual([
      "info 1 transcript to read",
      "debug imported: 5 messages",
      "debug is settled: 1 parent_repaired",
      "info caught up with 1 transcript in 0 ms",
      "info grew",
    ]);
  });

  test("that found nothing to do is told as being up to date", () => {
    const { activity, said } = begin();
    activity.planned([]);
    activity.caughtUp([]);
    expect(said()).toEqual(["info up to date"]);
  });
});
