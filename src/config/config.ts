// The configuration: flags > environment > config file > defaults, each value with where it came from. Every command
// takes its settings from here; all problems are told at once.
import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { systemCode, toError } from "../errors.ts";
import { type ConfigProblem, configInvalid, FIELD_NAMES, FIELDS, type FieldName, faultOf, isList } from "./fields.ts";
import { type Environment, resolvePaths, resolveProjects } from "./paths.ts";

export interface Settings {
  /** Projects folders, absolute. */
  readonly projects: readonly string[];
  /** Patterns for the names of project folders; none: all are read. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly operator: string;
  readonly stateDir: string;
  readonly storeDir: string;
  readonly surrealdb: {
    /** null: the embedded store. */
    readonly url: string | null;
    readonly user: string | null;
    readonly pass: string | null;
    readonly namespace: string | null;
    readonly database: string | null;
    readonly authLevel: "root" | "namespace" | "database" | null;
  };
  /** The user that `riffd serve` makes. */
  readonly serve: { readonly user: string | null; readonly pass: string | null };
  /** Where each field was given: a flag, a variable, or the path of the file; null: nowhere, it is the default. */
  readonly origins: Readonly<Record<FieldName, string | null>>;
}

/** What was typed on the command line, by the fields' names. */
export type Flags = { readonly [Name in FieldName]?: string | readonly string[] | undefined };

/** Resolves the settings. Reads the config file, if there is one. Throws RIFF_CONFIG_INVALID. */
export function resolveSettings(
  flags: Flags,
  env: Environment,
  platform: NodeJS.Platform = process.platform,
): Settings {
  const problems: ConfigProblem[] = [];
  const file = readConfigFile(env, platform, problems);
  const sources: readonly Source[] = [
    ...(file === null
      ? []
      : [{ isFile: true, origin: () => file.path, given: (name: FieldName) => file.fields[name] }]),
    { isFile: false, origin: (name) => FIELDS[name].env, given: (name) => environmentValue(name, env) },
    { isFile: false, origin: (name) => FIELDS[name].flag ?? "", given: (name) => flagValue(flags[name]) },
  ];
  const chosen = new Map<FieldName, Chosen>();
  for (const source of sources) {
    for (const name of FIELD_NAMES) {
      const given = source.given(name);
      if (given === undefined) continue;
      const origin = source.origin(name);
      const texts = checked(name, given, { origin, isFile: source.isFile }, problems);
      if (texts !== null) chosen.set(name, { texts, origin, folder: source.isFile ? dirname(origin) : "" });
    }
  }
  const settings = assemble(chosen, env, platform, problems);
  if (problems.length > 0) throw configInvalid(problems);
  return settings;
}

interface Source {
  readonly isFile: boolean;
  origin(name: FieldName): string;
  given(name: FieldName): unknown;
}

/** What a field is given, and where relative paths begin (nothing: the current folder). */
interface Chosen {
  readonly texts: readonly string[];
  readonly origin: string;
  readonly folder: string;
}

function flagValue(given: string | readonly string[] | undefined): unknown {
  return given === undefined || given.length === 0 ? undefined : given;
}

/** Lists are separated by `:`; an empty variable counts as none. */
function environmentValue(name: FieldName, env: Environment): unknown {
  const text = env[FIELDS[name].env];
  if (!text) return undefined;
  if (!isList(FIELDS[name].kind)) return text;
  const parts = text.split(":").filter(Boolean);
  return parts.length === 0 ? undefined : parts;
}

/** The texts of a value that has the field's type; null, with problems noted, where something is wrong with it. */
function checked(
  name: FieldName,
  given: unknown,
  { origin, isFile }: { origin: string; isFile: boolean },
  problems: ConfigProblem[],
): string[] | null {
  const { kind } = FIELDS[name];
  const note = (text: string) => void problems.push({ field: name, origin, text });
  const values: unknown[] = isList(kind) && Array.isArray(given) ? given : [given];
  const fitsList = Array.isArray(given) === isList(kind);
  if (!fitsList || !values.every((value) => typeof value === "string")) {
    note(isList(kind) ? "is not a list of texts" : "is not a text");
    return null;
  }
  const faults = values.map((text) => faultOf(kind, text, isFile)).filter((fault) => fault !== null);
  for (const fault of faults) note(fault);
  return faults.length === 0 ? values : null;
}

