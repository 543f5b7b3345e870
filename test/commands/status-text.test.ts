// What riffd status tells people.
import { describe, expect, test } from "vitest";
import { statusLines } from "../../src/commands/status-text.ts";
import { styleFor } from "../../src/commands/style.ts";
import type { Change, DaemonStatus } from "../../src/control/protocol.ts";
import type { LiveFile } from "../../src/sync/pipeline-status.ts";
import { daemonStatus } from "../support/daemon-status.ts";

const NOW = new Date("2026-03-01T13:02:05.000Z");
const PLAIN = styleFor({}, {});
const COLOURED = styleFor({}, { FORCE_COLOR: "1" });
const SESSION = "5e551000-0000-4000-8000-000000000001";

const text = (differences: Partial<DaemonStatus> = {}, columns = 80) =>
  statusLines(daemonStatus(differences), NOW, PLAIN, columns).join("\n");

const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1000);

function liveFile(differences: Partial<LiveFile> = {}): LiveFile {
  return {
    path: `/home/ada/.claude/projects/-p/${SESSION}.jsonl`,
    session_id: SESSION,
    state: "syncing",
    lag_bytes: 12_400,
    changed_at: ago(0.3),
    attempts: 0,
    failed_at: null,
    error: null,
    ...differences,
  };
}

function change(differences: Partial<Change> = {}): Change {
  const events = { message_added: 2, parent_repaired: 0, content_updated: 0, corruption_fixed: 0, message_removed: 0 };
  return {
    time: ago(5),
    session_id: SESSION,
    status: "appended",
    messages: 2,
    records: 0,
    bytes: 1200,
    events,
    ...differences,
  };
}

/** At 13:02 UTC, in whatever zone the test runs. */
const clock = (time: Date) => time.toTimeString().slice(0, 8);

describe("riffd status", () => {
  test("is a glance where nothing is to be done", () => {
    expect(text()).toBe(`● riffd 0.1.0 · live · up 62 min · process 4711 · 182.0 MB
  Store      rocksdb:///home/ada/.local/share/riffd/store
             92 sessions · 21,530 messages · 61.2 MB archived · 48.0 MB on disk
  Files      92 transcripts, 12 folders watched · last scan 12 s ago, 34 ms
  Backlog    none`);
  });

  test("tells why it is not ready, what waits and for how long", () => {
    const { store, pipeline, watch } = daemonStatus();
    const told = text({
      ready: false,
      reasons: ["the store is away", "files are being caught up"],
      store: {
        ...store,
        kind: "remote",
        location: "wss://db.example.org (nabi/conversations)",
        state: "away",
        since: ago(200),
        size_bytes: null,
        sessions: null,
        messages: null,
        archive_bytes: null,
      },
      pipeline: {
        ...pipeline,
        state: "catching-up",
        backlog: { debouncing: 1, queued: 1200, syncing: 2, "backing-off": 3, quarantined: 1 },
        lag: { bytes: 5_300_000, seconds: 192 },
        last_scan: null,
      },
      watch: { ...watch, mode: "scanning", roots: [{ path: "/gone", present: false }] },
      rpc: ["127.0.0.1:8000"],
    });
    expect(told).toBe(`● riffd 0.1.0 · catching up · up 62 min · process 4711 · 182.0 MB
  Not ready  the store is away; files are being caught up
  Store      wss://db.example.org (nabi/conversations)
             away for 3 min
  Served     127.0.0.1:8000
  Files      92 transcripts, found by scans only, 1 projects folder missing
  Backlog    2 syncing, 1,200 queued, 1 being written, 3 retrying, 1 set aside
  Behind     5.3 MB, for 3 min`);
  });

  test("says nothing of files that have not been looked at yet", () => {
    const { store, pipeline } = daemonStatus();
    const told = text({
      ready: false,
      reasons: ["The store is being opened."],
      store: { ...store, state: "opening", size_bytes: null, sessions: null, messages: null, archive_bytes: null },
      pipeline: { ...pipeline, state: "starting", files: 0, last_scan: null },
      watch: { mode: "watching", roots: [], folders: 0, troubles: [] },
    });
    expect(told).not.toMatch(/Files|Backlog|missing/);
  });

  test("tells what is live and what changed, each on a line", () => {
    const { pipeline } = daemonStatus();
    const agent = `${SESSION}/agent-a1b2c3d`;
    const told = text({
      pipeline: {
        ...pipeline,
        live: [
          liveFile(),
          liveFile({ session_id: agent, state: null, lag_bytes: 0, changed_at: ago(4) }),
          liveFile({
            session_id: null,
            state: "quarantined",
            changed_at: ago(7300),
            attempts: 5,
            error: { code: null, message: "it\nbroke", hint: null },
          }),
        ],
      },
      changes: [
        change(),
        change({
          session_id: agent,
          status: "rewritten",
          messages: 0,
          bytes: 0,
          events: { ...change().events, message_added: 0, parent_repaired: 1 },
        }),
      ],
    });
    expect(told.split("\n").slice(5)).toEqual([
      "",
      "Live",
      "  5e551000                     syncing         12.4 KB   0.3 s ago",
      "  5e551000/agent-a1b2c3d       up to date                4.0 s ago",
      "  -p/5e551000                  set aside       12.4 KB   2 h 1 min ago",
      "    5 attempts: it broke",
      "",
      "Last changes",
      `  ${clock(ago(5))} 5e551000                     appended  2 messages, 1.2 KB`,
      `  ${clock(ago(5))} 5e551000/agent-a1b2c3d       rewritten 1 parent_repaired`,
    ]);
  });

  test("tells the first of many", () => {
    const { pipeline } = daemonStatus();
    const told = text({ pipeline: { ...pipeline, live: Array.from({ length: 30 }, () => liveFile()) } });
    expect(told.match(/syncing/g)).toHaveLength(8);
    expect(told).toMatch(/\n {2}… and 22 more$/);
  });

  test("tells problems whole, with what to do", () => {
    const message =
      "The folder /home/ada/.claude/projects cannot be watched: the system has no watches left for this user.";
    const hint = "Raise fs.inotify.max_user_watches; until then files are found by scans, once a minute.";
    const told = text({ problems: [{ message, hint, since: ago(90_000) }] });
    expect(told.split("\n").slice(6)).toEqual([
      "Problems",
      "  ! The folder /home/ada/.claude/projects cannot be watched: the system has no",
      "    watches left for this user. (for 25 h 0 min)",
      "    Try: Raise fs.inotify.max_user_watches; until then files are found by scans,",
      "    once a minute.",
    ]);
  });

  test.each([40, 80, 132])(
    "has no line that is longer than a terminal of %i columns, with colours or without",
    (columns) => {
      const { pipeline } = daemonStatus();
      const status = daemonStatus({
        reasons: ["a reason that goes on and on, and then some"],
        ready: false,
        pipeline: {
          ...pipeline,
          live: [liveFile({ state: "backing-off", error: { code: null, message: "x".repeat(200), hint: null } })],
        },
        changes: [change()],
        problems: [{ message: "word ".repeat(40).trim(), hint: "do ".repeat(40).trim(), since: ago(1) }],
      });
      const plain = statusLines(status, NOW, PLAIN, columns);
      for (const line of plain) expect(line.length).toBeLessThanOrEqual(columns);
      const coloured = statusLines(status, NOW, COLOURED, columns).join("\n");
      expect(coloured).not.toBe(plain.join("\n"));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
      expect(coloured.replaceAll(/\x1b\[\d+m/g, "")).toBe(plain.join("\n"));
    },
  );
});
