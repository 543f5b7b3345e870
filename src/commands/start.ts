// riffd start: the daemon in the foreground, which a service runs too. `riffd sync --watch` is the same for the sessions
// that were named.
import { statSync } from "node:fs";
import { homedir } from "node:os";
import { resolveSettings, type Settings, secretsOf } from "../config/config.ts";
import type { CatchUpView } from "../daemon/activity.ts";
import { runDaemon } from "../daemon.ts";
import { RiffError } from "../errors.ts";
import { shortenErrors } from "../runtime/errors-file.ts";
import { LogFile } from "../runtime/log-file.ts";
import { createLogger } from "../runtime/logger.ts";
import type { Signals } from "../runtime/signals.ts";
import { agentErrors } from "../service/launchd-agent.ts";
import { Chosen } from "../sync/chosen.ts";
import { resolveSession } from "./resolve.ts";
import { wantsColour } from "./style.ts";
import { Progress, Workload } from "./sync-progress.ts";
import { candidatesOf, findTranscripts } from "./sync-selection.ts";

export interface StartOptions {
  readonly projects: readonly string[];
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly poll?: boolean;
  readonly rpcListen?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
  readonly surrealdbUrl?: string;
}

export interface Process {
  readonly version: string;
  readonly signals: Signals;
}

/** Runs until a signal or `riffd stop` ends it. Returns its exit code. Throws what keeps it from starting. */
export async function startCommand(
  sessions: readonly string[],
  options: StartOptions,
  { version, signals }: Process,
): Promise<number> {
  shortenErrors(agentErrors(homedir()));
  const reread = () => settingsFor(options);
  const settings = reread();
  const chosen = sessions.length === 0 ? null : new Chosen(await pathsOf(sessions, settings));
  const { logLevel: level, logFormat: format, logFile } = settings.daemon;
  const file = logFile === null ? null : LogFile.open(logFile);
  const colour = wantsColour(process.stdout, process.env);
  const isWatched = process.stderr.isTTY === true && process.stdout.isTTY === true && format !== "json";
  const view = isWatched ? new FirstImport() : null;
  const secrets = secretsOf(settings);
  return runDaemon({
    settings,
    version,
    env: process.env,
    logger: createLogger({ level, format, colour, secrets, file, beforeLine: () => view?.stepAside() }),
    signals,
    chosen,
    view,
    reread,
  });
}

/** What a daemon does not take of a sync's options. */
export interface WatchOptions extends StartOptions {
  readonly since?: string;
  readonly until?: string;
  readonly operator?: string;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** `riffd sync --watch`: the daemon for these sessions; none: for all. The same as `startCommand`. */
export async function watchCommand(
  sessions: readonly string[],
  { since, until, operator, force, dryRun, json, quiet, ...options }: WatchOptions,
  process: Process,
): Promise<number> {
  const others = { since, until, operator, force, "dry-run": dryRun };
  const given = Object.entries(others).filter(([, value]) => value !== undefined && value !== false);
  if (given.length > 0) {
    throw new RiffError(
      "RIFF_USAGE",
      `--watch does not go together with ${given.map(([name]) => `--${name}`).join(", ")}.`,
      "Run `riffd sync` with them first, and then `riffd sync --watch`.",
    );
  }
  const logLevel = quiet ? "warn" : undefined;
  const logFormat = json ? "json" : undefined;
  return startCommand(
    sessions,
    { ...options, ...(logLevel && { logLevel }), ...(logFormat && { logFormat }) },
    process,
  );
}

function settingsFor(options: StartOptions): Settings {
  const { projects, include, exclude, poll, rpcListen, logLevel, logFormat, surrealdbUrl } = options;
  return resolveSettings(
    {
      projects,
      include,
      exclude,
      poll,
      rpc_listen: rpcListen,
      log_level: logLevel,
      log_format: logFormat,
      surrealdb_url: surrealdbUrl,
    },
    process.env,
  );
}

/** Throws RIFF_SESSION_NOT_FOUND and RIFF_SESSION_AMBIGUOUS. */
async function pathsOf(sessions: readonly string[], settings: Settings): Promise<ReadonlySet<string>> {
  const candidates = candidatesOf(await findTranscripts([], settings));
  const searched = settings.projects.join(", ");
  return new Set(sessions.map((query) => resolveSession(query, candidates, searched).path));
}

/** The bar of what is read at the start. However the process ends, it leaves the terminal as it was. */
class FirstImport implements CatchUpView {
  readonly #progress = new Progress(process.stderr);
  #isDone = false;

  constructor() {
    process.once("exit", () => this.done());
  }

  planned(files: Parameters<CatchUpView["planned"]>[0]): void {
    if (this.#isDone) return;
    const targets = files.map(({ path, sessionId, source }) => ({
      path,
      sessionId,
      archived: source?.archived ?? null,
    }));
    this.#progress.start(new Workload(targets, (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0));
  }

  wrote(step: Parameters<CatchUpView["wrote"]>[0]): void {
    this.#progress.wrote(step);
  }

  ended(sessionId: string): void {
    this.#progress.ended(sessionId);
  }

  /** Something else is written to the terminal: the bar is drawn again below it. */
  stepAside(): void {
    this.#progress.stepAside();
  }

  done(): void {
    this.#isDone = true;
    this.#progress.stop();
  }
}
