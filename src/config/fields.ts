// The fields of riffd's configuration: where each may be given, and what is wrong with a value. docs/configuration.md
// lists the same table, and a test keeps both equal.
import { RiffError } from "../errors.ts";

/** What a field holds. Relative paths of the file are taken from the file's folder. */
export type FieldKind = "text" | "folder" | "folders" | "patterns" | "file" | "url" | "level";

export interface Field {
  readonly kind: FieldKind;
  readonly env: string;
  /** The option of those commands that use it. */
  readonly flag: string | null;
  /** A password has no place in the file. */
  readonly inFile: boolean;
}

/** By their names in the file. */
export const FIELDS = {
  projects: { kind: "folders", env: "RIFFD_PROJECTS", flag: "--projects", inFile: true },
  include: { kind: "patterns", env: "RIFFD_INCLUDE", flag: "--include", inFile: true },
  exclude: { kind: "patterns", env: "RIFFD_EXCLUDE", flag: "--exclude", inFile: true },
  operator: { kind: "text", env: "RIFFD_OPERATOR", flag: "--operator", inFile: true },
  state_dir: { kind: "folder", env: "RIFFD_STATE_DIR", flag: null, inFile: true },
  store_dir: { kind: "folder", env: "RIFFD_STORE_DIR", flag: null, inFile: true },
  surrealdb_url: { kind: "url", env: "SURREALDB_URL", flag: "--surrealdb-url", inFile: true },
  surrealdb_user: { kind: "text", env: "SURREALDB_USER", flag: null, inFile: true },
  surrealdb_pass: { kind: "text", env: "SURREALDB_PASS", flag: null, inFile: false },
  surrealdb_pass_file: { kind: "file", env: "SURREALDB_PASS_FILE", flag: null, inFile: true },
  surrealdb_namespace: { kind: "text", env: "SURREALDB_NS", flag: null, inFile: true },
  surrealdb_database: { kind: "text", env: "SURREALDB_DB", flag: null, inFile: true },
  surrealdb_auth_level: { kind: "level", env: "SURREALDB_AUTH_LEVEL", flag: null, inFile: true },
  serve_user: { kind: "text", env: "RIFFD_SERVE_USER", flag: "--user", inFile: true },
  serve_pass: { kind: "text", env: "RIFFD_SERVE_PASS", flag: null, inFile: false },
  serve_pass_file: { kind: "file", env: "RIFFD_SERVE_PASS_FILE", flag: null, inFile: true },
} as const satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;

export const FIELD_NAMES = Object.keys(FIELDS) as FieldName[];

/** Something that is wrong with a configuration, and where it stands: a flag, a variable, or the path of the file. */
export interface ConfigProblem {
  readonly field: string;
  readonly origin: string;
  /** Follows the field's name: "is not …". */
  readonly text: string;
}

/** Tells all problems at once. */
export function configInvalid(problems: readonly ConfigProblem[]): RiffError {
  const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
  const lines = problems.map(({ field, origin, text }) => `\n  ${field} (${origin}) ${text}`);
  return new RiffError(
    "RIFF_CONFIG_INVALID",
    `The configuration has ${count}:${lines.join("")}`,
    "Correct what is told; docs/configuration.md lists all fields and what they take.",
  );
}

export const isList = (kind: FieldKind): boolean => kind === "folders" || kind === "patterns";

/** What is wrong with one text of a field, or null. Never holds the text of a password. */
export function faultOf(kind: FieldKind, text: string, isFromFile: boolean): string | null {
  if (text.trim() === "") return "is empty";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x1f\x7f]/.test(text)) return "has a control character in it";
  switch (kind) {
    case "level":
      return ["root", "namespace", "database"].includes(text)
        ? null
        : `is "${text}"; it is root, namespace or database`;
    case "patterns":
      return text.startsWith("!") ? `has "${text}"; a pattern that keeps projects out belongs into exclude` : null;
    case "url":
      return faultOfUrl(text, isFromFile);
    default:
      return null;
  }
}

function faultOfUrl(text: string, isFromFile: boolean): string | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return "is not a URL; it is one such as ws://127.0.0.1:8000";
  }
  if (!["ws:", "wss:", "http:", "https:"].includes(url.protocol)) {
    return `begins with "${url.protocol}", which is no way to a SurrealDB server; ws:, wss:, http: and https: are`;
  }
  if (url.search !== "" || url.hash !== "") return `has a part after "${url.search[0] ?? "#"}"`;
  if (isFromFile && url.password !== "") return "holds a password; put that into a surrealdb_pass_file";
  return isPercentEncoded(url.username + url.password) ? null : "has a user or a password that is not percent-encoded";
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
