// What the process does when it is asked to end, or to read its configuration again. One command at a time decides.
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";

/** SIGHUP asks to end where the terminal has gone that the process writes to. */
export type EndSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

export interface SignalPlan {
  /** The first signal to end, told once: to finish what is in work, and end. */
  drain(signal: EndSignal): void;
  /** The second. The process ends when this returns, with 128 and the signal's number (130, 143). */
  abort(signal: EndSignal): void;
  /**
   * SIGHUP; without it, a SIGHUP ends the process as the system does. Is not called while a call of it goes on (signals that
   * come meanwhile are one call more), nor after `drain`. Should not reject: that is a bug, and ends the process as one.
   */
  reload?(): Promise<void>;
}

export class Signals {
  readonly #exit: (code: number) => void;
  #plan: SignalPlan;
  #asked: EndSignal | null = null;
  #reloading = false;
  #reloadIsDue = false;
  #isOnTerminal = false;

  /** Follows `plan` unless a command takes over. `exit` ends the process. */
  constructor(plan: SignalPlan, exit: (code: number) => void) {
    this.#plan = plan;
    this.#exit = exit;
  }

  /** Listens from now on, for the life of the process. */
  start(): void {
    this.#isOnTerminal = process.stdout.isTTY === true;
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => this.#end(signal));
  }

  /** Follows this plan from now on, and drains at once where that was asked before. Returns what gives back. */
  takeOver(plan: SignalPlan): () => void {
    const before = this.#plan;
    this.#plan = plan;
    const reload = () => this.#reload(plan);
    if (plan.reload !== undefined) process.on("SIGHUP", reload);
    if (this.#asked !== null) plan.drain(this.#asked);
    return () => {
      process.off("SIGHUP", reload);
      this.#plan = before;
    };
  }

  #end(signal: EndSignal): void {
    if (this.#asked === null) {
      this.#asked = signal;
      this.#plan.drain(signal);
      return;
    }
    this.#plan.abort(signal);
    this.#exit(128 + constants.signals[signal]);
  }

  #reload(plan: SignalPlan): void {
    if (this.#isOnTerminal && !hasTerminal()) {
      this.#end("SIGHUP");
    } else if (this.#asked === null) {
      this.#reloadIsDue = true;
      if (!this.#reloading) void this.#reloadWhileDue(plan);
    }
  }

  async #reloadWhileDue(plan: SignalPlan): Promise<void> {
    this.#reloading = true;
    try {
      while (this.#reloadIsDue && this.#asked === null) {
        this.#reloadIsDue = false;
        await plan.reload?.();
      }
    } finally {
      this.#reloading = false;
    }
  }
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
