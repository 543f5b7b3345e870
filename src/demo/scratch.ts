// The folder that a demo has for itself, with everything it makes in it, and an environment that knows of nothing else.
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { socketPath } from "../control/socket-path.ts";
import { RiffError, toError } from "../errors.ts";
import { createFolder, removeFolder } from "./leftovers.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What would lead riffd to its user's own data, or to the service manager of whoever runs the demo. */
const FOREIGN = /^(RIFFD_|SURREAL|CLAUDE|XDG_|STATE_DIRECTORY$|NOTIFY_SOCKET$|WATCHDOG_)/;
/** What is decided is decided soon, for somebody who watches; also where the system tells of no changes. */
const SETTINGS = { RIFFD_DEBOUNCE_MS: "50", RIFFD_SETTLE_S: "1", RIFFD_RESCAN_S: "1", RIFFD_LOG_FORMAT: "json" };

export class Scratch {
  readonly folder: string;
  readonly projects: string;
  readonly exports: string;
  readonly log: string;
  readonly socket: string;
  /** For riffd as a child process. */
  readonly env: Environment;

  /** Makes the folder, which only its owner can enter. Throws RIFF_STATE_UNWRITABLE. */
  constructor(env: Environment, isKept: boolean) {
    this.folder = makeFolder(isKept);
    this.projects = join(this.folder, "projects");
    this.exports = join(this.folder, "exports");
    this.log = join(this.folder, "daemon.log");
    const home = join(this.folder, "home");
    const state = join(this.folder, "state");
    this.socket = socketPath(state);
    for (const dir of [this.projects, this.exports, home]) mkdirSync(dir);
    const kept = Object.entries(env).filter(([name]) => !FOREIGN.test(name));
    this.env = {
      ...Object.fromEntries(kept),
      ...SETTINGS,
      HOME: home,
      RIFFD_STATE_DIR: state,
      RIFFD_PROJECTS: this.projects,
    };
  }

  /** Removes all of it. May be called again. */
  remove(): void {
    removeFolder(this.folder);
  }
}

function makeFolder(isKept: boolean): string {
  try {
    return createFolder(isKept);
  } catch (thrown) {
    throw new RiffError(
      "RIFF_STATE_UNWRITABLE",
      `Cannot create a folder for the demo below ${tmpdir()}: ${toError(thrown).message}`,
      "Name a folder that you can write to with TMPDIR.",
      thrown,
    );
  }
}
