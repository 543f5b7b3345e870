// File changes → debounce → queue → look → commit, for as long as the daemon lives. One job for a file at a time, those that
// are being written to first. A scan of all files by their facts finds at the start what has changed since the last time, and
// later what the watcher missed. One bad file never stops the others: it waits longer and longer, and is then set aside until
// it changes.
import PQueue from "p-queue";
import { RiffError, systemCode, toError } from "../errors.ts";
import { gateByFacts, isQuiet } from "./checkpoint.ts";
import type { Chosen } from "./chosen.ts";
import type { Clock } from "./clock.ts";
import type { ReadingContext, SyncContext } from "./context.ts";
import type { FileFacts, Files } from "./files.ts";
import { inScan, markGone } from "./gone.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { KnownFiles } from "./known-files.ts";
import { removeLeftovers } from "./leftovers.ts";
import { liveFile, unsettledFile } from "./live-files.ts";
import { interrupted } from "./look.ts";
import { Naming } from "./naming.ts";
import type { PipelineState, PipelineStatus } from "./pipeline-status.ts";
import type { Settled } from "./settle.ts";
import { Settler } from "./settler.ts";
import { stopsEverything } from "./stopping.ts";
import type { SourceRow, Step } from "./store.ts";
import { NOTHING_READ_REPORT as NOTHING_READ, type Planned, type Scan, type SessionReport } from "./sync.ts";
import { type FileReport, syncFile, type Target } from "./sync-file.ts";
import type { Transcript } from "./transcript.ts";
import { type Work, WorkList } from "./work-list.ts";

/** Milliseconds. */
export interface Timing {
  /** A file is read when nothing was heard of it for this long … */
  readonly debounceMs: number;
  /** … or for this long it has not been quiet. */
  readonly debounceMaxMs: number;
  /** Between two scans. */
  readonly rescanMs: number;
  /** A file that is not there counts as gone after this: until then it may turn up elsewhere. */
  readonly graceMs: number;
  /** Between settling verdicts while other files wait to be read. */
  readonly settleMs: number;
  /** First and longest wait after a failure, and the number of failures after which a file is set aside. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
  readonly retries: number;
}

/** Told what happens, in order. */
export interface PipelineListener {
  /** What the first scan found to do. */
  planned(files: readonly Planned[]): void;
  /** A look, or a verdict, has ended; `lagMs` after the first change it took in was seen, null where none was. */
  synced(report: SessionReport, lagMs: number | null): void;
  /** It is tried again in `nextMs`; null: it is set aside until it changes. */
  failed(work: { readonly path: string; readonly sessionId: string | null }, error: Error, nextMs: number | null): void;
  /** A file that had failed was read. */
  recovered(work: { readonly path: string; readonly sessionId: string | null }): void;
  /** A file that the first scan found was read, or could not be. Told once for each of them. */
  tried(path: string): void;
  /** All of these were tried; those that could not be read are tried again, or set aside. Told once. */
  caughtUp(unread: readonly string[]): void;
  /** Nothing goes on: the store or this machine has failed, or riffd has. Told once. */
  fatal(error: Error): void;
}

export interface PipelineOptions {
  readonly context: SyncContext;
  readonly files: Files;
  readonly clock: Clock;
  readonly listener: PipelineListener;
  /** Reads the projects folders. */
  discover(): Promise<Scan>;
  /** What a path is; null: nothing that is read. */
  transcriptAt(path: string): Transcript | null;
  /** What is not of these sessions is neither read nor judged as gone; null: all are meant. */
  readonly chosen: Chosen | null;
  readonly timing: Timing;
  /** To be read again from the first byte: the store is behind on them. */
  readonly forceSessions: ReadonlySet<string>;
}

/** Live changes come before everything else; of the others, the file that was written last. */
const URGENT = Number.MAX_SAFE_INTEGER;
/** Files whose facts are asked for at a time. */
const STAT_BATCH = 64;
/** While files are being read, verdicts are settled again after this many times what it took, and `settleMs`. */
const SETTLE_SHARE = 10;
/** A file is looked at this long after it may have become quiet. */
const SETTLE_SLACK_MS = 20;
const MAX_LIVE_TOLD = 100;

export class Pipeline {
  #options: PipelineOptions;
  #state: PipelineState = "starting";
  readonly #queue: PQueue;
  readonly #works = new WorkList();
  readonly #known = new KnownFiles(() => this.#settler.noteAll());
  readonly #naming: Naming;
  /** Files of sessions that were forgotten. */
  readonly #forgotten = new Set<string>();
  /** Timers for files that are up to date, until they are quiet. */
  readonly #settling = new Map<string, () => void>();
  /** Files whose names are like those of the chosen sessions, and that are others'. */
  readonly #strangers = new Set<string>();
  /** Files that were not there when they were looked for. */
  readonly #leaving = new Set<string>();
  readonly #locks = new KeyedLock();
  readonly #settler = new Settler();
  /** What the first scan found, and was not tried yet. */
  #backfill: Set<string> | null = null;
  /** Verdicts were settled after all of that was tried. */
  #isBackfillSettled = false;
  #settlingNow: Promise<void> | null = null;
  #settledAt = 0;
  #settleTook = 0;
  #scanning: Promise<void> | null = null;
  #scanAgain = false;
  #cancelScan: () => void = () => {};
  #cancelLeaving: (() => void) | null = null;
  #running = 0;
  #lastScan: PipelineStatus["last_scan"] = null;
  #progressedAt = 0;
  readonly #idleWaiters = new Set<() => void>();

