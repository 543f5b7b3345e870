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

type Written = Omit<WrittenStep, "session_id">;

const NOTHING_WRITTEN: Written = { messages: 0, records: 0, bytes: 0 };

export class Activity implements PipelineListener {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #metrics: ActivityMetrics;
  readonly #view: CatchUpView | null;
  readonly #onCaughtUp: () => void;
  readonly #onFatal: (error: Error) => void;
  /** By paths. */
  readonly #troubles: Troubles;
  readonly #written = new Map<string, Written>();
  readonly #changes: Change[] = [];
  #catchUp: { readonly total: number; readonly started: number; done: number; told: number } | null = null;
  #isCaughtUp = false;

  /** `view`: where somebody watches the first import; else it is told in the log now and then. */
  constructor(parts: {
    readonly logger: Logger;
    readonly clock: Clock;
    readonly metrics: ActivityMetrics;
    readonly view: CatchUpView | null;
    onCaughtUp(): void;
    onFatal(error: Error): void;
  }) {
    this.#logger = parts.logger;
    this.#clock = parts.clock;
    this.#troubles = new Troubles(parts.logger, { now: () => parts.clock.now().getTime() });
    this.#metrics = parts.metrics;
    this.#view = parts.view;
    this.#onCaughtUp = () => parts.onCaughtUp();
    this.#onFatal = (error) => parts.onFatal(error);
  }

  /** The latest first. */
  get changes(): readonly Change[] {
    return [...this.#changes].reverse();
  }

  /** A step was written, by whatever part. */
  committed(step: Step): void {
    const { session_id, messages, records, bytes } = writtenStep(step);
    const written = this.#written.get(session_id) ?? NOTHING_WRITTEN;
    this.#written.set(session_id, {
      messages: written.messages + messages,
      records: written.records + records,
      bytes: written.bytes + bytes,
    });
    this.#metrics.committed({ session_id, messages, records, bytes });
    this.#view?.wrote({ session_id, messages, records, bytes });
  }

  planned(files: readonly Planned[]): void {
    const now = this.#clock.now().getTime();
    this.#catchUp = { total: files.length, started: now, done: 0, told: now };
    this.#view?.planned(files);
    if (files.length > 0) this.#logger.info({ files: files.length }, `${plural(files.length, "transcript")} to read`);
  }

  synced(report: SessionReport, lagMs: number | null): void {
    const { sessionId, path, status, events } = report;
    const { messages, records, bytes } = this.#written.get(sessionId) ?? NOTHING_WRITTEN;
    this.#written.delete(sessionId);
    this.#metrics.reported(report);
    this.#noteCatchUp(sessionId);
    if (status === "unchanged" || status === "forgotten") return;
    const wrote = messages + records + bytes + Object.values(events).reduce((sum, count) => sum + count, 0) > 0;
    const fields = {
      session: sessionId,
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
    if (quietly) this.#logger.debug({ ...fields, path }, describe(report, messages));
    else this.#logger.info(fields, describe(report, messages));
    if (status === "settled" && !wrote) return;
    this.#changes.push({ time: this.#clock.now(), session_id: sessionId, status, messages, records, bytes, events });
    if (this.#changes.length > MAX_CHANGES) this.#changes.shift();
  }

  failed({ path, sessionId }: { path: string; sessionId: string | null }, error: Error, nextMs: number | null): void {
    this.#metrics.failed(error instanceof RiffError ? error.code : null);
    if (nextMs !== null) this.#metrics.retried();
    const fields = { path, ...(sessionId === null ? {} : { session: sessionId }), error };
    if (nextMs === null) this.#logger.error(fields, "could not be read, and is set aside until it changes");
    else {
      const tried = { ...fields, next_ms: Math.round(nextMs) };
      this.#troubles.failed(path, tried, "could not be read, and is tried again");
    }
    if (!(error instanceof RiffError)) this.#logger.debug({ path, stack: error.stack }, "where it failed");
    if (nextMs === null) this.#noteCatchUp(sessionId ?? path);
  }

  recovered(path: string): void {
    this.#troubles.recovered(path, { path }, "can be read again");
  }

  caughtUp(): void {
    this.#view?.done();
    this.#isCaughtUp = true;
    const seconds = (this.#clock.now().getTime() - (this.#catchUp?.started ?? 0)) / 1000;
    const { total = 0 } = this.#catchUp ?? {};
    this.#logger.info(
      { files: total, seconds },
      total === 0 ? "up to date" : `caught up with ${plural(total, "transcript")} in ${seconds.toFixed(1)} s`,
    );
    this.#catchUp = null;
    this.#onCaughtUp();
  }

  fatal(error: Error): void {
    this.#view?.done();
    this.#onFatal(error);
  }

  #noteCatchUp(sessionId: string): void {
    if (this.#catchUp === null) return;
    this.#catchUp.done++;
    this.#view?.ended(sessionId);
    const now = this.#clock.now().getTime();
    if (this.#view !== null || now - this.#catchUp.told < PROGRESS_MS) return;
    this.#catchUp.told = now;
    const { done, total } = this.#catchUp;
    this.#logger.info({ done, files: total }, `read ${done} of ${plural(total, "transcript")}`);
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
  for (const [type, count] of Object.entries(nonZero(events)))
    if (type !== "message_added") parts.push(`${count} ${type}`);
  const what = parts.filter(Boolean).join(", ");
  return what === "" ? WORDS[status] : `${WORDS[status]}: ${what}`;
}

function nonZero(events: Readonly<Record<EventType, number>>): Partial<Record<EventType, number>> {
  return Object.fromEntries(Object.entries(events).filter(([, count]) => count > 0));
}

function plural(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}
