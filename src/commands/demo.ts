// riffd demo: what riffd does, shown with the real daemon on example sessions, in a folder that is removed in the end.
import { setTimeout as sleep } from "node:timers/promises";
import { ACTS } from "../demo/acts.ts";
import type { ActName, DemoFacts, Wrong } from "../demo/facts.ts";
import { removeLeftovers } from "../demo/leftovers.ts";
import { Scratch } from "../demo/scratch.ts";
import { Stage } from "../demo/stage.ts";
import { RiffError } from "../errors.ts";
import type { Signals } from "../runtime/signals.ts";
import { closingLines, keptLines, openingLines, TEXTS, wrongLines } from "./demo-text.ts";
import type { Output } from "./output.ts";
import { programCommand } from "./shell.ts";
import { type Style, styleFor } from "./style.ts";

export interface DemoOptions {
  readonly keep: boolean;
  /** Without the pauses that let people follow. */
  readonly fast: boolean;
  readonly json: boolean;
}

/** Between two lines of a transcript, and between two acts. */
const LINE_MS = 60;
const ACT_MS = 300;

/** The exit code where something in the store is not what it must be. */
const IS_WRONG = 1;

/** Runs the command; returns its exit code. Throws RiffError. Nothing of it is left, however it ends; after kill -9 the next does it. */
export async function demoCommand(options: DemoOptions, output: Output, signals: Signals): Promise<number> {
  const program = programCommand(process.env, process.cwd());
  removeLeftovers();
  const scratch = new Scratch(process.env, options.keep);
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  const giveBack = signals.takeOver({ drain: interrupt, abort: () => {}, reload: async () => interrupt() });
  let stage: Stage | null = null;
  // Also where the process is ended at once, by a second Ctrl-C.
  const cleanUp = () => {
    stage?.killAll();
    if (!options.keep) scratch.remove();
  };
  process.on("exit", cleanUp);
  try {
    stage = new Stage(scratch, options.fast ? 0 : LINE_MS, interrupted.signal);
    const show = new Show(stage, options, output, interrupted.signal);
    return await show.play(scratch.folder, program);
  } catch (thrown) {
    throw interrupted.signal.aborted ? INTERRUPTED : thrown;
  } finally {
    await stage?.close();
    cleanUp();
    process.off("exit", cleanUp);
    giveBack();
    if (options.keep && !options.json) {
      for (const line of keptLines(scratch.folder, program)) output.note(line);
    }
  }
}

const INTERRUPTED = new RiffError(
  "RIFF_INTERRUPTED",
  "Interrupted. The demo has ended what it had started.",
  "Run it again: it begins anew.",
);

class Show {
  readonly #stage: Stage;
  readonly #options: DemoOptions;
  readonly #output: Output;
  readonly #signal: AbortSignal;
  readonly #style: Style = styleFor(process.stdout, process.env);
  readonly #facts: { [Name in ActName]?: DemoFacts[Name] } = {};

  constructor(stage: Stage, options: DemoOptions, output: Output, signal: AbortSignal) {
    this.#stage = stage;
    this.#options = options;
    this.#output = output;
    this.#signal = signal;
  }

  /** All acts, up to one where something is wrong. Returns the exit code. */
  async play(folder: string, program: string): Promise<number> {
    const { keep, json } = this.#options;
    const started = performance.now();
    this.#tell(openingLines(folder, keep, this.#style));
    let wrong: readonly Wrong[] = [];
    for (const name of Object.keys(ACTS) as ActName[]) {
      wrong = await this.#act(name);
      if (wrong.length > 0) break;
      await this.#pause();
    }
    const ok = wrong.length === 0;
    if (ok) this.#tell(closingLines(program, this.#style));
    if (json) {
      const duration_ms = Math.round(performance.now() - started);
      this.#output.line(JSON.stringify({ ok, wrong, ...this.#facts, duration_ms, kept: keep ? folder : null }));
    }
    return ok ? 0 : IS_WRONG;
  }

  async #act<Name extends ActName>(name: Name): Promise<readonly Wrong[]> {
    const text = TEXTS[name];
    this.#tell(text.before(this.#style));
    const { facts, wrong } = await ACTS[name](this.#stage);
    this.#facts[name] = facts;
    this.#tell(wrong.length === 0 ? text.after(facts, this.#style) : wrongLines(wrong, this.#style));
    return wrong;
  }

  #tell(lines: readonly string[]): void {
    if (!this.#options.json) for (const line of lines) this.#output.line(line);
  }

  async #pause(): Promise<void> {
    if (!this.#options.fast) await sleep(ACT_MS, undefined, { signal: this.#signal }).catch(() => {}); // the next act says so
  }
}
