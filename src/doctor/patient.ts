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
  /** What this user's service is said to be by its own file; null, or absent: there is none, or it cannot be told. */
  readonly findService?: () => Promise<ServiceFacts | null>;
}

/** The service that is installed, as its file has it. */
export interface ServiceFacts {
  readonly file: string;
  /** Whether the file is what this riffd would write. */
  readonly isCurrent: boolean;
  /** Files that it runs, and that are not there. */
  readonly missing: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  /** As its daemon has them; fields that are wrong are as if they were not given. */
  readonly settings: Settings;
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
  readonly #findService: () => Promise<ServiceFacts | null>;
  #status: Promise<DaemonStatus> | null = null;
  #service: Promise<ServiceFacts | null> | null = null;
  #transcripts: Promise<Discovered> | null = null;

  constructor({ version, env, platform, now, settings, configProblems, signal, findService }: PatientOptions) {
    this.version = version;
    this.env = env;
    this.platform = platform;
    this.now = now;
    this.settings = settings;
    this.configProblems = configProblems;
    this.signal = signal;
    this.#findService = findService ?? (async () => null);
  }

  /** Throws RIFF_STATE_UNWRITABLE. */
  get socket(): string {
    return socketPath(this.settings.stateDir, this.settings.daemon.socket);
  }

  /** Throws RIFF_STATE_UNWRITABLE, RIFF_DAEMON_NOT_RUNNING, RIFF_DAEMON_UNRESPONSIVE. */
  async daemonStatus(): Promise<DaemonStatus> {
    this.#status ??= new ControlClient(this.socket, { answerMs: ANSWER_MS }).status();
    return this.#status;
  }

  service(): Promise<ServiceFacts | null> {
    this.#service ??= this.#findService();
    return this.#service;
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
