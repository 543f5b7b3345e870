// The daemon: builds every part, starts them in order, and drains them in reverse. What fails on the way ends it with the
// failure's exit code; the checkpoint makes the next start safe.
import { setTimeout as sleep } from "node:timers/promises";
import { diffSettings, type Settings, withReloaded } from "./config/config.ts";
import { resolveTarget } from "./config/store-target.ts";
import { acquireLock } from "./control/instance-lock.ts";
import { Metrics } from "./control/metrics.ts";
import { ControlServer, type NameEvents } from "./control/server.ts";
import { socketPath } from "./control/socket-path.ts";
import { Activity, type CatchUpView } from "./daemon/activity.ts";
import { CommitBell } from "./daemon/commit-bell.ts";
import { Controls } from "./daemon/controls.ts";
import type { Parts } from "./daemon/parts.ts";
import { recoveryOf } from "./daemon/problems.ts";
import { openRpc } from "./daemon/rpc-access.ts";
import { StoreState } from "./daemon/store-state.ts";
import { RiffError, toError } from "./errors.ts";
import { Releases } from "./runtime/releases.ts";
import { createSdNotify, type SdNotify } from "./runtime/sd-notify.ts";
import type { Signals } from "./runtime/signals.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { endOnUncaught } from "./runtime/uncaught.ts";
import { Projects } from "./source/projects.ts";
import { localFiles } from "./source/transcript-file.ts";
import { createWatcher } from "./source/watcher.ts";
import { adoptHeads, type OpenStore } from "./store/open.ts";
import type { Patience } from "./store/remote-database.ts";
import type { Chosen } from "./sync/chosen.ts";
import type { Logger } from "./sync/logger.ts";
import { interrupted } from "./sync/look.ts";
import { Pipeline, type Timing } from "./sync/pipeline.ts";
import type { Watcher, WatchListener, WatchTrouble } from "./sync/watching.ts";

export interface DaemonPlan {
  readonly settings: Settings;
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly signals: Signals;
  /** The sessions that are meant; null: all. */
  readonly chosen: Chosen | null;
  /** Where somebody watches the first import. */
  readonly view: CatchUpView | null;
  /** With a server; otherwise its own. */
  readonly patience?: Patience;
  /** Reads the configuration again. Throws RIFF_CONFIG_INVALID. */
  reread(): Settings;
}

const OPERATOR = "daemon";
/** A file is gone when it was not seen for this long, and nothing of it elsewhere. */
const GRACE_MS = 2_000;
/** Verdicts wait for no more than that while other files are being read. */
const SETTLE_MS = 2_000;
const RETRIES = { retryMs: 1_000, retryMaxMs: 60_000, retries: 6 };
/** Work of which nothing ends for so long is stuck. */
const STALLED_MS = 120_000;
/** How long the end takes at most after a failure. */
const FAILED_MS = 5_000;
/** What draining takes beyond the time that jobs are given. */
const DRAIN_SLACK_MS = 15_000;

/** Runs until a signal, `riffd stop` or a failure ends it. Returns the exit code; throws what kept it from starting. */
export async function runDaemon(plan: DaemonPlan): Promise<number> {
  const daemon = new Daemon(plan);
  const letGo = endOnUncaught(plan.logger, () => daemon.describe());
  const giveBack = plan.signals.takeOver({
    drain: (signal) => daemon.stop(`it was sent ${signal}`),
    abort: () => plan.logger.warn({}, "ending at once; what was committed is safe"),
    reload: () => daemon.reload(),
  });
  try {
    return await daemon.run();
  } finally {
    giveBack();
    letGo();
  }
}

class Daemon implements WatchListener {
  readonly #plan: DaemonPlan;
  readonly #logger: Logger;
  readonly #releases: Releases;
  readonly #sd: SdNotify;
  readonly #bell: CommitBell;
  readonly #parts: Parts;
  readonly #controls: Controls;
  /** Aborted: nothing new begins. */
  readonly #stopping = new AbortController();
  /** Aborted: what is in work ends after its step. */
  readonly #hurry = new AbortController();
  #projects: Projects;
  #isWatching = false;
  #failure: Error | null = null;

