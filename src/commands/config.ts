// riffd config: what the configuration is, where it is, and whether it is one.
import { existsSync } from "node:fs";
import { resolveSettings, type Settings } from "../config/config.ts";
import { configPath } from "../config/config-file.ts";
import { FIELD_NAMES, FIELDS, type Field, type FieldName } from "../config/fields.ts";
import type { Environment } from "../config/paths.ts";
import type { FieldValues } from "../config/values.ts";
import type { Output } from "./output.ts";

export interface ConfigOptions {
  readonly json: boolean;
}

/** Tells each field's value and where it came from; of a password only that there is one. Throws RIFF_CONFIG_INVALID. */
export function configShow({ json }: ConfigOptions, output: Output, env: Environment = process.env): number {
  const rows = tellFields(resolveSettings({}, env));
  if (json) {
    const members = rows.map(({ name, value, origin }) => [name, { value, origin }]);
    output.line(JSON.stringify(Object.fromEntries(members), null, 2));
    return 0;
  }
  const cells = rows.map(({ name, value, origin }) => [name, inWords(name, value), origin ?? "default"] as const);
  const [names, values] = [0, 1].map((column) => Math.max(...cells.map((row) => row[column]!.length)));
  for (const [name, value, origin] of cells) {
    output.line(`${name.padEnd(names!)}  ${value.padEnd(values!)}  ${origin}`);
  }
  return 0;
}

/** Tells where the config file is looked for, and whether there is one. */
export function configTellPath({ json }: ConfigOptions, output: Output, env: Environment = process.env): number {
  const path = configPath(env);
  const exists = existsSync(path);
  output.line(json ? JSON.stringify({ path, exists }) : path);
  if (!exists && !json) output.note("There is no file there; there need not be one.");
  return 0;
}

/**
 * Tells whether the configuration is valid, with this config file if one is named, and the environment as it is. Throws
 * RIFF_CONFIG_INVALID with all problems.
 */
export function configCheck(file: string | undefined, output: Output, env: Environment = process.env): number {
  const chosen = file === undefined ? env : { ...env, RIFFD_CONFIG: file };
  const { origins } = resolveSettings({}, chosen);
  const path = configPath(chosen);
  const sources = new Set(Object.values(origins).filter((origin) => origin !== null && origin !== path));
  const variables = sources.size === 0 ? "" : `, with ${[...sources].join(", ")}`;
  output.line(existsSync(path) ? `${path} is valid${variables}.` : `The configuration is valid${variables}; no file.`);
  return 0;
}

const HIDDEN = "(set)";

interface ToldField {
  readonly name: FieldName;
  readonly value: FieldValues[FieldName];
  readonly origin: string | null;
}

function tellFields({ values, origins }: Settings): ToldField[] {
  const fromFile: Partial<Record<FieldName, string | null>> = {
    surrealdb_pass: origins.surrealdb_pass_file,
    serve_pass: origins.serve_pass_file,
  };
  return FIELD_NAMES.map((name) => ({
    name,
    value: withoutSecrets(FIELDS[name], values[name]),
    origin: origins[name] ?? fromFile[name] ?? null,
  }));
}

function withoutSecrets({ kind }: Field, value: FieldValues[FieldName]): FieldValues[FieldName] {
  if (kind === "secret" && value !== null) return HIDDEN;
  return kind === "url" && typeof value === "string" ? withoutPassword(value) : value;
}

function withoutPassword(text: string): string {
  const url = new URL(text);
  if (url.password === "") return text;
  url.password = "";
  return url.href.replace("@", `:${HIDDEN}@`);
}

/** What is not given is told in the words of docs/configuration.md. */
function inWords(name: FieldName, value: FieldValues[FieldName]): string {
  const { otherwise }: Field = FIELDS[name];
  if (value === null || (Array.isArray(value) && value.length === 0)) return otherwise ? `(${otherwise})` : "-";
  return Array.isArray(value) ? value.join(", ") : String(value);
}
