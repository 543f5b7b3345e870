// The daemon of this state folder, for the commands that ask it something.
import { resolveSettings } from "../config/config.ts";
import { type ClientOptions, ControlClient } from "../control/client.ts";
import { type Holder, readLock } from "../control/instance-lock.ts";
import { socketPath } from "../control/socket-path.ts";
import { RiffError } from "../errors.ts";

export interface Daemon {
  readonly stateDir: string;
  readonly socket: string;
  readonly client: ControlClient;
}

/** Where it is, whether it runs or not. Throws RIFF_CONFIG_INVALID. */
export function findDaemon(options: ClientOptions = {}): Daemon {
  const { stateDir, daemon } = resolveSettings({}, process.env);
  const socket = socketPath(stateDir, daemon.socket);
  return { stateDir, socket, client: new ControlClient(socket, options) };
}

/**
 * What it answers. Throws RIFF_DAEMON_NOT_RUNNING where there is none, and RIFF_DAEMON_UNRESPONSIVE with its process where
 * one has the lock and does not answer; `inVain` adds what that means for what was asked.
 */
export async function answered<T>(
  { stateDir, client }: Daemon,
  ask: (client: ControlClient) => Promise<T>,
  inVain: (error: RiffError, pid: number) => RiffError = (error) => error,
): Promise<T> {
  try {
    return await ask(client);
  } catch (thrown) {
    if (!(thrown instanceof RiffError) || !/^RIFF_DAEMON_/.test(thrown.code)) throw thrown;
    const holder = readLock(stateDir);
    const isAbsent = thrown.code === "RIFF_DAEMON_NOT_RUNNING";
    if (holder === null) throw isAbsent ? notRunning(stateDir, thrown) : thrown;
    throw isAbsent ? deaf(holder, thrown) : inVain(silent(holder, thrown), holder.pid);
  }
}

/** What ends a daemon that cannot end itself. */
export function killHint(pid: number): string {
  return `To end it at once, \`kill -9 ${pid}\`: what was committed is safe.`;
}

function notRunning(stateDir: string, cause: Error): RiffError {
  return new RiffError(
    "RIFF_DAEMON_NOT_RUNNING",
    `No daemon is running for ${stateDir}.`,
    "Start it with `riffd start`.",
    cause,
  );
}

function silent({ pid, since }: Holder, error: RiffError): RiffError {
  return new RiffError(
    "RIFF_DAEMON_UNRESPONSIVE",
    error.message.replace(/^The daemon/, `The daemon (process ${pid}, since ${since.toISOString()})`),
    `Ask again in a moment. If it stays so, look at its log. ${killHint(pid)}`,
    error.cause,
  );
}

function deaf({ pid, since }: Holder, error: RiffError): RiffError {
  return new RiffError(
    "RIFF_DAEMON_UNRESPONSIVE",
    `The daemon is there (process ${pid}, since ${since.toISOString()}), but cannot be asked: ${error.message}`,
    `It may be starting or ending: ask again in a moment. If it stays so, look at its log. ${killHint(pid)}`,
    error,
  );
}
