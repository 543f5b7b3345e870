// Which service riffd service is about, and how it is reached: systemd's or launchd's, the user's own or the system's.
import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import type { Settings } from "../config/config.ts";
import type { Environment } from "../config/paths.ts";
import { readLock } from "../control/instance-lock.ts";
import { RiffError } from "../errors.ts";
import { Launchd } from "../service/launchd.ts";
import { type Installed, type ServiceManager, serviceFailed } from "../service/manager.ts";
import { systemPrograms, withUsersBus } from "../service/programs.ts";
import { Systemd } from "../service/systemd.ts";

/** The process that runs the command, and the machine that it is on. */
export interface Place {
  readonly platform: NodeJS.Platform;
  readonly uid: number;
  readonly home: string;
  readonly env: Environment;
  /** Absolute paths of Node.js and of riffd, as they run now. */
  readonly node: string;
  readonly riffd: string;
  readonly systemUnits?: string;
}

export function thisPlace(): Place {
  return {
    platform: process.platform,
    uid: process.getuid!(),
    home: homedir(),
    env: process.env,
    node: process.execPath,
    riffd: realpathSync(process.argv[1]!),
  };
}

export interface Scope {
  /** The system's service instead of one's own. */
  readonly system: boolean;
}

/** Throws RIFF_USAGE where this user cannot have such a service, and RIFF_SERVICE_FAILED where the system has none. */
export function serviceManager(place: Place, scope: Scope): ServiceManager {
  if (place.uid === 0 && !scope.system) {
    const more = place.platform === "linux" ? "; or, for a service of the system, `riffd service … --system`" : "";
    throw new RiffError(
      "RIFF_USAGE",
      "This would be a service of root's own, with root's transcripts.",
      `Run it without sudo${more}.`,
    );
  }
  return shownManager(place, scope, true);
}

/** The same to look only, for anybody. Where it is not to be asked, it answers with what is usual. */
export function shownManager(place: Place, { system }: Scope, isAsked: boolean): ServiceManager {
  const { platform, uid, home, systemUnits } = place;
  const programs = systemPrograms(withUsersBus(place.env, uid));
  if (platform === "darwin") {
    if (system)
      throw new RiffError("RIFF_USAGE", "--system is for Linux.", "Leave it out: an agent of yours runs riffd.");
    return new Launchd(programs, { home, uid });
  }
  if (platform !== "linux") {
    throw new RiffError(
      "RIFF_SERVICE_FAILED",
      `riffd knows no service manager on ${platform}.`,
      "Have what starts your programs run `riffd start`.",
    );
  }
  const units = systemUnits === undefined ? {} : { systemUnits };
  return new Systemd(programs, { isSystem: system, home, uid, isAsked, ...units });
}

/** Throws RIFF_SERVICE_FAILED where there is no service. */
export async function installedAt(manager: ServiceManager): Promise<Installed> {
  const installed = await manager.installed();
  if (installed !== null) return installed;
  throw serviceFailed(`No service is installed: there is no ${await manager.file()}.`, "`riffd service install`.");
}

/** Throws RIFF_DAEMON_RUNNING where a daemon has the state folder that is not the service's. */
export async function refuseOther(manager: ServiceManager, { stateDir }: Settings): Promise<void> {
  const holder = readLock(stateDir);
  if (holder === null || holder.pid === (await manager.status()).pid) return;
  throw new RiffError(
    "RIFF_DAEMON_RUNNING",
    `A daemon that is not this service runs for ${stateDir}: process ${holder.pid}, since ${holder.since.toISOString()}.`,
    "`riffd stop` ends it; then the service can have it.",
  );
}
