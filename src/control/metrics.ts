// What Prometheus is told. Counters and durations come from the daemon as things happen; all that a status knows is set
// from it when somebody asks. docs/metrics.md lists the same names, and a test keeps both equal.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ErrorCode } from "../errors.ts";
import type { PipelineState, WorkState } from "../sync/pipeline-status.ts";
import type { EventType } from "../sync/store.ts";
import type { SessionReport } from "../sync/sync.ts";
import type { WatchMode } from "../sync/watching.ts";
import type { DaemonStatus, WrittenStep } from "./protocol.ts";

const PIPELINE_STATES = ["starting", "catching-up", "live", "draining", "stopped"] as const satisfies PipelineState[];
const BACKLOG_STATES = ["debouncing", "queued", "syncing", "backing-off"] as const satisfies WorkState[];
const WATCH_MODES = ["watching", "polling", "scanning"] as const satisfies WatchMode[];

const EVENT_TYPES = [
  "message_added",
  "parent_repaired",
  "content_updated",
  "corruption_fixed",
  "message_removed",
] as const satisfies EventType[];

/** Seconds: an append takes milliseconds, the import of a large session minutes. */
const DURATIONS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** The event loop's delay is sampled this often; oftener would keep an idle process busy. */
const LOOP_SAMPLE_MS = 100;

export class Metrics {
  readonly #registry = new Registry();
  readonly #counters: ReturnType<typeof createCounters>;
  readonly #gauges: ReturnType<typeof createGauges>;

  constructor(version: string) {
    this.#counters = createCounters(this.#registry);
    this.#gauges = createGauges(this.#registry);
    for (const type of EVENT_TYPES) this.#counters.events.inc({ type }, 0);
    this.#gauges.build.set({ version, node: process.version }, 1);
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LOOP_SAMPLE_MS });
  }

  /** A step was written. */
  committed({ messages, records, bytes }: WrittenStep): void {
    this.#counters.commits.inc();
    this.#counters.messages.inc(messages);
    this.#counters.records.inc(records);
    this.#counters.archivedBytes.inc(bytes);
  }

  /** A session's job has ended, well or not. */
  reported({ status, events, durationMs }: Pick<SessionReport, "status" | "events" | "durationMs">): void {
    this.#counters.durations.observe({ status }, durationMs / 1000);
    for (const [type, count] of Object.entries(events)) if (count > 0) this.#counters.events.inc({ type }, count);
  }

  /** A session's job has failed; null: by a bug. */
  failed(code: ErrorCode | null): void {
    this.#counters.failures.inc({ code: code ?? "none" });
  }

  /** A file is tried once more after a failure. */
  retried(): void {
    this.#counters.retries.inc();
  }

  /** All of it, in Prometheus's text format, at the moment of a status. */
  async read(status: DaemonStatus): Promise<{ readonly contentType: string; readonly text: string }> {
    this.#tellStore(status);
    this.#tellPipeline(status);
    this.#tellWatch(status);
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  #tellStore({ store, ready, problems }: DaemonStatus): void {
    const { ready: isReady, problems: open, ...gauges } = this.#gauges;
    isReady.set(Number(ready));
    open.set(problems.length);
    gauges.storeUp.set(Number(store.state === "open"));
    setKnown(gauges.storeBytes, store.size_bytes);
    setKnown(gauges.storeSessions, store.sessions);
    setKnown(gauges.storeMessages, store.messages);
    setKnown(gauges.archiveBytes, store.archive_bytes);
  }

  #tellPipeline({ pipeline }: DaemonStatus): void {
    const { state, files, backlog, lag, last_scan } = pipeline;
    for (const known of PIPELINE_STATES) this.#gauges.pipelineState.set({ state: known }, Number(state === known));
    this.#gauges.files.set(files);
    for (const known of BACKLOG_STATES) this.#gauges.backlog.set({ state: known }, backlog[known]);
    this.#gauges.quarantined.set(backlog.quarantined);
    this.#gauges.lagBytes.set(lag.bytes);
    this.#gauges.lagSeconds.set(lag.seconds);
    setKnown(this.#gauges.scanTime, last_scan && last_scan.at.getTime() / 1000);
    setKnown(this.#gauges.scanSeconds, last_scan && last_scan.duration_ms / 1000);
  }

  #tellWatch({ watch }: DaemonStatus): void {
    for (const known of WATCH_MODES) this.#gauges.watchMode.set({ mode: known }, Number(watch.mode === known));
    this.#gauges.watchFolders.set(watch.folders);
    this.#gauges.watchTroubles.set(watch.troubles.length);
  }
}

/** What is not known now is not told, rather than what was known once. */
function setKnown(gauge: Gauge, value: number | null): void {
  if (value === null) gauge.remove();
  else gauge.set(value);
}

function createCounters(registry: Registry) {
  const counter = <Label extends string = never>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers: [registry] });
  return {
    commits: counter("riffd_commits_total", "Steps that were written."),
    messages: counter("riffd_messages_total", "Messages that were written."),
    records: counter("riffd_records_total", "Records without a uuid that were written."),
    archivedBytes: counter("riffd_archived_bytes_total", "Bytes of transcripts that were archived."),
    events: counter("riffd_events_total", "Events that were logged, by their type.", "type"),
    failures: counter("riffd_sync_failures_total", "Syncs of a session that failed, by the error's code.", "code"),
    retries: counter("riffd_sync_retries_total", "Syncs that were tried once more after a failure."),
    durations: new Histogram({
      name: "riffd_sync_duration_seconds",
      help: "How long the sync of a session took, by what became of it.",
      labelNames: ["status"],
      buckets: DURATIONS,
      registers: [registry],
    }),
  };
}

function createGauges(registry: Registry) {
  const gauge = <Label extends string = never>(name: string, help: string, ...labelNames: Label[]) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  return {
    build: gauge("riffd_build_info", "Always 1; its labels tell the versions.", "version", "node"),
    ready: gauge("riffd_ready", "Whether the daemon has caught up and reaches the store."),
    problems: gauge("riffd_problems", "Problems that need somebody, as `riffd status` tells them."),
    pipelineState: gauge("riffd_pipeline_state", "1 for the state that the pipeline is in, else 0.", "state"),
    files: gauge("riffd_transcripts", "Transcripts that are known."),
    backlog: gauge("riffd_backlog_files", "Files with something to do, by what they wait for.", "state"),
    quarantined: gauge("riffd_quarantined_files", "Files that are set aside after failures, until they change."),
    lagBytes: gauge("riffd_lag_bytes", "Bytes that were seen and are not archived."),
    lagSeconds: gauge("riffd_lag_seconds", "How long the oldest change has waited that is not archived."),
    scanTime: gauge("riffd_last_scan_timestamp_seconds", "When all transcripts were last looked at."),
    scanSeconds: gauge("riffd_last_scan_duration_seconds", "How long that look took."),
    watchMode: gauge("riffd_watch_mode", "1 for the way in which changes are seen, else 0.", "mode"),
    watchFolders: gauge("riffd_watched_folders", "Folders that are watched."),
    watchTroubles: gauge("riffd_watch_troubles", "What keeps changes from being seen at once."),
    storeUp: gauge("riffd_store_up", "Whether the store is open and answers."),
    storeBytes: gauge("riffd_store_size_bytes", "Size of an embedded store's files."),
    storeSessions: gauge("riffd_store_sessions", "Sessions in the store."),
    storeMessages: gauge("riffd_store_messages", "Messages in the store."),
    archiveBytes: gauge("riffd_store_archive_bytes", "Bytes of all transcripts in the archive, before compression."),
  };
}
