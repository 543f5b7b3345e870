// riffd stop: has the daemon finish what it has begun, and waits until it is gone.
import { setTimeout as sleep } from "node:timers/promises";
import { Overdue } from "../control/exchange.ts";
import { readLock } from "../control/instance-lock.ts";
import { isDaemonRunning } from "../control/probe.ts";
import { birthOf } from "../control/process-birth.ts";
import { RiffError } from "../errors.ts";
import { answered, type Daemon, findDaemon, killHint } from "./daemon.ts";
import type { Output } from "./output.ts";

export interface StopOptions {
  /** Seconds, as typed. */
  readonly timeout: string;
  readonly json: boolean;
}

const LOOK_MS = 50;
/** How long the daemon may take to say that it was told. */
const ANSWER_MS = { least: 1_000, most: 10_000 };

/** Runs the command; returns its exit code. Throws RiffError. */
export async function stopCommand(options: StopOptions, output: Output, signal: AbortSignal): Promise<number> {
  const timeoutMs = parseTimeout(options.timeout);
  const started = performance.now();
  const answerMs = Math.min(ANSWER_MS.most, Math.max(ANSWER_MS.least, timeoutMs));
  const daemon = findDaemon({ answerMs });
  const running = lookAt(daemon);
  await answered(daemon, (client) => client.stop(), askedInVain);
  if (!options.json) output.note("Stopping …");
  while (!(await running.hasGone())) {
    if (signal.aborted) throw notWaited();
    if (performance.now() - started >= timeoutMs) throw stillRunning(running.pid, timeoutMs);
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {}); // told above
  }
  const duration_ms = Math.round(performance.now() - started);
  if (options.json) output.line(JSON.stringify({ stopped: true, pid: running.pid, duration_ms }));
  else output.line(`✓ The daemon has stopped · ${(duration_ms / 1000).toFixed(1)} s`);
  return 0;
}

interface Running {
  /** null: it is not known, as where the daemon is in another container. */
  readonly pid: number | null;
  /** An embedded store is free for others once the process has ended. */
  hasGone(): Promise<boolean>;
}

function lookAt({ stateDir, socket }: Daemon): Running {
  const pid = readLock(stateDir)?.pid ?? null;
  if (pid === null) return { pid, hasGone: async () => !(await isDaemonRunning(socket)) };
  const birth = birthOf(pid);
  return { pid, hasGone: async () => birthOf(pid) !== birth };
}

/** Milliseconds. Throws RIFF_USAGE. */
function parseTimeout(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== "" && Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  throw new RiffError("RIFF_USAGE", `--timeout ${JSON.stringify(text)} is no number of seconds.`, "Give one like 60.");
}

/** What was sent is there for it to read, however late. */
function askedInVain(error: RiffError, pid: number): RiffError {
  if (!(error.cause instanceof Overdue)) return error;
  const message = `${error.message} It was asked to stop, and will when it goes on.`;
  return new RiffError(error.code, message, killHint(pid), error.cause);
}

function stillRunning(pid: number | null, timeoutMs: number): RiffError {
  const which = pid === null ? "The daemon" : `The daemon (process ${pid})`;
  return new RiffError(
    "RIFF_DAEMON_UNRESPONSIVE",
    `${which} has not ended within ${timeoutMs / 1000} s.`,
    `\`riffd status\` tells what it still does.${pid === null ? "" : ` ${killHint(pid)}`}`,
  );
}

function notWaited(): RiffError {
  return new RiffError(
    "RIFF_INTERRUPTED",
    "Interrupted. The daemon goes on stopping.",
    "`riffd status` tells whether it still runs.",
  );
}
