// What the service's file says: whether what it runs is there, and whether it is meant for the same folders as this shell's
// commands.
import { type Check, problem, warning } from "./check.ts";
import type { Patient, ServiceFacts } from "./patient.ts";

export function checkServiceFile(service: ServiceFacts | null, patient: Pick<Patient, "settings" | "env">): Check[] {
  if (service === null) return [];
  return [...checkProgram(service), ...checkVariables(service, patient)];
}

function checkProgram({ file, isCurrent, missing }: ServiceFacts): Check[] {
  if (missing.length > 0) {
    return [
      problem(
        "service.program",
        `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not there any more: the service cannot start again.`,
        "`riffd service install` has it run this Node.js and this riffd.",
      ),
    ];
  }
  if (isCurrent) return [];
  return [
    warning("service.program", `${file} is not as this riffd writes it.`, "`riffd service install` replaces it."),
  ];
}

/** Only what decides which daemon, store and files are meant. */
const PLACES: readonly RegExp[] = [
  /^RIFFD_(STATE_DIR|STORE_DIR|SOCKET|CONFIG|PROJECTS)$/,
  /^XDG_/,
  /^SURREALDB_/,
  /^CLAUDE_/,
];

function checkVariables(service: ServiceFacts, { settings, env }: Pick<Patient, "settings" | "env">): Check[] {
  if (placesOf(service.settings) === placesOf(settings)) return [];
  const { stateDir } = service.settings;
  const isPlace = (name: string) => PLACES.some((pattern) => pattern.test(name));
  const names = [...new Set([...Object.keys(service.variables), ...Object.keys(env)])].filter(isPlace).sort();
  const differing = names.filter((name) => (service.variables[name] ?? "") !== (env[name] ?? ""));
  const folders =
    stateDir === settings.stateDir ? "" : `: its state folder is ${stateDir}, theirs is ${settings.stateDir}`;
  const named = differing.length === 0 ? "" : ` They differ in ${differing.join(", ")}.`;
  return [
    warning(
      "service.variables",
      `The service and the commands of this shell are not about the same daemon or store${folders}.${named}`,
      "Set in this shell what the service has, or put it into the config file, which serves both. `riffd service install` gives the service what is set in this shell, and drops what is set to nothing.",
    ),
  ];
}

function placesOf({ stateDir, storeDir, daemon, surrealdb, projects }: ServiceFacts["settings"]): string {
  const { url, namespace, database } = surrealdb;
  return JSON.stringify([stateDir, storeDir, daemon.socket, url, namespace, database, projects]);
}
