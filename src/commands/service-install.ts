// riffd service install | uninstall: has systemd or launchd run the daemon, now and whenever the session or machine starts.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Settings } from "../config/config.ts";
import { RiffError } from "../errors.ts";
import { createPrivateFolder } from "../private-folder.ts";
import { type Installed, type ServiceManager, serviceFailed } from "../service/manager.ts";
import { knowsUser, systemPrograms } from "../service/programs.ts";
import type { Output } from "./output.ts";
import { dataLines, dataOfAnother, dropInLines } from "./service-leftovers.ts";
import {
  installedAt,
  type Place,
  refuseOther,
  type Scope,
  serviceManager,
  shownManager,
  thisPlace,
} from "./service-place.ts";
import { planInstall } from "./service-plan.ts";
import { parseTimeout, tellReadiness, type WaitOptions } from "./service-readiness.ts";
import type { ServiceVariables } from "./service-variables.ts";

export interface InstallOptions extends WaitOptions {
  readonly print: boolean;
  /** Whom a service of the system runs as. */
  readonly user?: string;
}

/**
 * Writes the service's file, starts the daemon, and waits until it is ready; with `print` it only shows the file. Returns
 * the exit code. Throws RiffError.
 */
export async function serviceInstall(
  options: InstallOptions,
  output: Output,
  signal: AbortSignal,
  place: Place = thisPlace(),
): Promise<number> {
  if (options.print) return printFile(options, output, place);
  const timeoutMs = parseTimeout(options.timeout);
  const manager = serviceManager(place, options);
  const before = await manager.installed();
  const user = userFor(options, place, before);
  const { program, settings, variables } = planInstall(place, user, before);
  refuseCache(place.riffd);
  if (user !== null) {
    needRoot(place);
    await refuseUnknown(user, place);
  } else {
    await refuseOther(manager, settings);
    createFolders(settings);
  }
  if (before !== null) output.note("A service is installed already; it is stopped and replaced.");
  const statusBefore = await manager.install(program);
  output.line(`✓ installed: ${await manager.file()}`);
  tellVariables(variables, output);
  await tellReadiness(manager, settings, { scope: options, timeoutMs, signal, before: statusBefore }, output);
  if ((await manager.lingers()) === false) {
    output.note("It ends when you log out. `loginctl enable-linger` has it run from the machine's start on.");
  }
  return 0;
}

/** Shows what would be written, also to who could not install it, and where no service manager answers. */
async function printFile(options: InstallOptions, output: Output, place: Place): Promise<number> {
  const show = async (manager: ServiceManager) => {
    const before = await manager.installed();
    const { program } = planInstall(place, userFor(options, place, before), before);
    const [text, file] = [await manager.text(program), await manager.file()];
    output.line(text.trimEnd());
    output.note(`Nothing was written. It would be ${file}`);
    return 0;
  };
  try {
    return await show(shownManager(place, options, true));
  } catch (thrown) {
    if (!(thrown instanceof RiffError) || thrown.code !== "RIFF_SERVICE_FAILED") throw thrown;
    output.note(`${thrown.message}\nIts version and its folders are not known: this is for one of today.`);
    return show(shownManager(place, options, false));
  }
}

/** Ends the daemon and removes the service's file. The data stays. Returns the exit code. Throws RiffError. */
export async function serviceUninstall(scope: Scope, output: Output, place: Place = thisPlace()): Promise<number> {
  const manager = serviceManager(place, scope);
  const installed = await installedAt(manager);
  const file = await manager.file();
  if (scope.system) needRoot(place);
  await manager.uninstall();
  output.line(`✓ uninstalled: ${file}`);
  const data = scope.system ? dataOfAnother(installed.user) : dataLines(place, installed);
  for (const line of [...data, ...dropInLines(file)]) output.line(line);
  return 0;
}

function tellVariables({ given, kept }: ServiceVariables, output: Output): void {
  if (given.length > 0) output.line(`  has from this shell: ${given.join(", ")}`);
  if (kept.length > 0) output.line(`  has as before: ${kept.join(", ")}`);
}

/** Whom it runs as; null: one's own. Throws RIFF_USAGE. */
function userFor(options: InstallOptions, { env }: Place, before: Installed | null): string | null {
  if (!options.system) return noUser(options);
  const { user } = options;
  const name = user ?? before?.user ?? env.SUDO_USER;
  if (name !== undefined && /^[\w][\w.@-]*\$?$/.test(name)) return name;
  if (name !== undefined)
    throw new RiffError("RIFF_USAGE", `${JSON.stringify(name)} is no user's name.`, "See `id -un`.");
  throw new RiffError(
    "RIFF_USAGE",
    "It is not said whose transcripts the system's service is to keep.",
    "Name the user it is to run as: `riffd service install --system --user NAME`.",
  );
}

/** systemd takes any name, and fails when it starts the daemon. */
async function refuseUnknown(user: string, { env }: Place): Promise<void> {
  if (await knowsUser(systemPrograms(env), user)) return;
  throw new RiffError("RIFF_USAGE", `There is no user ${user} on this machine.`, "See `id -un`, run by who it is for.");
}

function needRoot({ uid }: Place): void {
  if (uid === 0) return;
  throw new RiffError(
    "RIFF_USAGE",
    "Only root changes the system's services.",
    "Run it with sudo, or leave --system out.",
  );
}

function noUser({ user }: InstallOptions): null {
  if (user === undefined) return null;
  throw new RiffError("RIFF_USAGE", "--user is for a service of the system.", "Give --system too, or leave it out.");
}

/** A service lives longer than what npx fetches. */
function refuseCache(riffd: string): void {
  if (!/[\\/]_npx[\\/]/.test(riffd)) return;
  throw serviceFailed(
    `This riffd lies where npx keeps what it fetches, and may vanish: ${riffd}`,
    "Install the same package for good (`npm install --global`), and run `riffd service install`.",
  );
}

/** They are there before the service starts, which a sandbox may not let make them. */
function createFolders({ stateDir, storeDir, surrealdb }: Settings): void {
  createPrivateFolder(stateDir);
  if (surrealdb.url === null) mkdirSync(dirname(storeDir), { recursive: true, mode: 0o700 });
}