  constructor(plan: DaemonPlan) {
    const { settings, logger, version } = plan;
    this.#plan = plan;
    this.#logger = logger;
    this.#releases = new Releases(logger);
    this.#sd = createSdNotify(plan.env, { logger });
    this.#projects = new Projects(settings);
    const metrics = new Metrics(version);
    const activity = new Activity({
      logger,
      clock: systemClock,
      metrics,
      view: plan.view,
      onProgress: (text) => this.#sd.status(text),
      onCaughtUp: () => void this.#caughtUp(),
      onFatal: (error) => this.#fail(error),
    });
    const store = new StoreState(resolveTarget(settings), logger, systemClock, plan.patience);
    const watcher = this.#newWatcher(settings);
    this.#parts = { store, activity, settings, watcher, pipeline: null, rpc: null, setbacks: [] };
    this.#bell = new CommitBell(systemClock, logger, () => this.#controls.feed);
    this.#controls = new Controls({
      version,
      parts: this.#parts,
      metrics,
      bell: this.#bell,
      stopping: this.#stopping.signal,
      stop: (reason) => this.stop(reason),
    });
  }

  async run(): Promise<number> {
    try {
      await this.#start();
      await aborted(this.#stopping.signal);
    } catch (thrown) {
      if (!this.#stopping.signal.aborted) this.#failure ??= toError(thrown);
      if (this.#parts.pipeline === null && this.#failure !== null) throw this.#failure; // it has never started
    } finally {
      await this.#end();
    }
    if (this.#failure === null) {
      this.#logger.info({}, "stopped");
      return 0;
    }
    this.#logger.fatal({ error: this.#failure }, "stopped by a failure; what was committed is safe");
    return this.#failure instanceof RiffError ? this.#failure.exitCode : EXIT_CODE_OF_A_BUG;
  }

  /** In this order; each part is released before those above it. */
  async #start(): Promise<void> {
    const { settings, version } = this.#plan;
    const { store } = this.#parts;
    const lock = acquireLock(settings.stateDir);
    this.#releases.add("lock", () => lock.release());
    const path = socketPath(settings.stateDir, settings.daemon.socket);
    const rpc = () => this.#parts.rpc?.server ?? null;
    const control = await ControlServer.listen(path, this.#controls, rpc, {}, this.#socketEvents(path));
    this.#releases.add("control socket", () => control.close());
    this.#logger.info({ version, pid: process.pid, socket: path }, "riffd starts");

    const opened = await store.open(settings, this.#hurry.signal);
    this.#releases.add("store", () => store.close());
    this.#releases.add("bell", () => this.#bell.close());
    this.#goOn();
    await this.#serve(opened);
    this.#goOn();

    const pipeline = this.#newPipeline(opened);
    this.#parts.pipeline = pipeline;
    this.#releases.add("pipeline", () => this.#drain(pipeline), settings.daemon.drainMs + DRAIN_SLACK_MS);
    this.#releases.add("watcher", () => this.#parts.watcher.close());
    this.#isWatching = true;
    await this.#parts.watcher.start(); // what changes from now on is told; the scan finds what changed before
    this.#goOn();
    await pipeline.start();
    const stopWatchdog = this.#sd.startWatchdog(() => this.#isProgressing());
    this.#releases.add("watchdog", stopWatchdog);
  }

  async #end(): Promise<void> {
    this.#stopping.abort();
    this.#sd.stopping();
    const released = this.#releases.release().catch((thrown) => {
      this.#failure ??= toError(thrown);
    });
    // A store that has failed may never answer again; what was committed is on the disk.
    await (this.#failure === null ? released : Promise.race([released, sleep(FAILED_MS)]));
    await this.#sd.sent();
  }

  #socketEvents(socket: string): NameEvents {
    return {
      restored: () => this.#logger.warn({ socket }, "the control socket was gone; it is there again"),
      lost: (error) =>
        this.#logger.error({ socket, error }, "the control socket is gone, and cannot be made again yet"),
    };
  }

  /** Start-up ends where the end was asked for. */
  #goOn(): void {
    if (this.#stopping.signal.aborted) throw interrupted();
  }

  async #serve({ store: { database } }: OpenStore): Promise<void> {
    const { settings, store } = this.#parts;
    if (store.target.kind !== "embedded") return; // its server serves it
    const { rpcListen: address, rpcAllowOrigin: allowedOrigins } = settings.daemon;
    const rpc = await openRpc({ dir: store.target.dir, database, address, allowedOrigins, logger: this.#logger });
    this.#parts.rpc = rpc;
    this.#releases.add("rpc", async () => {
      this.#parts.rpc = null;
      await rpc.close();
    });
  }

  #newPipeline({ store, heads, host, setbacks }: OpenStore): Pipeline {
    const { settings, activity } = this.#parts;
    for (const { sessionId } of setbacks) {
      this.#logger.warn({ session: sessionId }, "the store is behind; its file is read again");
    }
    return new Pipeline({
      context: {
        store,
        heads,
        host,
        operator: OPERATOR,
        quietMs: settings.daemon.settleMs,
        stepLimits: store.stepLimits,
        concurrency: concurrencyOf(settings, store.concurrency),
        now: () => systemClock.now(),
        onCommit: (step) => {
          activity.committed(step);
          this.#bell.ring();
        },
        signal: this.#hurry.signal,
      },
      files: localFiles,
      clock: systemClock,
      listener: activity,
      discover: () => this.#projects.discover(),
      transcriptAt: (path) => this.#projects.transcriptAt(path),
      chosen: this.#plan.chosen,
      timing: timingOf(settings),
      forceSessions: new Set(setbacks.map(({ sessionId }) => sessionId)),
    });
  }

  #newWatcher({ daemon: { poll, pollMs } }: Settings): Watcher {
    const { roots, wanted } = this.#projects;
    return createWatcher({ roots, wanted, mode: poll ? "poll" : "auto", pollMs }, this);
  }

  /** Jobs in work have some time to end; where the store does not answer they would not. */
  async #drain(pipeline: Pipeline): Promise<void> {
    const { store, settings } = this.#parts;
    if (!store.isAnswering || this.#failure !== null) this.#hurry.abort();
    const cancel = systemClock.after(settings.daemon.drainMs, () => {
      this.#logger.warn({}, "jobs are still in work; they end after their step");
      this.#hurry.abort();
    });
    await pipeline.drain();
    cancel();
  }

  async #caughtUp(): Promise<void> {
    const { opened } = this.#parts.store;
    try {
      if (opened !== null && opened.setbacks.length > 0) {
        const { store, heads, setbacks } = opened;
        const read = setbacks.filter(({ sessionId }) => this.#plan.chosen?.has(sessionId) ?? true);
        await adoptHeads(opened, new Set(read.map(({ sessionId }) => sessionId)));
        this.#parts.setbacks = heads.setbacks(await store.chainHeads());
      }
      this.#sd.ready(this.#summary());
    } catch (thrown) {
      this.#fail(toError(thrown));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#plan.view?.done();
    this.#stopping.abort();
  }

  /** Idempotent. */
  stop(reason: string): void {
    if (this.#stopping.signal.aborted) return;
    this.#plan.view?.done();
    this.#logger.info({}, `stopping: ${reason}`);
    this.#stopping.abort();
    if (this.#parts.pipeline === null) this.#hurry.abort();
  }

  #isProgressing(): boolean {
    const { store, pipeline } = this.#parts;
    return !store.isAnswering || (pipeline?.stalledMs ?? 0) < STALLED_MS;
  }

  #summary(): string {
    const { files = 0, state = "starting" } = this.#parts.pipeline?.status() ?? {};
    return `${state}: ${files.toLocaleString("en-US")} transcript${files === 1 ? "" : "s"}`;
  }

  /** For the log of an error that nobody expected. */
  describe(): Readonly<Record<string, unknown>> {
    const { state, backlog } = this.#parts.pipeline?.status() ?? {};
    return { state, backlog };
  }

  // WatchListener

  changed(path: string): void {
    this.#parts.pipeline?.changed(path);
  }

  missed(): void {
    void this.#parts.pipeline?.rescan();
  }

  troubled({ path, message, hint }: WatchTrouble): void {
    this.#logger.warn({ path, hint }, message);
  }

  recovered(trouble: WatchTrouble): void {
    this.#logger.info({ path: trouble.path }, recoveryOf(trouble));
  }

  // SIGHUP

  /** Takes what may change while it runs; a configuration with problems changes nothing. */
  async reload(): Promise<void> {
    this.#sd.reloading();
    try {
      const next = this.#plan.reread();
      const { atOnce, atRestart } = diffSettings(this.#parts.settings, next);
      if (atRestart.length > 0) this.#logger.warn({ fields: atRestart }, "these settings are taken at the next start");
      await this.#take(next, atOnce);
      if (atOnce.length > 0) this.#logger.info({ fields: atOnce }, "new settings are taken");
      else if (atRestart.length === 0) this.#logger.info({}, "no setting has changed");
    } catch (thrown) {
      this.#logger.error({ error: toError(thrown) }, "the configuration is not taken; nothing has changed");
    }
    this.#sd.ready(this.#summary());
  }

  async #take(next: Settings, fields: readonly string[]): Promise<void> {
    const settings = withReloaded(this.#parts.settings, next);
    this.#parts.settings = settings;
    this.#logger.level = settings.daemon.logLevel;
    if (fields.some((field) => ["projects", "include", "exclude"].includes(field))) {
      this.#projects = new Projects(settings);
      await this.#parts.watcher.close();
      this.#parts.watcher = this.#newWatcher(settings);
      if (this.#isWatching) await this.#parts.watcher.start(); // else it is started in its turn
    }
    const { pipeline, store } = this.#parts;
    pipeline?.reconfigure({
      timing: timingOf(settings),
      concurrency: concurrencyOf(settings, store.opened?.store.concurrency ?? 1),
      quietMs: settings.daemon.settleMs,
    });
    await pipeline?.rescan();
  }
}

const EXIT_CODE_OF_A_BUG = 70;

function timingOf({ daemon: { debounceMs, debounceMaxMs, rescanMs } }: Settings): Timing {
  return { debounceMs, debounceMaxMs, rescanMs, graceMs: GRACE_MS, settleMs: SETTLE_MS, ...RETRIES };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Unless it was chosen, as many as this machine has cores, and as the store takes well. */
function concurrencyOf({ daemon, origins }: Settings, best: number): number {
  return origins.concurrency === null ? Math.max(daemon.concurrency, best) : daemon.concurrency;
}
