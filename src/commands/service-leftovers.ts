// What stays when a service is uninstalled, and where it is.
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { examineSettings } from "../config/config.ts";
import { configPath } from "../config/config-file.ts";
import type { Installed } from "../service/manager.ts";
import { isBelow } from "../source/discover.ts";
import type { Place } from "./service-place.ts";

/** Of one's own service, line by line: what is told there is all that riffd has written. */
export function dataLines({ env, platform }: Place, { variables }: Installed): string[] {
  const given = { ...env, ...variables };
  const { settings, problems } = examineSettings({}, given, platform);
  const { surrealdb, storeDir, stateDir, daemon } = settings;
  const server = surrealdb.url?.replace(/\/\/[^/@]*@/, "//");
  const config = configPath(given, platform);
  return [
    "All data stays where it is:",
    `  store   ${server ?? storePlace(storeDir, stateDir)}`,
    `  state   ${stateDir}`,
    ...(existsSync(config) ? [`  config  ${config}`] : []),
    ...(daemon.logFile === null ? [] : [`  log     ${daemon.logFile}`]),
    ...(problems.length === 0
      ? []
      : ["The configuration is not valid, and may mean other places: `riffd config check`."]),
  ];
}

/** With the mark of its owner, which is beside it. */
function storePlace(storeDir: string, stateDir: string): string {
  const around = dirname(storeDir);
  if (isBelow(stateDir, storeDir)) return storeDir;
  return basename(around) === "riffd" ? around : `${storeDir}, and .store-owner beside it`;
}

/** Of another user's service. */
export function dataOfAnother(user: string | null): string[] {
  return [`All data stays where it is: \`riffd config show\`, run by ${user ?? "its user"}, tells where.`];
}

/** What somebody has put beside the service's file: systemd adds it to whatever is installed next. */
export function dropInLines(file: string): string[] {
  const folder = `${file}.d`;
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".conf")) : [];
  return names.sort().map((name) => `  drop-in ${join(folder, name)}: it will count for the next service too`);
}
