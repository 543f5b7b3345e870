// What a command of riffd's is run with, and how it ends.
import type { Output } from "../commands/output.ts";
import type { Signals } from "../runtime/signals.ts";

export interface Run {
  readonly version: string;
  readonly output: Output;
  readonly signals: Signals;
  /** Aborted: stop after the step in flight. */
  readonly interrupt: AbortSignal;
  /** Each command leaves its own. */
  exitCode: number;
}