  constructor(options: PipelineOptions) {
    const { context } = options;
    const onCommit = (step: Step) => {
      this.progressed();
      context.onCommit?.(step);
    };
    this.#options = { ...options, context: { ...context, onCommit } };
    this.#naming = new Naming(options.files);
    this.#queue = new PQueue({ concurrency: options.context.concurrency });
  }

  /** Reads the checkpoints, scans, and puts what has changed on the queue. May be called once. Throws what the store throws. */
  async start(): Promise<void> {
    const { context } = this.#options;
    const sources = new Map((await context.store.sources(context.host)).map((source) => [source.path, source]));
    await removeLeftovers(context, sources);
    for (const source of sources.values()) {
      this.#known.put(source);
      this.#options.chosen?.learn(source.path, source.session_id);
    }
    this.#settler.begin(sources.values());
    this.#settledAt = this.#now();
    this.#state = "catching-up";
    await this.rescan();
  }

  /** A file may have appeared, changed or vanished. */
  changed(path: string): void {
    const transcript = this.#isOpen ? this.#options.transcriptAt(path) : null;
    if (transcript === null) return;
    if (this.#known.find(path) === undefined) this.#known.isUnread(path, transcript.project);
    if (!this.#mayBeChosen(transcript)) return;
    const now = this.#now();
    const work = this.#works.find(path) ?? this.#works.add(path, "debouncing", now);
    work.lastSeen = now;
    void this.#measure(work);
    switch (work.state) {
      case "syncing":
        work.isStale = true;
        return;
      case "queued":
        if (work.isUrgent) return;
        work.isUrgent = true;
        this.#queue.setPriority(path, URGENT);
        return;
      case "backing-off":
        return; // it is tried again anyway
      case "quarantined":
        work.attempts = 0;
        work.firstSeen = now;
        this.#debounce(work);
        return;
      default:
        this.#debounce(work);
    }
  }

  /** Looks at the facts of all files. One scan runs at a time; asked for meanwhile, another follows. Never rejects. */
  rescan(): Promise<void> {
    this.#scanAgain = this.#scanning !== null;
    this.#scanning ??= this.#scanUntilDone().finally(() => {
      this.#scanning = null;
      this.#cancelScan();
      if (this.#isOpen)
        this.#cancelScan = this.#options.clock.after(this.#options.timing.rescanMs, () => void this.rescan());
      this.#stepDone();
    });
    return this.#scanning;
  }

  /**
   * Runs somebody else's work on a file when its turn comes, and no job of this pipeline's is on it. Rejects with what the
   * work throws, and with RIFF_INTERRUPTED where the pipeline drains before.
   */
  runExclusive(path: string, work: () => Promise<void>): Promise<void> {
    const exclusive = async () => {
      if (!this.#isOpen) throw interrupted();
      this.#begins();
      try {
        await this.#locks.run(path, work);
        const { store, host } = this.#options.context;
        const source = await store.findSource([host, path]);
        if (source !== null) {
          this.#known.put(source);
          this.#naming.release(path);
        }
      } finally {
        this.#ends();
      }
    };
    return this.#queue.add(exclusive, { priority: URGENT - 1 });
  }

  /** New settings, from the next change on. */
  reconfigure(
    changes: Partial<Pick<PipelineOptions, "timing" | "discover" | "transcriptAt">> &
      Partial<Pick<SyncContext, "concurrency" | "quietMs">>,
  ): void {
    const { concurrency, quietMs, ...others } = changes;
    const context = { ...this.#options.context };
    this.#options = {
      ...this.#options,
      ...others,
      context: { ...context, concurrency: concurrency ?? context.concurrency, quietMs: quietMs ?? context.quietMs },
    };
    this.#queue.concurrency = this.#options.context.concurrency;
  }

  /** Takes nothing more, and resolves when the jobs in work have ended: abort the context's signal to hurry them. Idempotent. */
  async drain(): Promise<void> {
    if (this.#state === "stopped") return;
    this.#state = "draining";
    this.#cancelScan();
    this.#cancelLeaving?.();
    for (const cancel of this.#settling.values()) cancel();
    for (const work of this.#works.all) work.cancel();
    await this.#queue.onIdle();
    await this.#scanning;
    await this.#settlingNow;
    this.#state = "stopped";
    for (const resolve of this.#idleWaiters) resolve();
  }

  /** Resolves when nothing is left to do but what waits after a failure. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idleWaiters.add(resolve);
      this.#stepDone();
    });
  }

  /** Something of what is being done was done, by whomever. */
  progressed(): void {
    this.#progressedAt = Math.max(this.#progressedAt, this.#now());
  }

  get state(): PipelineState {
    return this.#state;
  }

  /** Something is being done, and for this many milliseconds nothing of it has ended; 0: nothing is to be done. */
  get stalledMs(): number {
    return this.#running === 0 && this.#settlingNow === null ? 0 : this.#now() - this.#progressedAt;
  }

  status(): PipelineStatus {
    const now = this.#now();
    const unfinished = [...this.#works.all].map((work) => liveFile(work, this.#known, this.#naming));
    const unsettled = [...this.#settling.keys()].flatMap((path) => {
      const source = this.#works.find(path) === undefined ? this.#known.find(path) : undefined;
      return source === undefined ? [] : [unsettledFile(source)];
    });
    const live = [...unfinished, ...unsettled].sort((a, b) => b.changed_at.getTime() - a.changed_at.getTime());
    const oldest = [...this.#works.all].reduce((time, { firstSeen }) => Math.min(time, firstSeen), now);
    const unreadable = unfinished.filter(({ session_id, failed_at }) => session_id === null && failed_at !== null);
    return {
      state: this.#state,
      files: this.#known.count + this.#naming.size + unreadable.length,
      backlog: this.#works.count(),
      lag: {
        bytes: unfinished.reduce((sum, { lag_bytes }) => sum + lag_bytes, 0),
        seconds: (now - oldest) / 1000,
      },
      live: live.slice(0, MAX_LIVE_TOLD),
      last_scan: this.#lastScan,
    };
  }

  get #isOpen(): boolean {
    return this.#state === "catching-up" || this.#state === "live";
  }

  #now(): number {
    return this.#options.clock.now().getTime();
  }

  #begins(): void {
    this.progressed();
    this.#running++;
  }

  #ends(): void {
    this.#running--;
    this.progressed();
    this.#stepDone();
  }

  /** How large the file is now, however long its turn is away. */
  async #measure(work: Work): Promise<void> {
    if (work.unmeasured++ > 0) return;
    for (let measured = 0; measured < work.unmeasured; ) {
      measured = work.unmeasured;
      const facts = await this.#options.files.findFacts(work.path).catch(() => null);
      if (facts !== null) work.size = facts.size;
    }
    work.unmeasured = 0;
  }

  // From a change to its turn

  #debounce(work: Work): void {
    const { debounceMs, debounceMaxMs } = this.#options.timing;
    const now = this.#now();
    work.state = "debouncing";
    work.cancel();
    const wait = Math.max(0, Math.min(debounceMs, work.firstSeen + debounceMaxMs - now));
    work.cancel = this.#options.clock.after(wait, () => void this.#ripe(work));
  }

  /** The file has been quiet, or was not for long enough: what the file system says decides. */
  async #ripe(work: Work): Promise<void> {
    if (!this.#isOpen) return;
    const { lastSeen } = work;
    try {
      const facts = await this.#options.files.findFacts(work.path);
      if (work.state !== "debouncing" || this.#works.find(work.path) !== work) return;
      if (work.lastSeen !== lastSeen) return; // it has changed meanwhile, and is debounced again
      if (facts === null) {
        this.#works.remove(work);
        this.#left(work.path);
        this.#known.isRead(work.path);
      } else if (!work.force && this.#isUpToDate(work.path, facts)) {
        this.#works.remove(work);
      } else {
        work.size = facts.size;
        work.isUrgent = true;
        this.#enqueue(work, URGENT);
      }
    } catch {
      this.#enqueue(work, URGENT); // its job says what is wrong
    }
    this.#stepDone();
  }

  #enqueue(work: Work, priority: number): void {
    work.cancel();
    work.state = "queued";
    void this.#queue.add(() => this.#job(work), { id: work.path, priority });
  }

  /** The gates let it pass. One that is up to date, but not quiet, is looked at again when it is. */
  #isUpToDate(path: string, facts: FileFacts): boolean {
    if (this.#forgotten.has(path)) return true;
    const source = this.#known.find(path);
    if (source === undefined) return false;
    const now = this.#options.clock.now();
    const quiet = isQuiet(facts, now, this.#options.context.quietMs);
    if (gateByFacts(source, facts, quiet, now) !== "unchanged") return false;
    if (!source.settled) this.#settleLater(path, facts.mtimeMs);
    return true;
  }

  #settleLater(path: string, mtimeMs: number): void {
    this.#settling.get(path)?.();
    const { quietMs } = this.#options.context;
    const untilQuiet = mtimeMs + quietMs + SETTLE_SLACK_MS - this.#now();
    const cancel = this.#options.clock.after(untilQuiet > 0 ? untilQuiet : quietMs, () => {
      this.#settling.delete(path);
      if (!this.#isOpen || this.#works.find(path) !== undefined) return;
      this.#enqueue(this.#works.add(path, "queued", this.#now()), URGENT - 1);
    });
    this.#settling.set(path, cancel);
  }

