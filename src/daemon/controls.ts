// What the control socket asks of the daemon: how it is, and work for others.
import { setTimeout as sleep } from "node:timers/promises";
import type { Metrics } from "../control/metrics.ts";
import type { Controlled, DaemonStatus, Readiness, SyncMessage, SyncRequest } from "../control/protocol.ts";
import { runSyncRequest } from "../control/run-sync.ts";
import { toWireError } from "../control/wire.ts";
import { RiffError } from "../errors.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { scanProjects } from "../source/scan.ts";
import { localFiles } from "../source/transcript-file.ts";
import type { OpenStore } from "../store/open.ts";
import type { Feed } from "../sync/feed.ts";
import { interrupted } from "../sync/look.ts";
import type { Pipeline } from "../sync/pipeline.ts";
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

/** How long a sync waits at most for a daemon that is starting, and how often it looks. */
const START_MS = 120_000;
const START_CHECK_MS = 50;

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
    const until = AbortSignal.any([signal, stopping]);
    const started = await this.#whenStarted(until);
    if (started === null) {
      tell({ kind: "failed", error: toWireError(until.aborted ? interrupted() : this.#notStarted()) });
      return;
    }
    const { opened, pipeline } = started;
    const { store, heads, host } = opened;
    const { settleMs: quietMs, concurrency } = parts.settings.daemon;
    const now = () => systemClock.now();
    const handed = parts.activity.handed();
    await runSyncRequest(
      request,
      {
        context: { store, heads, host, quietMs, stepLimits: store.stepLimits, concurrency, now },
        files: localFiles,
        scan: scanProjects,
        runJob: (path, work) => pipeline.runExclusive(path, work),
        onCommit: (step) => {
          pipeline.progressed();
          handed.committed(step);
          bell.ring();
        },
        onReport: (report) => handed.ended(report),
      },
      tell,
      until,
    );
  }

  /** null: it does not come to that, as the store has a problem, or not for long. */
  async #whenStarted(signal: AbortSignal): Promise<{ opened: OpenStore; pipeline: Pipeline } | null> {
    const { store } = this.#options.parts;
    for (let waited = 0; ; waited += START_CHECK_MS) {
      const { pipeline } = this.#options.parts;
      if (signal.aborted) return null;
      if (store.opened !== null && pipeline !== null && pipeline.state !== "starting") {
        return { opened: store.opened, pipeline };
      }
      if (waited >= START_MS || (store.opened === null && store.problem !== null)) return null;
      await sleep(START_CHECK_MS, undefined, { signal }).catch(() => {});
    }
  }

  #notStarted(): RiffError {
    const { opened, problem } = this.#options.parts.store;
    const what = opened === null ? "has not opened its store yet" : "is still starting";
    return new RiffError(
      "RIFF_STORE_UNREACHABLE",
      problem?.message ?? `The daemon ${what}.`,
      problem?.hint ?? "`riffd status` tells what it waits for.",
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
