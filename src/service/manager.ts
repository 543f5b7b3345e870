// What riffd wants of a service manager; systemd and launchd each have theirs.
import { RiffError } from "../errors.ts";
import type { Program } from "./program.ts";

/**
 * `running`: it has said that it is up (under launchd: the process is there) · `starting` · `stopping` · `waiting`: it
 * ended, and is started again after a while · `failed`: it ended, and is not started again · `stopped`
 */
export type ServiceState = "running" | "starting" | "stopping" | "waiting" | "failed" | "stopped";

export interface ServiceStatus {
  readonly state: ServiceState;
  readonly pid: number | null;
  /** Of its last end; null: it has not ended yet, or was killed. */
  readonly exitCode: number | null;
  /** How often it was started again after a failure; null: the manager does not count. */
  readonly restarts: number | null;
  /** Whether it is started with the session, or with the machine. */
  readonly isEnabled: boolean;
}

/** A service that is in a file. */
export interface Installed {
  readonly text: string;
  /** What it runs, word by word. */
  readonly command: readonly string[];
  /** Whom a service of the system runs as. */
  readonly user: string | null;
  /** The variables that it is given. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Its methods throw RIFF_SERVICE_FAILED where the manager cannot be reached or refuses. */
export interface ServiceManager {
  /** Where the service's file is, or is to be. */
  file(): Promise<string>;
  /** null: there is none. */
  installed(): Promise<Installed | null>;
  /** What `install` writes. */
  text(program: Program): Promise<string>;
  /** Stops what is there, writes the file, and has it started now and with the session. Otherwise as `start`. */
  install(program: Program): Promise<ServiceStatus>;
  /** Stops it and removes the file. Resolves when the daemon has ended. */
  uninstall(): Promise<void>;
  /** Does not wait until it is up. Returns what was told of it right before: as long as that is told, nothing has begun. */
  start(): Promise<ServiceStatus>;
  /** Resolves when the daemon has ended. */
  stop(): Promise<void>;
  status(): Promise<ServiceStatus>;
  /** Whether it goes on when its user logs out; null: it does not depend on that, or cannot be told. */
  lingers(): Promise<boolean | null>;
  /** Shows the last lines of its log, and with `follow` those to come until `signal` is aborted. Returns the exit code. */
  logs(options: LogOptions, signal: AbortSignal): Promise<number>;
}

export interface LogOptions {
  readonly follow: boolean;
  readonly lines: number;
  /** Takes the lines as the daemon wrote them; null: they are shown with what the manager adds. */
  readonly onLine: ((line: string) => void) | null;
}

export function serviceFailed(message: string, hint: string): RiffError {
  return new RiffError("RIFF_SERVICE_FAILED", message, hint);
}