  // A job

  async #job(work: Work): Promise<void> {
    if (!this.#isOpen) return;
    work.state = "syncing";
    work.isStale = false;
    this.#begins();
    try {
      await this.#locks.run(work.path, () => this.#look(work));
      this.#done(work);
    } catch (thrown) {
      await this.#failed(work, toError(thrown));
    } finally {
      if (this.#state === "catching-up" && this.#backfill?.delete(work.path)) this.#options.listener.tried(work.path);
      this.#ends();
    }
  }

  async #look(work: Work): Promise<void> {
    const { path } = work;
    const { files } = this.#options;
    const started = performance.now();
    const seen = work.firstSeen;
    const transcript = this.#options.transcriptAt(path);
    if (transcript === null || !this.#mayBeChosen(transcript)) return; // its project was excluded meanwhile
    const context = await this.#reading();
    const { store, host } = context;
    const source = await store.findSource([host, path]);
    if (source !== null) this.#known.put(source);
    const target = await this.#target(context, transcript, source);
    if (target === null) {
      this.#forgotten.add(path);
      this.#known.isRead(path);
      this.#tell({ sessionId: source?.session_id ?? path, path, ...NOTHING_READ, status: "forgotten" }, started, null);
      return;
    }
    if (!this.#isChosen(target)) return;
    const report = await syncFile(context, files, target, work.force);
    work.force = false;
    const now = await store.findSource([host, path]);
    if (now !== null) this.#known.put(now);
    if (target.takesOver !== null && target.takesOver.path !== path) this.#known.remove(target.takesOver.path);
    if (now !== null && !now.settled) this.#settleLater(path, Number(BigInt(now.mtime_ns) / 1_000_000n));
    if (report === null) return;
    if (report.status !== "unchanged") this.#settler.note(path, report);
    this.#tell({ sessionId: report.session.session_id, path, ...told(report) }, started, seen);
  }

  /** null: its session was forgotten. */
  async #target(context: ReadingContext, transcript: Transcript, source: SourceRow | null): Promise<Target | null> {
    const named = this.#naming.find(transcript.path);
    if (source === null && named !== undefined) return named;
    const { targets } = await this.#naming.plan(context, [transcript], source);
    return targets[0] ?? null;
  }

  /** As far as it can be told without its session's name. */
  #mayBeChosen(transcript: Transcript): boolean {
    const { chosen } = this.#options;
    if (chosen === null) return true;
    const source = this.#known.find(transcript.path);
    if (source !== undefined) return chosen.has(source.session_id);
    return !this.#strangers.has(transcript.path) && chosen.mayHold(transcript);
  }

