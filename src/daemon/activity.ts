// What the pipeline does, for the log, the metrics and the status: one line for each change.
import type { Change, WrittenStep } from "../control/protocol.ts";
import { writtenStep } from "../control/run-sync.ts";
import { type ErrorCode, RiffError } from "../errors.ts";
import type { Clock } from "../sync/clock.ts";
import type { Logger } from "../sync/logger.ts";
import type { PipelineListener } from "../sync/pipeline.ts";
import type { EventType, Step } from "../sync/store.ts";
import type { Planned, SessionReport } from "../sync/sync.ts";
import { Troubles } from "../sync/troubles.ts";

/** Kept for the status. */
const MAX_CHANGES = 20;
/** While the first scan's files are read, this often how far that is. */
const PROGRESS_MS = 10_000;

/** Counts what happens: see control/metrics.ts. */
export interface ActivityMetrics {
  committed(step: WrittenStep): void;
  reported(report: SessionReport): void;
  failed(code: ErrorCode | null): void;
  retried(): void;
}

/** Shows how far the first import is; none of its calls throws. */
export interface CatchUpView {
  planned(files: readonly Planned[]): void;
  wrote(step: WrittenStep): void;
  ended(sessionId: string): void;
  done(): void;
}

/** Told of a sync that somebody else asked for. */
export interface HandedSync {
  committed(step: Step): void;
  ended(report: SessionReport): void;
}

/** What the first scan found to do. */
interface CatchUp {
  /** Ids by paths. */
  readonly files: ReadonlyMap<string, string>;
  readonly started: number;
  done: number;
  told: number;
}

export class Activity implements PipelineListener {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #metrics: ActivityMetrics;
  readonly #view: CatchUpView | null;
  readonly #onProgress: (text: string) => void;
  readonly #onCaughtUp: () => void;
  readonly #onFatal: (error: Error) => void;
  /** By paths. */
  readonly #troubles: Troubles;
  readonly #written = new Written();
  readonly #changes: Change[] = [];
  #catchUp: CatchUp | null = null;
  #isCaughtUp = false;

  /** `view`: where somebody watches the first import; else it is told in the log now and then. */
  constructor(parts: {
    readonly logger: Logger;
    readonly clock: Clock;
    readonly metrics: ActivityMetrics;
    readonly view: CatchUpView | null;
    /** How far the first import is, now and then. */
    onProgress(text: string): void;
    onCaughtUp(): void;
    onFatal(error: Error): void;
  }) {
    this.#logger = parts.logger;
    this.#clock = parts.clock;
    this.#troubles = new Troubles({ now: () => parts.clock.now().getTime() });
    this.#metrics = parts.metrics;
    this.#view = parts.view;
    this.#onProgress = (text) => parts.onProgress(text);
    this.#onCaughtUp = () => parts.onCaughtUp();
    this.#onFatal = (error) => parts.onFatal(error);
  }

  /** The latest first. */
  get changes(): readonly Change[] {
    return [...this.#changes].reverse();
  }

  /** The pipeline has written a step. */
  committed(step: Step): void {
    const written = writtenStep(step);
    this.#written.add(written);
    this.#metrics.committed(written);
    this.#view?.wrote(written);
  }

  /** One that begins now; it may end in the middle. */
  handed(): HandedSync {
    const wrote = new Written();
    const ended = new Set<string>();
    return {
      committed: (step) => {
        const written = writtenStep(step);
        wrote.add(written);
        this.#metrics.committed(written);
      },
      ended: (report) => {
        const { sessionId, path, error } = report;
        if (error !== null) return this.#unread({ path, sessionId }, error, report);
        // What is told of a session once more is told of its verdicts.
        const status = ended.has(sessionId) ? "settled" : report.status;
        ended.add(sessionId);
        this.#ended({ ...report, status }, wrote.take(sessionId), null);
      },
    };
  }

  planned(files: readonly Planned[]): void {
    const now = this.#clock.now().getTime();
    const ids = new Map(files.map(({ path, sessionId }) => [path, sessionId]));
    this.#catchUp = { files: ids, started: now, done: 0, told: now };
    this.#view?.planned(files);
    if (files.length === 0) return;
    this.#logger.info({ files: files.length }, `${plural(files.length, "transcript")} to read`);
    this.#onProgress(`reading ${plural(files.length, "transcript")}`);
  }

  synced(report: SessionReport, lagMs: number | null): void {
    this.#ended(report, this.#written.take(report.sessionId), lagMs);
  }

  #ended(report: SessionReport, { messages, records, bytes }: WrittenStep, lagMs: number | null): void {
    const { sessionId, path, status, events } = report;
    this.#metrics.reported(report);
    if (status === "unchanged" || status === "forgotten") return;
    const wrote = messages + records + bytes + Object.values(events).reduce((sum, count) => sum + count, 0) > 0;
    const logger = this.#logger.child({ session: sessionId });
    const fields = {
      status,
      messages,
      records,
      bytes,
      ...nonZero(events),
      ...(lagMs === null ? {} : { lag_ms: Math.round(lagMs) }),
      duration_ms: Math.round(report.durationMs),
    };
    // Verdicts that fall due are told, but not by everybody.
    const quietly = (status === "settled" && !wrote) || (this.#view !== null && !this.#isCaughtUp);
    if (quietly) logger.debug({ ...fields, path }, describe(report, messages));
    else logger.info(fields, describe(report, messages));
    if (status === "settled" && !wrote) return;
    this.#changes.push({ time: this.#clock.now(), session_id: sessionId, status, messages, records, bytes, events });
    if (this.#changes.length > MAX_CHANGES) this.#changes.shift();
  }

  failed(file: FileOf, error: Error, nextMs: number | null): void {
    this.#metrics.failed(error instanceof RiffError ? error.code : null);
    if (nextMs !== null) this.#metrics.retried();
    const { path } = file;
    const logger = this.#loggerOf(file);
    if (nextMs === null) logger.error({ error }, "could not be read, and is set aside until it changes");
    else {
      const tried = { error, next_ms: Math.round(nextMs) };
      this.#troubles.failed(path, logger, tried, "could not be read, and is tried again");
    }
    if (!(error instanceof RiffError)) logger.debug({ stack: error.stack }, "where it failed");
  }

  /** Of a sync that was handed over. */
  #unread(file: FileOf, error: Error, report: SessionReport): void {
    this.#metrics.failed(error instanceof RiffError ? error.code : null);
    this.#metrics.reported(report);
    this.#loggerOf(file).warn({ error }, "could not be read");
  }

  recovered(file: FileOf): void {
    this.#troubles.recovered(file.path, this.#loggerOf(file), {}, "can be read again");
  }

  #loggerOf({ path, sessionId }: FileOf): Logger {
    return this.#logger.child({ path, ...(sessionId === null ? {} : { session: sessionId }) });
  }

