// What a service is to run, and with which settings: as this shell has it, or as it was installed.
import { resolveSettings, type Settings } from "../config/config.ts";
import { RiffError } from "../errors.ts";
import { agentLog } from "../service/launchd.ts";
import type { Installed } from "../service/manager.ts";
import type { Program } from "../service/program.ts";
import type { Place } from "./service-place.ts";
import { type ServiceVariables, serviceVariables } from "./service-variables.ts";

export interface ServicePlan {
  readonly program: Program;
  /** As the service's daemon will have them. */
  readonly settings: Settings;
}

export interface InstallPlan extends ServicePlan {
  readonly variables: ServiceVariables;
}

/** Of a service that is to be installed over `before`. Throws RIFF_CONFIG_INVALID, and RIFF_USAGE as `serviceVariables`. */
export function planInstall(place: Place, user: string | null, before: Installed | null): InstallPlan {
  const { env, platform, home } = place;
  const given = { ...before?.variables, ...env };
  const settings = resolveSettings({}, given, platform);
  const variables = serviceVariables(env, settings, before?.variables ?? {});
  const needsLog = platform === "darwin" && settings.daemon.logFile === null;
  const all = { ...variables.variables, ...(needsLog && { RIFFD_LOG_FILE: agentLog(home) }) };
  return { program: programOf(place, user, all, settings), settings, variables };
}

/** Of the service that is installed, if it were installed again as it is. Throws RIFF_CONFIG_INVALID. */
export function planAgain(place: Place, { user, variables }: Installed): ServicePlan {
  const settings = resolveSettings({}, { ...place.env, ...variables }, place.platform);
  return { program: programOf(place, user, variables, settings), settings };
}

/** The same; null: the configuration is not valid, so nothing can be said of it. */
export function findPlan(place: Place, installed: Installed): ServicePlan | null {
  try {
    return planAgain(place, installed);
  } catch (thrown) {
    if (thrown instanceof RiffError && thrown.code === "RIFF_CONFIG_INVALID") return null;
    throw thrown;
  }
}

function programOf(
  { node, riffd }: Place,
  user: string | null,
  variables: Readonly<Record<string, string>>,
  { daemon }: Settings,
): Program {
  return { node, riffd, user, variables, drainSeconds: daemon.drainMs / 1000 };
}
