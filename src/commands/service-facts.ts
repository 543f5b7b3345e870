// What is to be known of an installed service by its own file.
import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { examineSettings } from "../config/config.ts";
import type { ServiceFacts } from "../doctor/patient.ts";
import { RiffError } from "../errors.ts";
import type { Installed, ServiceManager } from "../service/manager.ts";
import { type Place, shownManager } from "./service-place.ts";
import { findPlan } from "./service-plan.ts";

/** Whether the file is what this riffd would write; true also where that cannot be told. */
export async function isCurrent(manager: ServiceManager, place: Place, installed: Installed): Promise<boolean> {
  const program = findPlan(place, installed)?.program;
  return program === undefined || installed.text === (await manager.text(program));
}

/** Of this user's own service; null: there is none, or the service manager cannot be asked. */
export async function serviceFacts(place: Place): Promise<ServiceFacts | null> {
  try {
    const manager = shownManager(place, { system: false }, true);
    const installed = await manager.installed();
    if (installed === null) return null;
    const { command, variables } = installed;
    return {
      file: await manager.file(),
      isCurrent: await isCurrent(manager, place, installed),
      missing: command.filter((word) => isAbsolute(word) && !existsSync(word)),
      variables,
      settings: examineSettings({}, variables, place.platform).settings,
    };
  } catch (thrown) {
    if (thrown instanceof RiffError && thrown.code === "RIFF_SERVICE_FAILED") return null;
    throw thrown;
  }
}
