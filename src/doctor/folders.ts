// The folders riffd reads and writes: whether they are there, whether it may use them, and who else may.
import { accessSync, constants, existsSync, readdirSync, type Stats, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { statIfThere } from "../absent.ts";
import type { Settings } from "../config/config.ts";
import { systemCode, toError } from "../errors.ts";
import { isBelow } from "../source/discover.ts";
import { type Check, notLookedAt, ok, problem, warning } from "./check.ts";
import type { Patient } from "./patient.ts";

export function checkFolders({ settings }: Pick<Patient, "settings">): Check[] {
  const { stateDir, storeDir, surrealdb, projects } = settings;
  const fault = stateFault(settings);
  return [
    fault ?? looked("state", stateDir, () => checkOthers("state", stateDir)),
    ...(surrealdb.url === null ? [checkStoreFolder(storeDir, fault === null ? null : stateDir)] : []),
    ...projects.map((folder) => looked("projects", folder, () => checkProjects(folder))),
  ];
}

/** What keeps riffd from using its state folder; null: nothing. */
export function stateFault({ stateDir }: Pick<Settings, "stateDir">): Check | null {
  const found = looked("state", stateDir, () => usableFault("state", stateDir, "RIFFD_STATE_DIR") ?? ok("state", ""));
  return found.state === "problem" ? found : null;
}

/** `unusable`: the state folder, where that is so. */
function checkStoreFolder(storeDir: string, unusable: string | null): Check {
  const id = "store.folder";
  if (unusable !== null && isBelow(unusable, storeDir)) return notLookedAt(id);
  return looked(id, storeDir, () => usableFault(id, storeDir, "RIFFD_STORE_DIR") ?? checkOthers(id, storeDir));
}

/** What keeps riffd from looking at a folder is a problem of that one alone. */
function looked(id: string, folder: string, look: () => Check): Check {
  try {
    return look();
  } catch (thrown) {
    const why = `${folder} cannot be looked at: ${toError(thrown).message}`;
    return problem(id, why, "Check who owns it and the folders around it.");
  }
}

const OTHERS = 0o077;

const ALL = constants.R_OK | constants.W_OK | constants.X_OK;

/** What keeps riffd from using a folder of its own, or from making it; null: nothing. May throw. */
function usableFault(id: string, folder: string, variable: string): Check | null {
  const found = statIfThere(folder);
  if (found === undefined) return makingFault(id, folder, variable);
  if (!found.isDirectory()) {
    return problem(id, `${folder} is no folder.`, `Move it away, or choose another with ${variable}.`);
  }
  if (mayUse(folder, ALL)) return null;
  return problem(
    id,
    `${folder} cannot be read and written; ${ownerWords(found)}.`,
    `Give it back to whoever runs riffd (chown, chmod 700), or choose another with ${variable}.`,
  );
}

function makingFault(id: string, folder: string, variable: string): Check | null {
  const around = nearestThere(folder);
  const found = statSync(around);
  if (found.isDirectory() && mayUse(around, constants.W_OK | constants.X_OK)) return null;
  const why = found.isDirectory() ? `riffd may not write to ${around}; ${ownerWords(found)}` : `${around} is a file`;
  return problem(
    id,
    `${folder} is not there, and cannot be made: ${why}.`,
    `Make it for whoever runs riffd (mkdir, chown), or choose another with ${variable}.`,
  );
}

/** The folder, or the nearest of those around it that is there. */
export function nearestThere(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestThere(dirname(folder));
}

/** A folder of riffd's own, which nobody else may enter. */
function checkOthers(id: string, folder: string): Check {
  const found = statIfThere(folder);
  if (found === undefined) return ok(id, `${folder} is not there yet: it is made at first use`);
  const open = openToOthers(folder, found);
  if (open.length > 0) {
    const more = open.length === 1 ? "" : `, and ${open.length - 1} more in it`;
    return problem(
      id,
      `Others may read ${open[0]}${more}: whole conversations are in there.`,
      `Close it: chmod -R go= '${folder}'`,
    );
  }
  return ok(id, `${folder}, for you alone`);
}

/** What in a folder somebody else has rights to; where the folder is closed, nothing in it can be reached. */
function openToOthers(folder: string, found: Stats): string[] {
  if ((found.mode & OTHERS) === 0) return [];
  const inside = readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => ((statIfThere(path)?.mode ?? 0) & OTHERS) !== 0);
  return [folder, ...inside];
}

function checkProjects(folder: string): Check {
  const id = "projects";
  try {
    const found = statSync(folder);
    if (!found.isDirectory()) {
      return problem(id, `${folder} is no folder.`, "Name the folder with your transcripts (--projects).");
    }
    if (mayUse(folder, constants.R_OK | constants.X_OK)) return ok(id, folder);
    return problem(
      id,
      `${folder} cannot be read; ${ownerWords(found)}.`,
      "Run riffd as the user who runs Claude Code, or let it read the folder.",
    );
  } catch (thrown) {
    if (systemCode(thrown) !== "ENOENT") throw thrown;
    return warning(
      id,
      `There is no projects folder ${folder}.`,
      "riffd takes it up as soon as it is there; if your transcripts are elsewhere, name their folder (--projects, RIFFD_PROJECTS).",
    );
  }
}

function mayUse(path: string, rights: number): boolean {
  try {
    accessSync(path, rights);
    return true;
  } catch {
    return false;
  }
}

function ownerWords({ uid, mode }: Stats): string {
  const mine = process.getuid?.();
  const owner = mine === uid ? "it is yours" : `it belongs to user ${uid}, and riffd runs as ${mine}`;
  return `${owner}, with rights ${(mode & 0o777).toString(8).padStart(4, "0")}`;
}
