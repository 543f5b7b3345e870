// Waiting until a service's daemon is ready, or has turned out not to come up.
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Settings } from "../config/config.ts";
import { ControlClient } from "../control/client.ts";
import type { Readiness } from "../control/protocol.ts";
import { socketPath } from "../control/socket-path.ts";
import { EXIT_CODES, RiffError } from "../errors.ts";
import { type ServiceManager, type ServiceStatus, serviceFailed } from "../service/manager.ts";
import { formatCount, type Output } from "./output.ts";
import type { Scope } from "./service-place.ts";

export interface WaitOptions extends Scope {
  /** How long readiness is waited for: seconds, as typed; 0: not at all. */
  readonly timeout: string;
}

/** Milliseconds. Throws RIFF_USAGE. */
export function parseTimeout(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== "" && Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  throw new RiffError("RIFF_USAGE", `--timeout ${JSON.stringify(text)} is no number of seconds.`, "Give one like 60.");
}

interface Patience {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** What the manager told right before it was to start the daemon. */
  readonly before: ServiceStatus;
}

/**
 * Waits until the daemon is ready, and says so; also that it runs and is not ready yet. Does not wait where no time is given
 * to it. Throws as `notReady` does.
 */
export async function tellReadiness(
  manager: ServiceManager,
  { stateDir, daemon }: Settings,
  { scope, ...patience }: Patience & { readonly scope: Scope },
  output: Output,
): Promise<void> {
  if (patience.timeoutMs === 0) {
    output.line("✓ starting; `riffd service status` tells how it goes on");
    return;
  }
  const client = scope.system ? null : new ControlClient(socketPath(stateDir, daemon.socket));
  output.note("Waiting until it is ready …");
  const started = performance.now();
  const reasons = await notReady(manager, client, patience);
  if (reasons !== null) {
    output.line(`✓ running, and not ready yet: ${reasons.join(" ") || "it has not said so."}`);
    output.note("`riffd status --watch` tells how far it is.");
    return;
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const known = client === null ? "" : `: ${formatCount((await client.status()).pipeline.files)} transcripts`;
  output.line(`✓ ready${known} · ${seconds} s`);
}

const LOOK_MS = 200;
/** A manager that was asked to start it may have other things to do first. */
const BEGIN_MS = 10_000;

/**
 * `client` null: it is another user's, so only the service manager is asked. null: it is ready; else why it is not yet when
 * the time is up, though it runs. Throws RIFF_SERVICE_FAILED where it ended, was never started, or has said nothing at all,
 * and RIFF_INTERRUPTED.
 */
async function notReady(
  manager: ServiceManager,
  client: ControlClient | null,
  { timeoutMs, signal, before }: Patience,
): Promise<readonly string[] | null> {
  const deadline = performance.now() + timeoutMs;
  await hasBegun(manager, { timeoutMs: Math.min(timeoutMs, BEGIN_MS), signal, before });
  for (;;) {
    const status = await manager.status();
    if (hasEnded(status)) throw ended(status);
    const told = client === null ? { ready: status.state === "running", reasons: [] } : await readinessOf(client);
    if (told?.ready) return null;
    if (performance.now() >= deadline) {
      if (told === null) throw silent(timeoutMs);
      return told.reasons;
    }
    await pause(signal);
  }
}

function hasEnded({ state }: ServiceStatus): boolean {
  return state === "failed" || state === "waiting" || state === "stopped";
}

/** Waits until the manager tells of a start: that it runs, or anything but what it told before. Throws as `notReady` does. */
async function hasBegun(manager: ServiceManager, { timeoutMs, signal, before }: Patience): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const status = await manager.status();
    if (!hasEnded(status) || !isDeepStrictEqual(status, before)) return;
    if (performance.now() >= deadline) throw notStarted(status, timeoutMs);
    await pause(signal);
  }
}

/** Throws RIFF_INTERRUPTED. */
async function pause(signal: AbortSignal): Promise<void> {
  await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
  if (signal.aborted) throw notWaited();
}

/** null: it does not answer. */
async function readinessOf(client: ControlClient): Promise<Readiness | null> {
  try {
    return await client.readiness();
  } catch (thrown) {
    if (thrown instanceof RiffError && thrown.code.startsWith("RIFF_DAEMON_")) return null;
    throw thrown;
  }
}

function ended({ exitCode, state }: ServiceStatus): RiffError {
  const again = state === "waiting" ? " It is started again and again." : "";
  return serviceFailed(
    `The daemon was started, and ended${exitCode === null ? "" : ` with ${exitCodeInWords(exitCode)}`}.${again}`,
    "`riffd service logs` tells why; docs/errors.md what to do.",
  );
}

function notStarted({ exitCode }: ServiceStatus, waitedMs: number): RiffError {
  const last = exitCode === null ? "" : ` The last time it ended with ${exitCodeInWords(exitCode)}.`;
  return serviceFailed(
    `The daemon was to be started, and no start of it was seen within ${waitedMs / 1000} s.${last}`,
    "`riffd service status` tells whether it runs by now; `riffd service logs` what keeps it.",
  );
}

/** What systemd ends with where it cannot run a program at all. */
const OF_SYSTEMD: Readonly<Record<number, string>> = {
  203: "Node.js or riffd is not where the service's file says; `riffd service install` names them anew",
  217: "there is no such user here",
  226: "its sandbox cannot be made here; remove the drop-in",
  228: "its filter of system calls cannot be made here",
};

/** "exit code 21 (RIFF_DISK_FULL)". */
export function exitCodeInWords(exitCode: number): string {
  const [code] = Object.entries(EXIT_CODES).find(([, number]) => number === exitCode) ?? [];
  const meaning = code ?? OF_SYSTEMD[exitCode];
  return `exit code ${exitCode}${meaning === undefined ? "" : ` (${meaning})`}`;
}

function silent(timeoutMs: number): RiffError {
  return serviceFailed(
    `The daemon was started, and has not answered within ${timeoutMs / 1000} s.`,
    "`riffd service logs` tells what it does; `riffd status` asks it again.",
  );
}

function notWaited(): RiffError {
  return new RiffError(
    "RIFF_INTERRUPTED",
    "Interrupted. The service goes on starting.",
    "`riffd service status` tells whether it runs.",
  );
}
