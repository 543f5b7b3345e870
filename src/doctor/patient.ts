// What riffd doctor looks at, and what several of its checks need to know: found out once, when it is first asked for.
import type { Settings } from "../config/config.ts";
import type { Environment } from "../config/paths.ts";
import type { ConfigProblem } from "../config/problems.ts";
import { ControlClient } from "../control/client.ts";
import type { DaemonStatus } from "../control/protocol.ts";
import { socketPath } from "../control/socket-path.ts";
import { type Discovered, discover } from "../source/discover.ts";
import { projectFilter } from "../source/project-filter.ts";

export interface PatientOptions {
  readonly version: string;
  readonly env: Environment;
  readonly platform: NodeJS.Platform;
  readonly now: Date;
  /** Fields that are wrong are as if they were not given. */
  readonly settings: Settings;
  readonly configProblems: readonly ConfigProblem[];
  readonly signal: AbortSignal;
}

/** How long the daemon may take to tell its status. */
const ANSWER_MS = 5_000;

export class Patient {
  readonly version: string;
  readonly env: Environment;
  readonly platform: NodeJS.Platform;
  readonly now: Date;
  readonly settings: Settings;
  readonly configProblems: readonly ConfigProblem[];
  readonly signal: AbortSignal;
  #status: Promise<DaemonStatus> | null = null;
  #transcripts: Promise<Discovered> | null = null;

  constructor({ version, env, platform, now, settings, configProblems, signal }: PatientOptions) {
    this.version = version;
    this.env = env;
    this.platform = platform;
    this.now = now;
    this.settings = settings;
    this.configProblems = configProblems;
    this.signal = signal;
  }

  /** Throws RIFF_STATE_UNWRITABLE. */
  get socket(): string {
    return socketPath(this.settings.stateDir, this.settings.daemon.socket);
  }

  /** Throws RIFF_DAEMON_NOT_RUNNING, RIFF_DAEMON_UNRESPONSIVE. */
  daemonStatus(): Promise<DaemonStatus> {
    this.#status ??= new ControlClient(this.socket, { answerMs: ANSWER_MS }).status();
    return this.#status;
  }

  /** The transcripts that are read. */
  transcripts(): Promise<Discovered> {
    const { projects, include, exclude } = this.settings;
    this.#transcripts ??= discover(projects, projectFilter(include, exclude));
    return this.#transcripts;
  }

  /** The status; null: no daemon answers, for whatever reason. */
  findStatus(): Promise<DaemonStatus | null> {
    return this.daemonStatus().catch(() => null);
  }
}
