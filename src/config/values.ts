// The value of each field: flags > environment > config file > defaults, with where it came from. All problems are noted.
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, resolve } from "node:path";
import { toError } from "../errors.ts";
import { readConfigFile } from "./config-file.ts";
import { type ChoiceField, FIELD_NAMES, FIELDS, type Field, type FieldName, separatorOf } from "./fields.ts";
import { type Environment, resolvePaths, resolveProjects } from "./paths.ts";
import { type ConfigProblem, faultOf } from "./problems.ts";

/** What was typed on the command line, by the fields' names. */
export type Flags = { readonly [Name in FieldName]?: string | boolean | readonly string[] | undefined };

/** What a field holds: a list, a number, truth, one of its choices, or a text; null where it has no default. */
type ValueOf<F extends Field> = F extends { kind: "folders" | "patterns" | "origins" }
  ? readonly string[]
  : F extends { kind: "integer" }
    ? number
    : F extends { kind: "boolean" }
      ? boolean
      : TextOf<F> | (F extends { default: string } ? never : null);

type TextOf<F extends Field> = F extends ChoiceField ? F["choices"][number] : string;

type GivenValues = { readonly [Name in FieldName]: ValueOf<(typeof FIELDS)[Name]> };

/** null: not given, and there is no default. Paths are absolute. A password is the one that counts, also from its file. */
export type FieldValues = GivenValues & { readonly state_dir: string; readonly store_dir: string };

/** Where each field was given: a flag, a variable, or the path of the file; null: nowhere, it is the default. */
export type Origins = Readonly<Record<FieldName, string | null>>;

export interface Resolved {
  readonly values: FieldValues;
  readonly origins: Origins;
  readonly problems: readonly ConfigProblem[];
}

/** Reads the config file, if there is one. Throws nothing: the values mean something only where there are no problems. */
export function resolveValues(flags: Flags, env: Environment, platform: NodeJS.Platform): Resolved {
  const problems: ConfigProblem[] = [];
  const chosen = new Map<FieldName, Chosen>();
  for (const source of sourcesOf(flags, env, platform, problems)) {
    for (const name of FIELD_NAMES) {
      const given = source.given(name);
      if (given === undefined) continue;
      const origin = source.origin(name);
      const texts = checked(name, given, { origin, isFile: source.isFile }, problems);
      if (texts !== null) chosen.set(name, { texts, origin, folder: source.isFile ? dirname(origin) : "" });
    }
  }
  return {
    values: withDefaults(chosen, env, platform, problems),
    origins: Object.fromEntries(FIELD_NAMES.map((name) => [name, chosen.get(name)?.origin ?? null])) as Origins,
    problems,
  };
}

interface Source {
  readonly isFile: boolean;
  origin(name: FieldName): string;
  given(name: FieldName): unknown;
}

/** The weakest first. */
function sourcesOf(flags: Flags, env: Environment, platform: NodeJS.Platform, problems: ConfigProblem[]): Source[] {
  const file = readConfigFile(env, platform, problems);
  const sources: Source[] = [
    { isFile: false, origin: (name) => FIELDS[name].env, given: (name) => environmentValue(FIELDS[name], env) },
    { isFile: false, origin: (name) => FIELDS[name].flag ?? "", given: (name) => flagValue(flags[name]) },
  ];
  if (file !== null) sources.unshift({ isFile: true, origin: () => file.path, given: (name) => file.members[name] });
  return sources;
}

/** What a field is given, and where relative paths begin (nothing: the current folder). */
interface Chosen {
  readonly texts: readonly string[];
  readonly origin: string;
  readonly folder: string;
}

function flagValue(given: Flags[FieldName]): unknown {
  if (typeof given === "boolean") return String(given);
  return given === undefined || given.length === 0 ? undefined : given;
}

/** An empty variable counts as none. */
function environmentValue(field: Field, env: Environment): unknown {
  const text = env[field.env];
  if (!text) return undefined;
  const separator = separatorOf(field);
  if (separator === null) return text;
  const parts = text.split(separator).filter(Boolean);
  return parts.length === 0 ? undefined : parts;
}

