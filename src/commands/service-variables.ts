// The variables that a service is given: those that riffd has now, and those that an earlier installation was given.
import { isAbsolute, resolve } from "node:path";
import type { Settings } from "../config/config.ts";
import { FIELD_NAMES, FIELDS, type Field, type FieldName, separatorOf } from "../config/fields.ts";
import type { Environment } from "../config/paths.ts";
import { RiffError } from "../errors.ts";

/** Fields that the daemon does not use. */
const OTHERS: readonly FieldName[] = ["operator", "serve_user", "serve_pass_file"];

/** Files and folders that no field names. */
const PATHS = ["RIFFD_CONFIG", "CLAUDE_CONFIG_DIR", "NODE_EXTRA_CA_CERTS"];
/** These count only where they are absolute. */
const XDG = ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"];

export interface ServiceVariables {
  readonly variables: Readonly<Record<string, string>>;
  /** Names of those that came from this shell, and of those that are kept from before. */
  readonly given: readonly string[];
  readonly kept: readonly string[];
}

/**
 * `before` is what an earlier installation was given: it is kept, but for what this shell gives anew; what is empty here is
 * dropped. A service does not start in this folder, so paths become absolute. Throws RIFF_USAGE where a password would get
 * into the service's file.
 */
export function serviceVariables(
  env: Environment,
  settings: Settings,
  before: Readonly<Record<string, string>>,
): ServiceVariables {
  refusePasswords(env, settings);
  const given = givenVariables(env, settings);
  const kept = Object.fromEntries(Object.entries(before).filter(([name]) => env[name] === undefined));
  return { variables: { ...kept, ...given }, given: Object.keys(given).sort(), kept: Object.keys(kept).sort() };
}

function givenVariables(env: Environment, { values }: Settings): Record<string, string> {
  const ofFields = FIELD_NAMES.filter((name) => FIELDS[name].kind !== "secret" && !OTHERS.includes(name))
    .filter((name) => env[FIELDS[name].env])
    .map((name) => [FIELDS[name].env, isPath(name) ? joined(name, values[name]) : env[FIELDS[name].env]!] as const);
  const paths = PATHS.filter((name) => env[name]).map((name) => [name, resolve(env[name]!)] as const);
  const xdg = XDG.filter((name) => isAbsolute(env[name] ?? "")).map((name) => [name, env[name]!] as const);
  return Object.fromEntries([...ofFields, ...paths, ...xdg]);
}

function isPath(name: FieldName): boolean {
  const { kind }: Field = FIELDS[name];
  return ["folder", "folders", "file", "socket"].includes(kind);
}

/** As the variable holds it. */
function joined(name: FieldName, value: Settings["values"][FieldName]): string {
  return Array.isArray(value) ? value.join(separatorOf(FIELDS[name]) ?? "") : String(value);
}

function refusePasswords(env: Environment, { surrealdb }: Settings): void {
  if (surrealdb.url === null) return;
  const inUrl = env.SURREALDB_URL && new URL(surrealdb.url).password !== "" ? "SURREALDB_URL" : null;
  const name = env.SURREALDB_PASS ? "SURREALDB_PASS" : inUrl;
  if (name === null) return;
  throw new RiffError(
    "RIFF_USAGE",
    `The password in ${name} would stand in the service's file, which others can read.`,
    "Put it into a file that only you can read (chmod 600), and name that file with SURREALDB_PASS_FILE instead.",
  );
}
