// What systemd is told of the service: a small edge over `systemd-notify`, since Node.js cannot send datagrams to a Unix
// socket. The unit needs NotifyAccess=all. Without systemd all of it does nothing.
import { execFile } from "node:child_process";
import { toError } from "../errors.ts";
import type { Logger } from "../sync/logger.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Messages go out one after the other, in order, and calls never throw or wait. */
export interface SdNotify {
  /** The service is up, or up again after `reloading`. */
  ready(status: string): void;
  /** One line of what it does, for `systemctl status`. Of several that wait, the latest is sent. */
  status(text: string): void;
  reloading(): void;
  stopping(): void;
  /** Within which time systemd wants to hear of the service again and again; null: it does not. */
  readonly watchdogMs: number | null;
  /** Pings from now on, three times in each interval, but only while `isProgressing`. Returns what ends it. */
  startWatchdog(isProgressing: () => boolean): () => void;
  /** Resolves when all that was said is sent, or could not be. */
  sent(): Promise<void>;
}

export interface SdNotifyOptions {
  readonly logger: Logger;
  readonly pid?: number;
  /** Runs `systemd-notify` with these arguments to its end. */
  send?(args: readonly string[]): Promise<void>;
}

export function createSdNotify(
  env: Environment,
  { logger, pid = process.pid, send = (args) => systemdNotify(args, env) }: SdNotifyOptions,
): SdNotify {
  if (!env.NOTIFY_SOCKET) return SILENT;
  const outbox = new Outbox(send, logger);
  const watchdogMs = watchdogOf(env, pid);
  return {
    watchdogMs,
    ready: (status) => outbox.put(["READY=1", statusOf(status)]),
    status: (text) => outbox.put([statusOf(text)]),
    reloading: () => outbox.put(["RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`]),
    stopping: () => outbox.put(["STOPPING=1"]),
    startWatchdog(isProgressing) {
      if (watchdogMs === null) return () => {};
      const timer = setInterval(() => {
        if (isProgressing()) outbox.put(["WATCHDOG=1"]);
      }, watchdogMs / 3).unref();
      return () => clearInterval(timer);
    },
    sent: () => outbox.empty(),
  };
}

const SILENT: SdNotify = {
  watchdogMs: null,
  ready() {},
  status() {},
  reloading() {},
  stopping() {},
  startWatchdog: () => () => {},
  async sent() {},
};

/** What waits to be sent. Of messages that say the same thing, or a newer status, one is enough, so it stays short. */
class Outbox {
  readonly #send: (args: readonly string[]) => Promise<void>;
  readonly #logger: Logger;
  #waiting: (readonly string[])[] = [];
  #sending: Promise<void> | null = null;
  #hasFailed = false;

  constructor(send: (args: readonly string[]) => Promise<void>, logger: Logger) {
    this.#send = send;
    this.#logger = logger;
  }

  put(message: readonly string[]): void {
    const kind = kindOf(message);
    this.#waiting = [...this.#waiting.filter((other) => kindOf(other) !== kind), message];
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
  }

  async empty(): Promise<void> {
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      try {
        await this.#send(next);
      } catch (thrown) {
        if (!this.#hasFailed) {
          const fields = {
            error: toError(thrown),
            hint: "Install systemd-notify, and set NotifyAccess=all in the unit.",
          };
          this.#logger.warn(fields, "systemd cannot be told of the service; this is not said again");
        }
        this.#hasFailed = true;
      }
    }
  }
}

/** The first word of a message: READY, STATUS, … */
function kindOf([first = ""]: readonly string[]): string {
  return first.split("=")[0]!;
}

/** A line break would begin another variable. */
function statusOf(text: string): string {
  return `STATUS=${text.replaceAll(/\p{Cc}+/gu, " ")}`;
}

/** systemd may have meant the watchdog for another process, whose environment this one inherited. */
function watchdogOf({ WATCHDOG_USEC, WATCHDOG_PID }: Environment, pid: number): number | null {
  const ms = Number(WATCHDOG_USEC) / 1000;
  if (!(ms > 0) || (WATCHDOG_PID && Number(WATCHDOG_PID) !== pid)) return null;
  return ms;
}

/** Longer than it waits itself for systemd to take the message. */
const LONGEST_MS = 10_000;

function systemdNotify(args: readonly string[], { NOTIFY_SOCKET, PATH }: Environment): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile("systemd-notify", args, { env: { NOTIFY_SOCKET, PATH }, timeout: LONGEST_MS }, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}