function assemble(
  chosen: ReadonlyMap<FieldName, Chosen>,
  env: Environment,
  platform: NodeJS.Platform,
  problems: ConfigProblem[],
): Settings {
  const text = (name: FieldName) => chosen.get(name)?.texts[0] ?? null;
  const path = (name: FieldName) => paths(name)[0];
  const paths = (name: FieldName) => {
    const { texts = [], folder = "" } = chosen.get(name) ?? {};
    return texts.map((given) => resolve(folder, given.replace(/^~(?=\/|$)/, homedir())));
  };
  const password = (name: FieldName) => readPassword(name, path(name), chosen, problems);
  const { stateDir, storeDir } = resolvePaths(
    { ...env, RIFFD_STATE_DIR: path("state_dir"), RIFFD_STORE_DIR: path("store_dir") },
    platform,
  );
  return {
    projects: resolveProjects(paths("projects"), { ...env, RIFFD_PROJECTS: undefined }),
    include: chosen.get("include")?.texts ?? [],
    exclude: chosen.get("exclude")?.texts ?? [],
    operator: text("operator") ?? "cli",
    stateDir,
    storeDir,
    surrealdb: {
      url: text("surrealdb_url"),
      user: text("surrealdb_user"),
      pass: text("surrealdb_pass") ?? password("surrealdb_pass_file"),
      namespace: text("surrealdb_namespace"),
      database: text("surrealdb_database"),
      authLevel: text("surrealdb_auth_level") as Settings["surrealdb"]["authLevel"],
    },
    serve: { user: text("serve_user"), pass: text("serve_pass") ?? password("serve_pass_file") },
    origins: Object.fromEntries(
      FIELD_NAMES.map((name) => [name, chosen.get(name)?.origin ?? null]),
    ) as Settings["origins"],
  };
}

/** The first line of a file that only its owner can read. */
function readPassword(
  field: FieldName,
  file: string | undefined,
  chosen: ReadonlyMap<FieldName, Chosen>,
  problems: ConfigProblem[],
): string | null {
  if (file === undefined) return null;
  const note = (text: string) => void problems.push({ field, origin: chosen.get(field)!.origin, text });
  try {
    const mode = statSync(file).mode & 0o777;
    if ((mode & 0o077) !== 0) note(`can be read by others (mode ${mode.toString(8)}): chmod 600 ${file}`);
    const [line = ""] = readFileSync(file, "utf8").split(/\r?\n/);
    if (line === "") note(`has no password on its first line: ${file}`);
    return line;
  } catch (thrown) {
    note(`cannot be read: ${toError(thrown).message}`);
    return null;
  }
}

/** Where the config file is looked for: RIFFD_CONFIG, else the platform's folder for configuration. */
export function configPath(env: Environment, platform: NodeJS.Platform = process.platform): string {
  if (env.RIFFD_CONFIG) return resolve(env.RIFFD_CONFIG);
  if (platform === "darwin") return join(homedir(), "Library", "Application Support", "riffd", "config.json");
  const given = env.XDG_CONFIG_HOME;
  const folder = given !== undefined && isAbsolute(given) ? given : join(homedir(), ".config");
  return join(folder, "riffd", "config.json");
}

/** The members of the file that are fields; null where there is no file, which is fine unless one was named. */
function readConfigFile(
  env: Environment,
  platform: NodeJS.Platform,
  problems: ConfigProblem[],
): { path: string; fields: Partial<Record<FieldName, unknown>> } | null {
  const path = configPath(env, platform);
  if (!env.RIFFD_CONFIG && !existsSync(path)) return null;
  const note = (field: string, text: string) => void problems.push({ field, origin: path, text });
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (thrown) {
    const error = toError(thrown);
    note(
      "the file",
      systemCode(error) === undefined ? `is not JSON: ${error.message}` : `cannot be read: ${error.message}`,
    );
    return null;
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    note("the file", "is not a JSON object");
    return null;
  }
  const members = Object.entries(json);
  const isField = (name: string): name is FieldName => Object.hasOwn(FIELDS, name) && FIELDS[name as FieldName].inFile;
  for (const [name] of members) if (!isField(name)) note(name, adviceFor(name));
  return { path, fields: Object.fromEntries(members.filter(([name]) => isField(name))) };
}

function adviceFor(name: string): string {
  if (Object.hasOwn(FIELDS, name)) return `has no place in this file; put it into a ${name}_file`;
  const plain = name.toLowerCase().replaceAll(/[^a-z]/g, "");
  const near = FIELD_NAMES.find((field) => {
    const other = field.replaceAll("_", "");
    return plain.length > 3 && (other.startsWith(plain.slice(0, -1)) || plain.startsWith(other.slice(0, -1)));
  });
  return near === undefined ? "is not a field" : `is not a field; there is ${near}`;
}
