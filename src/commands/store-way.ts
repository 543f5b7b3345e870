// How the store that a command is to use can be reached at this moment: as it is, or by way of the daemon that has it open.
import { existsSync, realpathSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Settings } from "../config/config.ts";
import { FIELDS } from "../config/fields.ts";
import {
  type EmbeddedTarget,
  locationOf,
  type RemoteTarget,
  resolveTarget,
  type StoreTarget,
} from "../config/store-target.ts";
import { ControlClient } from "../control/client.ts";
import type { DaemonStatus } from "../control/protocol.ts";
import { socketPath } from "../control/socket-path.ts";
import { RiffError } from "../errors.ts";

/** The store that a command is to use. */
export interface Choice {
  /** Where the daemon listens, if one runs. */
  readonly socket: string;
  readonly target: EmbeddedTarget | RemoteTarget;
  /** It was named for this command, so it is meant whatever store the daemon works on. */
  readonly isNamed: boolean;
}

/** What the settings choose: a server where they have a URL, else the embedded store. */
export function chosenStore(settings: Settings): Choice {
  const isNamed = settings.origins.store_dir === FIELDS.store_dir.env;
  return { socket: socketOf(settings), target: resolveTarget(settings), isNamed };
}

/** The embedded store, whatever server the settings name. */
export function embeddedStore(settings: Settings): Choice {
  return { socket: socketOf(settings), target: { kind: "embedded", dir: settings.storeDir }, isNamed: true };
}

function socketOf({ stateDir, daemon }: Settings): string {
  return socketPath(stateDir, daemon.socket);
}

export interface Way {
  readonly target: StoreTarget;
  /** A daemon that works on this very store, which may be a server's; null: there is none. */
  readonly daemon: ControlClient | null;
}

/**
 * The way to a store. Throws RIFF_STORE_UNREACHABLE where nobody named the embedded store, but the daemon works on that of
 * a server: what is looked for is not in the embedded one. Throws RIFF_DAEMON_UNRESPONSIVE.
 */
export async function wayTo({ socket, target, isNamed }: Choice): Promise<Way> {
  const direct: Way = { target, daemon: null };
  if (!existsSync(socket)) return direct;
  const daemon = new ControlClient(socket);
  const store = await storeOf(daemon);
  if (store === null) return direct;
  if (target.kind === "remote") return store.location === locationOf(target) ? { target, daemon } : direct;
  if (store.kind === "remote" && !isNamed) throw isElsewhere(store.location);
  if (!isAt(store.location, target.dir)) return direct;
  return { target: { kind: "daemon", socket, dir: target.dir }, daemon };
}

/** null: nobody listens there. */
async function storeOf(daemon: ControlClient): Promise<DaemonStatus["store"] | null> {
  try {
    return (await daemon.status()).store;
  } catch (thrown) {
    if (thrown instanceof RiffError && thrown.code === "RIFF_DAEMON_NOT_RUNNING") return null;
    throw thrown;
  }
}

function isElsewhere(location: string): RiffError {
  return new RiffError(
    "RIFF_STORE_UNREACHABLE",
    `The daemon works on the store at ${location}, and this command was not told the way to it.`,
    "Name the server with --surrealdb-url or SURREALDB_URL, and its user as SURREALDB_USER and SURREALDB_PASS.",
  );
}

/** Whether a location is that of the embedded store in `dir`, whatever links lead there. */
function isAt(location: string, dir: string): boolean {
  if (location === locationOf({ kind: "embedded", dir })) return true;
  const other = location.replace(/^rocksdb:\/\//, "");
  return other !== location && existsSync(other) && existsSync(dir) && realpathSync(other) === realpathSync(dir);
}

/** How long a store that another process has open is waited for, and how often it is tried. */
const WAIT_MS = 5_000;
const RETRY_MS = 200;

/** What `open` gives; where a daemon has come or gone meanwhile, it is called again with the other way. */
export async function reached<T>(choice: Choice, open: (way: Way) => Promise<T>): Promise<T> {
  let deadline: number | null = null;
  for (;;) {
    const way = await wayTo(choice);
    try {
      return await open(way);
    } catch (thrown) {
      if (isLocked(way, thrown)) {
        deadline ??= Date.now() + WAIT_MS;
        if (Date.now() >= deadline) throw thrown;
        await sleep(RETRY_MS);
      } else if (!(await hasGone(way, thrown, choice))) throw thrown;
    }
  }
}

function isLocked({ target }: Way, thrown: unknown): boolean {
  return target.kind === "embedded" && thrown instanceof RiffError && thrown.code === "RIFF_STORE_LOCKED";
}

async function hasGone({ target }: Way, thrown: unknown, choice: Choice): Promise<boolean> {
  if (target.kind !== "daemon" || !(thrown instanceof RiffError) || thrown.code !== "RIFF_STORE_UNREACHABLE")
    return false;
  return (await wayTo(choice)).target.kind !== "daemon";
}

/** Throws RIFF_DAEMON_RUNNING where a daemon has the store open that `command` needs for itself. */
export async function refuseBesideDaemon(choice: Choice, command: string, hint: string): Promise<void> {
  const { target } = await wayTo(choice);
  if (target.kind !== "daemon") return;
  throw new RiffError(
    "RIFF_DAEMON_RUNNING",
    `${command} needs the store ${locationOf(target)} for itself, but the daemon has it open.`,
    hint,
  );
}
