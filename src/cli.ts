#!/usr/bin/env node
// riffd: argv → command → exit code. The only place that ends the process.
import { readFileSync } from "node:fs";
import { CommanderError } from "commander";
import { createProgram } from "./cli/program.ts";
import type { Run } from "./cli/run.ts";
import { formatError, terminal } from "./commands/output.ts";
import { EXIT_CODES, RiffError, toError } from "./errors.ts";
import { Signals } from "./runtime/signals.ts";

// Whatever riffd and the engine write is for its owner alone, from the moment it is there.
process.umask(0o077);

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

// The first signal asks to stop after the step in flight, the second ends at once: the store survives both. The daemon has
// a plan of its own.
const interrupt = new AbortController();
const signals = new Signals(
  { drain: () => interrupt.abort(), abort: () => process.exit(EXIT_CODES.RIFF_INTERRUPTED) },
  process.exit,
);
signals.start();

// A reader that goes away (`riffd … | head`) is no failure: the work goes on, and nobody is told of it.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

const run: Run = { version, output: terminal, signals, interrupt: interrupt.signal, exitCode: 0 };

try {
  await createProgram(run).parseAsync();
} catch (thrown) {
  const error = toError(thrown);
  if (error instanceof CommanderError) {
    run.exitCode = error.exitCode === 0 ? 0 : EXIT_CODES.RIFF_USAGE;
  } else if (error instanceof RiffError) {
    terminal.note(formatError(error));
    run.exitCode = error.exitCode;
  } else {
    terminal.note(`riffd has failed in a way it does not know. Please report this:\n${error.stack}`);
    run.exitCode = 70;
  }
}
// The embedded engine's threads would keep the process alive; what was written must have gone out before.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))));
process.exit(run.exitCode);
