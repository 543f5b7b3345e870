// riffd service start | stop | restart | status | logs: the installed service.
import type { Settings } from "../config/config.ts";
import { EXIT_CODES, RiffError } from "../errors.ts";
import type { ServiceManager } from "../service/manager.ts";
import type { Output } from "./output.ts";
import { isCurrent } from "./service-facts.ts";
import { installedAt, type Place, refuseOther, type Scope, serviceManager, thisPlace } from "./service-place.ts";
import { planAgain } from "./service-plan.ts";
import { parseTimeout, tellReadiness, type WaitOptions } from "./service-readiness.ts";
import { statusLines } from "./service-status.ts";
import { wantsColour } from "./style.ts";

/** Starts the installed service, and waits until it is ready. Returns the exit code. Throws RiffError. */
export async function serviceStart(
  options: WaitOptions,
  output: Output,
  signal: AbortSignal,
  place: Place = thisPlace(),
): Promise<number> {
  const { manager, settings, timeoutMs } = await readyToStart(options, place);
  const before = await manager.start();
  await tellReadiness(manager, settings, { scope: options, timeoutMs, signal, before }, output);
  return 0;
}

interface Start {
  readonly manager: ServiceManager;
  readonly settings: Settings;
  readonly timeoutMs: number;
}

/** All that is known before it starts to keep it from starting is thrown here. Changes nothing. Throws RiffError. */
async function readyToStart(options: WaitOptions, place: Place): Promise<Start> {
  const timeoutMs = parseTimeout(options.timeout);
  const manager = serviceManager(place, options);
  const { settings } = planAgain(place, await installedAt(manager));
  if (!options.system) await refuseOther(manager, settings);
  return { manager, settings, timeoutMs };
}

/** Has the daemon finish what it has begun, and end. Returns the exit code. Throws RiffError. */
export async function serviceStop(scope: Scope, output: Output, place: Place = thisPlace()): Promise<number> {
  const manager = serviceManager(place, scope);
  await installedAt(manager);
  await manager.stop();
  output.line("✓ stopped; it starts again with the next session, or with `riffd service start`");
  return 0;
}

/** Both, one after the other; where it could not start again, it is not stopped. */
export async function serviceRestart(
  options: WaitOptions,
  output: Output,
  signal: AbortSignal,
  place: Place = thisPlace(),
): Promise<number> {
  const { manager } = await readyToStart(options, place);
  await manager.stop();
  return serviceStart(options, output, signal, place);
}

export interface StatusOptions extends Scope {
  readonly json: boolean;
}

/** Tells how the service is. Returns 0 where its daemon is up, else the exit code of RIFF_DAEMON_NOT_RUNNING. */
export async function serviceStatus(
  options: StatusOptions,
  output: Output,
  place: Place = thisPlace(),
): Promise<number> {
  const manager = serviceManager(place, options);
  const installed = await installedAt(manager);
  const [status, lingers, file] = [await manager.status(), await manager.lingers(), await manager.file()];
  const current = await isCurrent(manager, place, installed);
  if (options.json) {
    const { state, pid, exitCode: exit_code, restarts, isEnabled: enabled } = status;
    output.line(JSON.stringify({ state, pid, exit_code, restarts, enabled, lingers, file, current }));
  } else for (const line of statusLines({ ...status, lingers, file, isCurrent: current })) output.line(line);
  return status.state === "running" ? 0 : EXIT_CODES.RIFF_DAEMON_NOT_RUNNING;
}

export interface LogsOptions extends Scope {
  readonly follow: boolean;
  /** As typed. */
  readonly lines: string;
}

/**
 * Shows what the service's daemon has logged: on a terminal as lines for people, else as it was logged. Returns the exit
 * code. Throws RiffError.
 */
export async function serviceLogs(
  { follow, lines, ...scope }: LogsOptions,
  output: Output,
  signal: AbortSignal,
  place: Place = thisPlace(),
  stdout: { readonly isTTY?: boolean } = process.stdout,
): Promise<number> {
  if (!/^\d{1,7}$/.test(lines)) {
    throw new RiffError("RIFF_USAGE", `--lines ${JSON.stringify(lines)} is no number of lines.`, "Give one like 100.");
  }
  const manager = serviceManager(place, scope);
  await installedAt(manager);
  const onLine = stdout.isTTY ? await linesForPeople(output, wantsColour(stdout, place.env)) : null;
  const code = await manager.logs({ follow, lines: Number(lines), onLine }, signal);
  return signal.aborted ? 0 : code;
}

/** What is no line of the daemon's log is shown as it is. */
async function linesForPeople(output: Output, colour: boolean): Promise<(line: string) => void> {
  const { prettyLines } = await import("../runtime/pretty.ts");
  const pretty = prettyLines(colour);
  return (line) => output.line(line.startsWith("{") ? pretty(line).trimEnd() : line);
}
