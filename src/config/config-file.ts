// The config file: a JSON object whose members are fields.
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { systemCode, toError } from "../errors.ts";
import { FIELD_NAMES, FIELDS, type FieldName } from "./fields.ts";
import type { Environment } from "./paths.ts";
import type { ConfigProblem } from "./problems.ts";

export interface ConfigFile {
  readonly path: string;
  readonly members: Readonly<Partial<Record<FieldName, unknown>>>;
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
export function readConfigFile(
  env: Environment,
  platform: NodeJS.Platform,
  problems: ConfigProblem[],
): ConfigFile | null {
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
  return { path, members: Object.fromEntries(members.filter(([name]) => isField(name))) };
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
