// What the control socket asks of the daemon: how it is, and work for others.
import type { Metrics } from "../control/metrics.ts";
import type { Controlled, DaemonStatus, Readiness, SyncMessage, SyncRequest } from "../control/protocol.ts";
import { runSyncRequest } from "../control/run-sync.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { scanProjects } from "../source/scan.ts";
import { localFiles } from "../source/transcript-file.ts";
import type { Feed } from "../sync/feed.ts";
import type { PipelineStatus } from "../sync/pipeline-status.ts";
import type { CommitBell } from "./commit-bell.ts";
import type { Parts } from "./parts.ts";
import { problemsOf } from "./problems.ts";

export interface ControlsOptions {
  readonly version: string;
  readonly parts: Parts;
  readonly metrics: Metrics;
  readonly bell: CommitBell;
  /** Aborted: nothing new begins. */
  readonly stopping: AbortSignal;
  stop(reason: string): void;
}

const NOT_STARTED: PipelineStatus = {
  state: "starting",
  files: 0,
  backlog: { debouncing: 0, queued: 0, syncing: 0, "backing-off": 0, quarantined: 0 },
  lag: { bytes: 0, seconds: 0 },
  live: [],
  last_scan: null,
};

export class Controls implements Controlled {
  readonly #options: ControlsOptions;
  readonly #started = systemClock.now();

  constructor(options: ControlsOptions) {
    this.#options = options;
  }

  readiness(): Readiness {
    const { parts, stopping } = this.#options;
    const { problem, opened } = parts.store;
    const reasons: string[] = [];
    if (problem !== null) reasons.push(problem.message);
    else if (opened === null) reasons.push("The store is being opened.");
    const state = parts.pipeline?.state ?? "starting";
    if (state === "starting" || state === "catching-up") {
      reasons.push("What has changed since the last time is being read.");
    }
    if (stopping.aborted) reasons.push("It is stopping.");
    return { ready: reasons.length === 0, reasons };
  }

  async status(): Promise<DaemonStatus> {
    const { version, parts } = this.#options;
    const { store, activity, setbacks, rpc } = parts;
    const pipeline = parts.pipeline?.status() ?? NOT_STARTED;
    const watch = parts.watcher.status();
    return {
      version,
      pid: process.pid,
      started_at: this.#started,
      uptime_seconds: (systemClock.now().getTime() - this.#started.getTime()) / 1000,
      host: store.opened?.host ?? null,
      ...this.readiness(),
      store: await store.status(),
      pipeline,
      watch,
      changes: activity.changes,
      problems: problemsOf({ store: store.problem, pipeline, watch, setbacks, started: this.#started }),
      rpc: rpc?.addresses ?? [],
      memory_bytes: process.memoryUsage.rss(),
    };
  }

  async metrics(): Promise<{ readonly contentType: string; readonly text: string }> {
    return this.#options.metrics.read(await this.status());
  }

  async sync(request: SyncRequest, tell: (message: SyncMessage) => void, signal: AbortSignal): Promise<void> {
    const { parts, bell, stopping } = this.#options;
    const { pipeline, activity, settings } = parts;
    const { opened } = parts.store;
    if (opened === null || pipeline === null) {
      const message = "The daemon has not opened its store yet.";
      const hint = "`riffd status` tells what it waits for.";
      tell({ kind: "failed", error: { code: "RIFF_STORE_UNREACHABLE", message, hint } });
      return;
    }
    const { store, heads, host } = opened;
    const { settleMs: quietMs, concurrency } = settings.daemon;
    const now = () => systemClock.now();
    await runSyncRequest(
      request,
      {
        context: { store, heads, host, quietMs, stepLimits: store.stepLimits, concurrency, now },
        files: localFiles,
        scan: scanProjects,
        runJob: (path, work) => pipeline.runExclusive(path, work),
        onCommit: (step) => {
          activity.committed(step);
          bell.ring();
        },
      },
      tell,
      AbortSignal.any([signal, stopping]),
    );
  }

  get feed(): Feed | null {
    return this.#options.parts.store.opened?.store.feed ?? null;
  }

  onCommit(listener: () => void): () => void {
    return this.#options.bell.onRing(listener);
  }

  stop(): void {
    this.#options.stop("it was asked to");
  }
}
