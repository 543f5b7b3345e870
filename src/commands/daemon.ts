// The daemon of this state folder, for the commands that ask it something.
import { resolveSettings } from "../config/config.ts";
import { ControlClient } from "../control/client.ts";
import { readLock } from "../control/instance-lock.ts";
import { socketPath } from "../control/socket-path.ts";
import { RiffError } from "../errors.ts";

export interface Daemon {
  readonly stateDir: string;
  readonly socket: string;
  readonly client: ControlClient;
}

/** Where it is, whether it runs or not. Throws RIFF_CONFIG_INVALID. */
export function findDaemon(): Daemon {
  const { stateDir, daemon } = resolveSettings({}, process.env);
  const socket = socketPath(stateDir, daemon.socket);
  return { stateDir, socket, client: new ControlClient(socket) };
}

/**
 * What it answers. Throws RIFF_DAEMON_NOT_RUNNING where there is none, and RIFF_DAEMON_UNRESPONSIVE with its process where
 * one has the lock and does not answer.
 */
export async function answered<T>(
  { stateDir, client }: Daemon,
  ask: (client: ControlClient) => Promise<T>,
): Promise<T> {
  try {
    return await ask(client);
  } catch (thrown) {
    if (!(thrown instanceof RiffError) || !/^RIFF_DAEMON_/.test(thrown.code)) throw thrown;
    const holder = readLock(stateDir);
    if (holder !== null) throw silent(holder.pid, holder.since, thrown);
    throw thrown.code === "RIFF_DAEMON_NOT_RUNNING" ? notRunning(stateDir, thrown) : thrown;
  }
}

function notRunning(stateDir: string, cause: Error): RiffError {
  return new RiffError(
    "RIFF_DAEMON_NOT_RUNNING",
    `No daemon is running for ${stateDir}.`,
    "Start it with `riffd start`.",
    cause,
  );
}

function silent(pid: number, since: Date, cause: Error): RiffError {
  return new RiffError(
    "RIFF_DAEMON_UNRESPONSIVE",
    `The daemon is there (process ${pid}, since ${since.toISOString()}), but does not answer: ${cause.message}`,
    `It may be starting or ending: ask again in a moment. If it stays so, look at its log and end it with \`kill ${pid}\`; what was committed is safe.`,
    cause,
  );
}
