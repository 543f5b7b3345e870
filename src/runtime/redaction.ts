// What leaves in a log line: plain values, short, without credentials and without what people and Claude said. Whoever logs
// is to leave these out; this is for the day somebody does not.
import { RiffError, systemCode } from "../errors.ts";
import type { LogFields } from "../sync/logger.ts";

const HIDDEN = "[hidden]";

/** Names of fields that hold a credential, in any case, with or without a prefix: `surrealdb_pass`, `accessToken`. */
const CREDENTIAL_NAMES =
  /(^|_|-)(pass(word|phrase)?|secrets?|(access|refresh|session|id)?_?tokens?|authorization|cookies?|api_?keys?|credentials?)$/i;

/** Names under which riffd, its rows and transcripts keep what was said. */
const SPEECH_NAMES =
  /^(content|content_parts|body|text|line|raw|record|value|prompt|summary|title|old_value|new_value|input|output|thinking|tool_?use_?result)$/i;

/** Credentials that can be told by their form. */
const CREDENTIAL_FORMS: readonly (readonly [form: RegExp, instead: string])[] = [
  [/\b([a-z][a-z\d+.-]*:\/\/)[^\s/"'<>]*@/gi, `$1${HIDDEN}@`],
  [/\b([Bb]earer|Basic)\s+[\w.~+/=-]{12,}/g, `$1 ${HIDDEN}`],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, HIDDEN],
  [/\b(sk-|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abprs]-|AKIA)[\w-]{8,}/g, HIDDEN],
  [/\b(pass(?:word|wd)?|secret|token|api_?key)(["']?\s*[=:]\s*["']?)[^\s"',;&]+/gi, `$1$2${HIDDEN}`],
];

/** Shorter ones are words of ordinary texts and paths. */
const SHORTEST_SECRET = 6;
const LONGEST_TEXT = 1_000;
const LONGEST_STACK = 8_000;
/** Longer than a secret is. */
const REACH = 1_000;
const MOST_MEMBERS = 50;
const DEEPEST = 5;

/** Makes what is logged fit to be seen. `secrets` are hidden wherever they appear. */
export class Redaction {
  readonly #secrets: readonly string[];

  constructor(secrets: readonly string[]) {
    const known = secrets.filter((secret) => secret.length >= SHORTEST_SECRET);
    const forms = known.flatMap((secret) => [secret, encodeURIComponent(secret)]);
    // The longest first, so that none is hidden in part by another.
    this.#secrets = [...new Set(forms)].sort((a, b) => b.length - a.length);
  }

  fields(fields: LogFields): Record<string, unknown> {
    return this.#members(fields, 0);
  }

  text(text: string, longest = LONGEST_TEXT): string {
    // What is cut away is not looked through; where it was cut, a secret may have lost the half by which it is known.
    const isCut = text.length > longest + 2 * REACH;
    let clean = isCut ? text.slice(0, longest + 2 * REACH) : text;
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, HIDDEN);
    for (const [form, instead] of CREDENTIAL_FORMS) clean = clean.replaceAll(form, instead);
    const fit = Math.max(0, Math.min(longest, isCut ? clean.length - REACH : clean.length));
    return fit === clean.length ? clean : `${clean.slice(0, fit)}… (${text.length} characters)`;
  }

  #value(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
        return this.text(value);
      case "bigint":
        return String(value);
      case "function":
      case "symbol":
        return undefined;
      case "object":
        return value === null ? null : this.#object(value, depth);
      default:
        return value;
    }
  }

  #object(value: object, depth: number): unknown {
    if (value instanceof Error) return this.#error(value, depth);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (depth >= DEEPEST) return "[…]";
    if ("toJSON" in value && typeof value.toJSON === "function") return this.#value(value.toJSON(), depth + 1);
    if (value instanceof Map) return this.#members(Object.fromEntries(value), depth + 1);
    if (!Array.isArray(value) && !(value instanceof Set)) return this.#members(value, depth + 1);
    const items = Array.isArray(value) ? value : [...value];
    const shown = items.slice(0, MOST_MEMBERS).map((item: unknown) => this.#value(item, depth + 1));
    return items.length > MOST_MEMBERS ? [...shown, `… ${items.length - MOST_MEMBERS} more`] : shown;
  }

  #members(value: object, depth: number): Record<string, unknown> {
    const names = Object.keys(value).slice(0, MOST_MEMBERS);
    return Object.fromEntries(names.map((name) => [this.text(name), this.#member(value, name, depth)]));
  }

  #member(value: object, name: string, depth: number): unknown {
    try {
      const member: unknown = value[name as keyof typeof value];
      return isToBeHidden(name) ? hidden(member) : this.#value(member, depth);
    } catch {
      return "[unreadable]";
    }
  }

  /** A RiffError tells all that is to be known of it; of anything else the stack is wanted. */
  #error(error: Error, depth: number): unknown {
    if (error instanceof RiffError) {
      return { code: error.code, message: this.text(error.message), hint: this.text(error.hint) };
    }
    const code = systemCode(error);
    return {
      type: error.name,
      ...(code === undefined ? {} : { code }),
      message: this.text(error.message),
      // The stack begins with the message, which may be long.
      stack: this.text(stackOf(error), LONGEST_STACK),
      ...(error.cause === undefined || depth >= DEEPEST ? {} : { cause: this.#value(error.cause, depth + 1) }),
    };
  }
}

function stackOf({ stack = "" }: Error): string {
  const from = stack.search(/^\s+at /m);
  return from === -1 ? "" : stack.slice(from);
}

function isToBeHidden(name: string): boolean {
  const words = name.replaceAll(/([a-z\d])([A-Z])/g, "$1_$2");
  return SPEECH_NAMES.test(name) || CREDENTIAL_NAMES.test(words);
}

/** Whether there is one, or how many, may be of use. */
function hidden(value: unknown): unknown {
  return value === null || ["undefined", "boolean", "number"].includes(typeof value) ? value : HIDDEN;
}
