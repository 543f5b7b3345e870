/** The status of a daemon that has nothing to do. */
import type { DaemonStatus } from "../../src/control/protocol.ts";

export function daemonStatus(differences: Partial<DaemonStatus> = {}): DaemonStatus {
  const started = new Date("2026-03-01T12:00:00.000Z");
  return {
    version: "0.1.0",
    pid: 4711,
    started_at: started,
    uptime_seconds: 3725,
    host: "a machine",
    ready: true,
    reasons: [],
    store: {
      kind: "embedded",
      location: "rocksdb:///home/ada/.local/share/riffd/store",
      state: "open",
      since: started,
      size_bytes: 48_000_000,
      sessions: 92,
      messages: 21_530,
      archive_bytes: 61_200_000,
    },
    pipeline: {
      state: "live",
      files: 92,
      backlog: { debouncing: 0, queued: 0, syncing: 0, "backing-off": 0, quarantined: 0 },
      lag: { bytes: 0, seconds: 0 },
      live: [],
      last_scan: { at: new Date("2026-03-01T13:01:53.000Z"), duration_ms: 34, files: 92, changed: 0 },
    },
    watch: {
      mode: "watching",
      roots: [{ path: "/home/ada/.claude/projects", present: true }],
      folders: 12,
      troubles: [],
    },
    changes: [],
    problems: [],
    rpc: [],
    memory_bytes: 182_000_000,
    ...differences,
  };
}
