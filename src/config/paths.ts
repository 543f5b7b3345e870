// Where things are: transcripts, the store, and the state folder, by environment and platform.
import { randomUUID } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { systemCode } from "../errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Paths {
  /** Heads of chains and the host id. */
  readonly stateDir: string;
  /** The embedded store. */
  readonly storeDir: string;
}

/**
 * The state folder: RIFFD_STATE_DIR, else systemd's STATE_DIRECTORY, else the platform's. The store: RIFFD_STORE_DIR,
 * else beside it (for the first two), else in the platform's folder for data.
 */
export function resolvePaths(env: Environment, platform: NodeJS.Platform = process.platform): Paths {
  const chosen = env.RIFFD_STATE_DIR || env.STATE_DIRECTORY?.split(":")[0];
  const store = env.RIFFD_STORE_DIR ? resolve(env.RIFFD_STORE_DIR) : null;
  if (chosen) {
    return { stateDir: resolve(chosen), storeDir: store ?? join(resolve(chosen), "store") };
  }
  if (platform === "darwin") {
    const library = join(homedir(), "Library", "Application Support", "riffd");
    return { stateDir: join(library, "state"), storeDir: store ?? join(library, "store") };
  }
  const state = absolute(env.XDG_STATE_HOME) ?? join(homedir(), ".local", "state");
  const data = absolute(env.XDG_DATA_HOME) ?? join(homedir(), ".local", "share");
  return { stateDir: join(state, "riffd"), storeDir: store ?? join(data, "riffd", "store") };
}

/** The XDG base directory specification says that relative paths are to be ignored. */
function absolute(path: string | undefined): string | null {
  return path !== undefined && isAbsolute(path) ? path : null;
}

/** The projects folders to read: as asked, else RIFFD_PROJECTS (separated by `:`), else Claude Code's. */
export function resolveProjects(asked: readonly string[], env: Environment): string[] {
  if (asked.length > 0) return asked.map((dir) => resolve(dir));
  if (env.RIFFD_PROJECTS)
    return env.RIFFD_PROJECTS.split(":")
      .filter(Boolean)
      .map((dir) => resolve(dir));
  if (env.CLAUDE_CONFIG_DIR) return [resolve(env.CLAUDE_CONFIG_DIR, "projects")];
  const usual = [join(homedir(), ".claude", "projects"), join(homedir(), ".config", "claude", "projects")];
  const existing = usual.filter((dir) => existsSync(dir));
  return existing.length > 0 ? existing : usual.slice(0, 1);
}

/**
 * The random id of a state folder, made at first use, by whichever process is first; not the host's name, so that a new
 * container is the same host.
 */
export function readHostId(stateDir: string): string {
  const file = hostIdFile(stateDir);
  const known = findHostId(stateDir);
  if (known !== null) return known;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, `${randomUUID()}\n`, { mode: 0o600 });
  try {
    linkSync(fresh, file); // whole, or not at all
  } catch (thrown) {
    if (systemCode(thrown) !== "EEXIST" || findHostId(stateDir) === null) renameSync(fresh, file);
  } finally {
    rmSync(fresh, { force: true });
  }
  return findHostId(stateDir)!;
}

/** The same if it was made; else null. */
export function findHostId(stateDir: string): string | null {
  const file = hostIdFile(stateDir);
  return existsSync(file) ? readFileSync(file, "utf8").trim() || null : null;
}

function hostIdFile(stateDir: string): string {
  return join(stateDir, "host-id");
}