  tried(path: string): void {
    if (this.#catchUp === null) return;
    this.#catchUp.done++;
    this.#view?.ended(this.#catchUp.files.get(path) ?? path);
    const now = this.#clock.now().getTime();
    if (this.#view !== null || now - this.#catchUp.told < PROGRESS_MS) return;
    this.#catchUp.told = now;
    const { done, files } = this.#catchUp;
    const progress = `${count(done)} of ${plural(files.size, "transcript")}`;
    this.#logger.info({ done, files: files.size }, `read ${progress}`);
    this.#onProgress(`reading ${progress}`);
  }

  caughtUp(unread: readonly string[]): void {
    this.#view?.done();
    this.#isCaughtUp = true;
    const { files = new Map<string, string>(), started = 0 } = this.#catchUp ?? {};
    this.#catchUp = null;
    const seconds = (this.#clock.now().getTime() - started) / 1000;
    const failed = unread.filter((path) => files.has(path)).length;
    const what = `caught up with ${plural(files.size - failed, "transcript")}`;
    const but = failed === 0 ? "" : `; ${count(failed)} could not be read`;
    this.#logger.info(
      { files: files.size, ...(failed === 0 ? {} : { unread: failed }), seconds },
      files.size === 0 ? "up to date" : `${what} in ${duration(seconds)}${but}`,
    );
    this.#onCaughtUp();
  }

  fatal(error: Error): void {
    this.#view?.done();
    this.#onFatal(error);
  }
}

/** A file, and the session in it as far as it is known. */
interface FileOf {
  readonly path: string;
  readonly sessionId: string | null;
}

/** What was written of each session, and not told yet. */
class Written {
  readonly #steps = new Map<string, WrittenStep>();

  add(step: WrittenStep): void {
    const { session_id, messages, records, bytes } = this.take(step.session_id);
    this.#steps.set(session_id, {
      session_id,
      messages: messages + step.messages,
      records: records + step.records,
      bytes: bytes + step.bytes,
    });
  }

  take(sessionId: string): WrittenStep {
    const sum = this.#steps.get(sessionId) ?? { session_id: sessionId, messages: 0, records: 0, bytes: 0 };
    this.#steps.delete(sessionId);
    return sum;
  }
}

const WORDS: Readonly<Record<SessionReport["status"], string>> = {
  imported: "imported",
  appended: "grew",
  rewritten: "was rewritten",
  settled: "is settled",
  moved: "moved",
  back: "is back",
  healed: "was healed",
  unchanged: "is unchanged",
  gone: "is gone; all of it is kept",
  failed: "failed",
  forgotten: "is forgotten",
};

function describe({ status, events }: SessionReport, messages: number): string {
  const parts = [messages === 0 ? "" : plural(messages, "message")];
  for (const [type, times] of Object.entries(nonZero(events)))
    if (type !== "message_added") parts.push(`${times} ${type}`);
  const what = parts.filter(Boolean).join(", ");
  return what === "" ? WORDS[status] : `${WORDS[status]}: ${what}`;
}

function nonZero(events: Readonly<Record<EventType, number>>): Partial<Record<EventType, number>> {
  return Object.fromEntries(Object.entries(events).filter(([, count]) => count > 0));
}

function plural(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}

function duration(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}
