// How far a pass is, on a terminal: sessions, messages, rate and time left. Draws nothing for a pass that is over soon.
import { Presets, SingleBar } from "cli-progress";
import type { WrittenStep } from "../control/protocol.ts";
import { formatCount, plural } from "./output.ts";
import type { PlannedTarget } from "./sync-pass.ts";

/** A pass that is shorter than this shows no bar. */
const PATIENCE_MS = 400;
/** What a session costs beside its bytes, in bytes. */
const SESSION_COST = 4096;
/** Columns that the words beside the bar may take. */
const WORDS = 62;

/** Work that is planned and done, counted in bytes, as sessions are of any size. */
export class Workload {
  readonly #left = new Map<string, number>();
  #total = 0;
  #done = 0;
  #sessions = 0;
  messages = 0;

  /** `sizeOf` a path: the bytes of its file. Bytes that are archived are not read again, or soon. */
  constructor(planned: readonly PlannedTarget[], sizeOf: (path: string) => number) {
    for (const { path, sessionId, archived } of planned) {
      const work = SESSION_COST + Math.max(0, sizeOf(path) - (archived ?? 0));
      this.#left.set(sessionId, work);
      this.#total += work;
    }
  }

  get sessions(): number {
    return this.#left.size;
  }

  get sessionsDone(): number {
    return this.#sessions;
  }

  /** Between 0 and 1. */
  get share(): number {
    return this.#total === 0 ? 1 : this.#done / this.#total;
  }

  wrote({ session_id, messages, bytes }: WrittenStep): void {
    this.messages += messages;
    const left = this.#left.get(session_id) ?? 0;
    // The last bit of a session is done when its job ends; a rewrite may take more than was planned.
    this.#take(session_id, Math.min(bytes, Math.max(0, left - SESSION_COST)));
  }

  ended(sessionId: string): void {
    this.#sessions++;
    this.#take(sessionId, this.#left.get(sessionId) ?? 0);
  }

  #take(sessionId: string, work: number): void {
    this.#left.set(sessionId, (this.#left.get(sessionId) ?? 0) - work);
    this.#done += work;
  }

  /** What the rest takes at the pace so far; null as long as there is none. */
  millisecondsLeft(elapsed: number): number | null {
    return this.share === 0 ? null : (elapsed / this.share) * (1 - this.share);
  }
}

/** The bar of one pass. */
export class Progress {
  readonly #stream: NodeJS.WriteStream | null;
  #work: Workload | null = null;
  #bar: SingleBar | null = null;
  #started = 0;

  /** null: nobody is to see it. */
  constructor(stream: NodeJS.WriteStream | null) {
    this.#stream = stream;
  }

  start(work: Workload): void {
    this.#work = work;
    this.#started = performance.now();
  }

  wrote(step: WrittenStep): void {
    this.#work?.wrote(step);
    this.#draw();
  }

  ended(sessionId: string): void {
    this.#work?.ended(sessionId);
    this.#draw();
  }

  /** Takes the bar away until there is progress again. */
  stepAside(): void {
    this.#bar?.stop();
    this.#bar = null;
  }

  /** Takes the bar away for good. May be called again. */
  stop(): void {
    this.stepAside();
    this.#work = null;
  }

  #draw(): void {
    const elapsed = performance.now() - this.#started;
    if (this.#stream === null || this.#work === null || elapsed < PATIENCE_MS) return;
    const words = { words: wordsOf(this.#work, elapsed) };
    if (this.#bar === null) {
      this.#bar = newBar(this.#stream);
      this.#bar.start(1, 0, words);
    }
    this.#bar.update(this.#work.share, words);
  }
}

function newBar(stream: NodeJS.WriteStream): SingleBar {
  return new SingleBar(
    {
      format: "{bar} {words}",
      barsize: Math.min(30, Math.max(6, (stream.columns ?? 80) - WORDS)),
      hideCursor: true,
      clearOnComplete: true,
      stream,
    },
    Presets.shades_classic,
  );
}

function wordsOf(work: Workload, elapsed: number): string {
  const left = work.millisecondsLeft(elapsed);
  return [
    `${formatCount(work.sessionsDone)}/${plural(work.sessions, "session")}`,
    plural(work.messages, "message"),
    `${formatCount(Math.round((work.messages * 1000) / elapsed))}/s`,
    ...(left === null ? [] : [`${formatDuration(left)} left`]),
  ].join(" · ");
}

/** "8 s", "3 min", "2 h 5 min". */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