/** The texts of a value that has the field's type; null, with problems noted, where something is wrong with it. */
function checked(
  name: FieldName,
  given: unknown,
  { origin, isFile }: { origin: string; isFile: boolean },
  problems: ConfigProblem[],
): string[] | null {
  const field: Field = FIELDS[name];
  const note = (text: string) => void problems.push({ field: name, origin, text });
  const texts = textsOf(field, given, isFile);
  if (texts === null) {
    note(`is not ${typeName(field)}`);
    return null;
  }
  const faults = texts.map((text) => faultOf(field, text, isFile)).filter((fault) => fault !== null);
  for (const fault of faults) note(fault);
  return faults.length === 0 ? texts : null;
}

/** null: not of the field's type. In the file, numbers and truth are JSON's own. */
function textsOf(field: Field, given: unknown, isFile: boolean): string[] | null {
  const isList = separatorOf(field) !== null;
  if (Array.isArray(given) !== isList) return null;
  const type =
    isFile && field.kind === "integer" ? "number" : isFile && field.kind === "boolean" ? "boolean" : "string";
  const values: unknown[] = Array.isArray(given) ? given : [given];
  return values.every((value) => typeof value === type) ? values.map(String) : null;
}

function typeName(field: Field): string {
  if (separatorOf(field) !== null) return "a list of texts";
  if (field.kind === "integer") return "a number";
  return field.kind === "boolean" ? "true or false" : "a text";
}

function withDefaults(
  chosen: ReadonlyMap<FieldName, Chosen>,
  env: Environment,
  platform: NodeJS.Platform,
  problems: ConfigProblem[],
): FieldValues {
  const values = Object.fromEntries(FIELD_NAMES.map((name) => [name, typedValue(FIELDS[name], chosen.get(name))]));
  const given = values as GivenValues;
  const { stateDir, storeDir } = resolvePaths(
    { ...env, RIFFD_STATE_DIR: given.state_dir ?? undefined, RIFFD_STORE_DIR: given.store_dir ?? undefined },
    platform,
  );
  const password = (name: "surrealdb_pass_file" | "serve_pass_file") =>
    given[name] === null ? null : readPassword(name, given[name], chosen.get(name)!.origin, problems);
  const [surrealdbPass, servePass] = [password("surrealdb_pass_file"), password("serve_pass_file")];
  return {
    ...given,
    projects: resolveProjects(given.projects, { ...env, RIFFD_PROJECTS: undefined }),
    state_dir: stateDir,
    store_dir: storeDir,
    surrealdb_pass: given.surrealdb_pass ?? surrealdbPass,
    serve_pass: given.serve_pass ?? servePass,
    debounce_max_ms: debounceMax(given, chosen.get("debounce_max_ms")?.origin ?? null, problems),
    socket: socketOf(given.socket, chosen.get("socket")?.origin ?? null, problems),
  };
}

/** As it was given, with its type, or its default. */
function typedValue(field: Field, chosen: Chosen | undefined): unknown {
  if (chosen === undefined) return field.default ?? (separatorOf(field) === null ? null : []);
  const { texts, folder } = chosen;
  const paths = () => texts.map((text) => resolve(folder, text.replace(/^~(?=\/|$)/, homedir())));
  switch (field.kind) {
    case "integer":
      return Number(texts[0]);
    case "boolean":
      return texts[0] === "true" || texts[0] === "1";
    case "patterns":
    case "origins":
      return texts;
    case "folders":
      return paths();
    case "folder":
    case "file":
    case "socket":
      return paths()[0];
    default:
      return texts[0];
  }
}

/** A longer `debounce_ms` takes its default with it. */
function debounceMax(given: GivenValues, origin: string | null, problems: ConfigProblem[]): number {
  const { debounce_ms: least, debounce_max_ms: most } = given;
  if (most >= least) return most;
  if (origin !== null) {
    problems.push({ field: "debounce_max_ms", origin, text: `is ${most}, which is less than debounce_ms (${least})` });
  }
  return least;
}

/** Bytes of a Unix socket's address on macOS, without the final zero; Linux has 107. */
const LONGEST_SOCKET_PATH = 103;

function socketOf(path: string | null, origin: string | null, problems: ConfigProblem[]): string | null {
  if (path !== null && Buffer.byteLength(path) > LONGEST_SOCKET_PATH) {
    const text = `has a path of ${Buffer.byteLength(path)} bytes; that of a socket may have ${LONGEST_SOCKET_PATH}`;
    problems.push({ field: "socket", origin: origin ?? "", text });
  }
  return path;
}

/** The first line of a file that only its owner can read. */
function readPassword(field: FieldName, file: string, origin: string, problems: ConfigProblem[]): string | null {
  const note = (text: string) => void problems.push({ field, origin, text });
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
