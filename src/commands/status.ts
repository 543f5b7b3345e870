// riffd status: what the daemon does, once or anew every second.
import { setTimeout as sleep } from "node:timers/promises";
import { answered, findDaemon } from "./daemon.ts";
import type { Output } from "./output.ts";
import { statusLines } from "./status-text.ts";
import { styleFor } from "./style.ts";

export interface StatusOptions {
  readonly watch: boolean;
  readonly json: boolean;
}

const REDRAW_MS = 1_000;
/** Where the output is no terminal, or one that does not know its size. */
const USUAL = { columns: 80, rows: 24 };

/** Runs the command; with `watch` until `signal` is aborted. Returns its exit code. Throws RiffError. */
export async function statusCommand(options: StatusOptions, output: Output, signal: AbortSignal): Promise<number> {
  const daemon = findDaemon();
  const screen = new Screen(process.stdout, output);
  const style = styleFor(process.stdout, process.env);
  for (;;) {
    const status = await answered(daemon, (client) => client.status());
    if (options.json) output.line(JSON.stringify(status));
    else screen.show(statusLines(status, new Date(), style, process.stdout.columns || USUAL.columns), options.watch);
    if (!options.watch) return 0;
    await sleep(REDRAW_MS, undefined, { signal }).catch(() => {}); // that it ends is told below
    if (signal.aborted) return 0;
  }
}

/** Draws over what it drew before, where it is a terminal. */
class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #output: Output;
  #height = 0;

  constructor(stream: NodeJS.WriteStream, output: Output) {
    this.#stream = stream;
    this.#output = output;
  }

  show(lines: readonly string[], again: boolean): void {
    if (!again || !this.#stream.isTTY) {
      for (const line of lines) this.#output.line(line);
      return;
    }
    // What has left the screen at its top cannot be drawn over.
    const shown = lines.slice(0, Math.max(1, (this.#stream.rows || USUAL.rows) - 1));
    const back = this.#height === 0 ? "" : `\x1b[${this.#height}A`;
    this.#stream.write(`${back}\r\x1b[0J${shown.join("\n")}\n`);
    this.#height = shown.length;
  }
}