  /** Whether a file that was named is meant. */
  #isChosen({ path, sessionId, parentSession, kind }: Target): boolean {
    const { chosen } = this.#options;
    chosen?.learn(path, sessionId);
    if (chosen === null || chosen.has(sessionId)) return true;
    this.#naming.release(path);
    // What a subagent belongs to may only be written later.
    if (kind === "main" || parentSession !== null) this.#strangers.add(path);
    return false;
  }

  async #reading(): Promise<ReadingContext> {
    const { context } = this.#options;
    return { ...context, forgotten: await context.store.forgotten() };
  }

  #done(work: Work): void {
    if (work.error !== null) this.#options.listener.recovered(this.#named(work));
    work.attempts = 0;
    work.error = null;
    work.failedAt = null;
    this.#naming.release(work.path);
    if (work.isStale && this.#isOpen) {
      work.firstSeen = work.lastSeen;
      this.#debounce(work);
    } else this.#works.remove(work);
  }

  async #failed(work: Work, error: Error): Promise<void> {
    const { files, listener, timing, clock, context } = this.#options;
    if (context.signal.aborted || !this.#isOpen) return;
    if (stopsEverything(error)) return this.#stop(error);
    const facts = await files.findFacts(work.path).catch(() => null);
    this.#naming.release(work.path);
    if (facts === null && isMissing(error)) {
      this.#works.remove(work);
      this.#left(work.path);
      return;
    }
    const project = this.#options.transcriptAt(work.path)?.project;
    if (project !== undefined) this.#known.isUnread(work.path, project);
    work.error = error;
    work.failedAt ??= this.#now();
    work.attempts++;
    work.failedAs = facts === null ? null : factsKey(facts);
    if (work.attempts > timing.retries) {
      work.state = "quarantined";
      listener.failed(this.#named(work), error, null);
      return;
    }
    const longest = Math.min(timing.retryMaxMs, timing.retryMs * 2 ** (work.attempts - 1));
    const wait = longest / 2 + (Math.random() * longest) / 2;
    work.state = "backing-off";
    work.cancel = clock.after(wait, () => {
      if (this.#isOpen) this.#enqueue(work, 0);
    });
    listener.failed(this.#named(work), error, wait);
  }

  #named({ path }: Work): { readonly path: string; readonly sessionId: string | null } {
    return { path, sessionId: this.#known.find(path)?.session_id ?? null };
  }

  #tell(report: Omit<SessionReport, "durationMs">, started: number, firstSeen: number | null): void {
    const durationMs = performance.now() - started;
    this.#options.listener.synced({ ...report, durationMs }, firstSeen === null ? null : this.#now() - firstSeen);
  }

  // Files that are not there

  #left(path: string): void {
    const source = this.#known.find(path);
    if (source === undefined || source.gone || !this.#isMeant(source)) return;
    this.#settling.get(path)?.();
    this.#settling.delete(path);
    this.#leaving.add(path);
    this.#cancelLeaving ??= this.#options.clock.after(this.#options.timing.graceMs, () => {
      this.#cancelLeaving = null;
      void this.#queue.add(() => this.#leave(), { priority: URGENT - 1 });
    });
  }

  /** Marks the sessions of those that are still missing, where their folders can be read. */
  async #leave(): Promise<void> {
    if (!this.#isOpen) return;
    this.#begins();
    const paths = [...this.#leaving];
    this.#leaving.clear();
    try {
      const scan = await this.#options.discover();
      const existing = new Set(scan.transcripts.map(({ path }) => path));
      for (const path of paths) {
        if (existing.has(path)) this.changed(path);
        else if (inScan({ path }, scan)) await this.#locks.run(path, () => this.#markGone(path));
      }
    } catch (thrown) {
      const error = toError(thrown);
      if (stopsEverything(error) || !(error instanceof RiffError)) this.#stop(error);
    } finally {
      this.#ends();
    }
  }

  #isMeant({ session_id }: SourceRow): boolean {
    return this.#options.chosen?.has(session_id) ?? true;
  }

  async #markGone(path: string): Promise<void> {
    const started = performance.now();
    const { context } = this.#options;
    const source = await context.store.findSource([context.host, path]);
    if (source === null) {
      this.#known.remove(path); // it has moved
      return;
    }
    if (source.gone) return void this.#known.put(source);
    const session = await markGone(context, source);
    if (session === null) return; // a later scan looks again
    const now = await context.store.findSource([context.host, path]);
    if (now !== null) this.#known.put(now);
    this.#known.isRead(path);
    this.#settler.noteSession(path, session.session_id);
    this.#tell({ sessionId: session.session_id, path, ...NOTHING_READ, status: "gone", session }, started, null);
  }

  // Scans

  async #scanUntilDone(): Promise<void> {
    try {
      do {
        this.#scanAgain = false;
        await this.#scan();
      } while (this.#scanAgain && this.#isOpen);
    } catch (thrown) {
      const error = toError(thrown);
      if (!this.#options.context.signal.aborted) this.#stop(error);
    }
  }

  async #scan(): Promise<void> {
    const started = performance.now();
    const at = this.#options.clock.now();
    const scan = await this.#options.discover();
    const seen = await this.#changedIn(scan);
    if (!this.#isOpen) return;
    const newcomers = seen.filter(({ transcript }) => this.#known.find(transcript.path) === undefined);
    const others = scan.transcripts.filter((transcript) => !this.#mayBeChosen(transcript));
    for (const { path, project } of [...newcomers.map(({ transcript }) => transcript), ...others])
      if (this.#known.find(path) === undefined) this.#known.isUnread(path, project);
    const strangers = await this.#nameAll(newcomers.map(({ transcript }) => transcript));
    const changed = seen.filter(({ transcript }) => !strangers.has(transcript.path));
    const forced = this.#lastScan === null ? this.#options.forceSessions : new Set<string>();
    const existing = new Set(scan.transcripts.map(({ path }) => path));
    for (const source of this.#known.all) {
      if (!existing.has(source.path) && !source.gone && inScan(source, scan)) this.#left(source.path);
      else if (existing.has(source.path) && forced.has(source.session_id) && this.#isMeant(source))
        this.#take(source.path, 0, 0).force = true;
    }
    for (const { transcript, facts } of changed) this.#take(transcript.path, facts?.size ?? 0, facts?.mtimeMs ?? 0);
    if (this.#lastScan === null) this.#plannedFirst();
    this.#lastScan = {
      at,
      duration_ms: Math.round(performance.now() - started),
      files: scan.transcripts.length,
      changed: changed.length,
    };
  }

  /** Files that the gates do not let pass, and that nothing is being done about. */
  async #changedIn({ transcripts }: Scan): Promise<{ transcript: Transcript; facts: FileFacts | null }[]> {
    const changed: { transcript: Transcript; facts: FileFacts | null }[] = [];
    for (let from = 0; from < transcripts.length && this.#isOpen; from += STAT_BATCH) {
      const batch = transcripts
        .slice(from, from + STAT_BATCH)
        .filter((transcript) => !this.#forgotten.has(transcript.path) && this.#mayBeChosen(transcript));
      const facts = await Promise.all(batch.map(({ path }) => this.#options.files.findFacts(path).catch(() => null)));
      for (const [i, transcript] of batch.entries()) {
        const found = facts[i] ?? null;
        const work = this.#works.find(transcript.path);
        if (work !== undefined && found !== null) work.size = found.size;
        if (work !== undefined && !isFreed(work, found)) continue;
        if (work === undefined && found !== null && this.#isUpToDate(transcript.path, found)) continue;
        changed.push({ transcript, facts: found });
      }
    }
    return changed;
  }

  /** Puts a file on the queue behind those that are being written to; of these, the latest first. */
  #take(path: string, size: number, mtimeMs: number): Work {
    const existing = this.#works.find(path);
    if (existing !== undefined && existing.state !== "quarantined") return existing;
    const work = existing ?? this.#works.add(path, "queued", this.#now());
    work.attempts = 0;
    work.size = size;
    this.#enqueue(work, mtimeMs);
    return work;
  }

  /** Those of them that are not meant. */
  async #nameAll(transcripts: readonly Transcript[]): Promise<ReadonlySet<string>> {
    if (transcripts.length === 0) return new Set();
    const { targets, forgotten } = await this.#naming.plan(await this.#reading(), transcripts, null);
    for (const { path } of forgotten) {
      this.#forgotten.add(path);
      this.#known.isRead(path);
    }
    return new Set(targets.filter((target) => !this.#isChosen(target)).map(({ path }) => path));
  }

  #plannedFirst(): void {
    const planned = [...this.#works.all].map(({ path }) => {
      const source = this.#known.find(path) ?? null;
      return { path, sessionId: source?.session_id ?? this.#naming.find(path)?.sessionId ?? path, source };
    });
    this.#backfill = new Set(planned.map(({ path }) => path));
    this.#options.listener.planned(planned);
  }

  // Verdicts

  /** Something has ended: settle if that is due, and see whether all is done. */
  #stepDone(): void {
    if (this.#isOpen && this.#settler.isDue && this.#settlingNow === null && this.#mayRunSettler()) {
      const isAfterBackfill = this.#backfill?.size === 0;
      this.progressed();
      this.#settlingNow = this.#settle().finally(() => {
        this.#settlingNow = null;
        this.#isBackfillSettled ||= isAfterBackfill;
        this.progressed();
        this.#stepDone();
      });
    }
    const isBusy = this.#works.isBusy || this.#running > 0 || this.#scanning !== null || this.#settlingNow !== null;
    const isSettled = this.#isBackfillSettled || (!this.#settler.isDue && this.#settlingNow === null);
    if (this.#state === "catching-up" && this.#backfill?.size === 0 && isSettled) {
      this.#state = "live";
      const failing = [...this.#works.all].filter(({ error }) => error !== null);
      this.#options.listener.caughtUp(failing.map(({ path }) => path));
    }
    if (isBusy || this.#leaving.size > 0 || (this.#isOpen && this.#settler.isDue)) return;
    for (const resolve of this.#idleWaiters) resolve();
    this.#idleWaiters.clear();
  }

  /** At once where nothing else is to be done, now and then while much is. */
  #mayRunSettler(): boolean {
    if (this.#scanning !== null && this.#lastScan === null) return false; // what is not read is not known yet
    const { debouncing, queued, syncing } = this.#works.count();
    if (debouncing + queued + syncing + this.#running === 0) return true;
    const { settleMs } = this.#options.timing;
    return this.#now() - this.#settledAt >= Math.max(settleMs, SETTLE_SHARE * this.#settleTook);
  }

  async #settle(): Promise<void> {
    const started = this.#now();
    try {
      const context = await this.#reading();
      // At the same moment as what is to be settled: a file that is read from here on has it settled again.
      const unread = this.#known.unreadProjects;
      await this.#settler.run(context, (project) => !unread.has(project), {
        settled: (settled) => this.#settled(settled),
        failed: ({ session_id: sessionId, source: [, path] }, error) =>
          this.#options.listener.failed({ path, sessionId }, error, null),
      });
    } catch (thrown) {
      if (!this.#options.context.signal.aborted) this.#stop(toError(thrown));
    } finally {
      this.#settledAt = this.#now();
      this.#settleTook = this.#settledAt - started;
    }
  }

  #settled({ before, session, events }: Settled): void {
    const path = session.source[1];
    const report = { ...NOTHING_READ, status: "settled" as const, before, session, events };
    this.#tell({ sessionId: session.session_id, path, ...report }, performance.now(), null);
  }

  #stop(error: Error): void {
    if (!this.#isOpen && this.#state !== "starting") return;
    this.#state = "draining";
    this.#options.listener.fatal(error);
  }
}

function told({ status, before, session, events, healedRows }: FileReport) {
  return { status, before, session, events, healedRows, error: null };
}

/** It was deleted while it was to be read. */
function isMissing(error: Error): boolean {
  return systemCode(error) === "ENOENT" || systemCode(error.cause) === "ENOENT";
}

function factsKey({ dev, ino, size, mtime_ns, ctime_ns }: FileFacts): string {
  return [dev, ino, size, mtime_ns, ctime_ns].join();
}

/** A file that was set aside, and is not what it was. */
function isFreed({ state, failedAs }: Work, facts: FileFacts | null): boolean {
  return state === "quarantined" && facts !== null && factsKey(facts) !== failedAs;
}
