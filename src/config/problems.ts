// What may be wrong with a configuration, and how it is told.
import { RiffError } from "../errors.ts";
import { parseAddress } from "./address.ts";
import type { Field } from "./fields.ts";

/** Something that is wrong, and where it stands: a flag, a variable, or the path of the file. */
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

/** What is wrong with one text of a field, or null. Never holds the text of a password. */
export function faultOf(field: Field, text: string, isFromFile: boolean): string | null {
  if (text.trim() === "") return "is empty";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x1f\x7f]/.test(text)) return "has a control character in it";
  switch (field.kind) {
    case "boolean":
      return ["true", "false", "1", "0"].includes(text) ? null : `is "${text}"; it is true or false`;
    case "integer": {
      const isWithin = /^-?\d{1,15}$/.test(text) && Number(text) >= field.least && Number(text) <= field.most;
      return isWithin ? null : `is "${text}"; it is ${rangeOf(field)}`;
    }
    case "choice":
      return field.choices.includes(text) ? null : `is "${text}"; it is ${inWords(field.choices)}`;
    case "patterns":
      return text.startsWith("!") ? `has "${text}"; a pattern that keeps projects out belongs into exclude` : null;
    case "address":
      return text === "none" || parseAddress(text) !== null
        ? null
        : `is "${text}"; it is an address such as 127.0.0.1:8000, or none`;
    case "origins":
      return isOrigin(text) ? null : `has "${text}"; an origin is one such as https://tools.example.org`;
    case "url":
      return faultOfUrl(text, isFromFile);
    default:
      return null;
  }
}

/** "10 to 60,000 ms". */
export function rangeOf(field: { least: number; most: number; unit: string | null }): string {
  const [least, most] = [field.least, field.most].map((bound) => bound.toLocaleString("en-US"));
  return `${least} to ${most}${field.unit === null ? "" : ` ${field.unit}`}`;
}

/** "a, b or c". */
function inWords(choices: readonly string[]): string {
  return `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
}

function isOrigin(text: string): boolean {
  const scheme = /^([a-z][a-z\d+.-]*):\/\/[^/?#@\s]+$/i.exec(text)?.[1];
  return scheme !== undefined && URL.canParse(text);
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
