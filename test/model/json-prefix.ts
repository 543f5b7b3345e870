/**
 * Tells whether a whole JSON object stands at a position, could still come to stand there, or cannot.
 * It looks at bytes, one at a time, and shares nothing with the reader it is there to test.
 */

/** The end of the object (exclusive); `invalid`: no further bytes can make it whole; `incomplete`: some could. */
export type JsonPrefix = { readonly end: number } | "invalid" | "incomplete";

type Expected = "value" | "value or ]" | "key" | "key or }" | "colon" | "comma or }" | "comma or ]";

const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const NUMBER_BEGINNING = /^-?$|^-?(0|[1-9][0-9]*)(\.[0-9]*|(\.[0-9]+)?[eE][+-]?[0-9]*)?$/;

/** Checks the bytes `[start, limit)` for a JSON object that begins exactly at `start`. */
export function jsonObjectAt(bytes: Buffer, start: number, limit: number = bytes.length): JsonPrefix {
  if (start >= limit) return "incomplete";
  if (bytes[start] !== 0x7b) return "invalid";
  const open: ("{" | "[")[] = ["{"];
  let expected: Expected = "key or }";
  let at = start + 1;

  while (at < limit) {
    const char = String.fromCharCode(bytes[at]!);
    if (char === " " || char === "\t" || char === "\r" || char === "\n") {
      at += 1;
    } else if ((char === "}" && (expected === "key or }" || expected === "comma or }")) || isListEnd(char, expected)) {
      open.pop();
      at += 1;
      if (open.length === 0) return { end: at };
      expected = afterValue(open);
    } else if (expected === "colon") {
      if (char !== ":") return "invalid";
      expected = "value";
      at += 1;
    } else if (expected === "comma or }" || expected === "comma or ]") {
      if (char !== ",") return "invalid";
      expected = expected === "comma or }" ? "key" : "value";
      at += 1;
    } else if (expected === "key" || expected === "key or }") {
      const key = char === '"' ? stringAt(bytes, at, limit) : "invalid";
      if (typeof key === "string") return key;
      at = key.end;
      expected = "colon";
    } else if (char === "{") {
      open.push("{");
      expected = "key or }";
      at += 1;
    } else if (char === "[") {
      open.push("[");
      expected = "value or ]";
      at += 1;
    } else {
      const scalar = scalarAt(bytes, at, limit);
      if (typeof scalar === "string") return scalar;
      at = scalar.end;
      expected = afterValue(open);
    }
  }
  return "incomplete";
}

function isListEnd(char: string, expected: Expected): boolean {
  return char === "]" && (expected === "value or ]" || expected === "comma or ]");
}

function afterValue(open: readonly ("{" | "[")[]): Expected {
  return open.at(-1) === "{" ? "comma or }" : "comma or ]";
}

function scalarAt(bytes: Buffer, start: number, limit: number): JsonPrefix {
  const first = String.fromCharCode(bytes[start]!);
  if (first === '"') return stringAt(bytes, start, limit);
  for (const word of ["true", "false", "null"]) {
    if (first !== word[0]) continue;
    const found = bytes.toString("latin1", start, Math.min(limit, start + word.length));
    if (found === word) return { end: start + word.length };
    return word.startsWith(found) ? "incomplete" : "invalid";
  }
  let end = start;
  while (end < limit && "+-.0123456789eE".includes(String.fromCharCode(bytes[end]!))) end += 1;
  const digits = bytes.toString("latin1", start, end);
  if (digits === "") return "invalid";
  if (end === limit) return NUMBER_BEGINNING.test(digits) ? "incomplete" : "invalid";
  return NUMBER.test(digits) ? { end } : "invalid";
}

/** Bytes from 0x80 on are text whatever they are: decoding replaces what is not UTF-8 and never swallows ASCII. */
function stringAt(bytes: Buffer, start: number, limit: number): JsonPrefix {
  let at = start + 1;
  while (at < limit) {
    const byte = bytes[at]!;
    if (byte === 0x22) return { end: at + 1 };
    if (byte < 0x20) return "invalid";
    if (byte !== 0x5c) {
      at += 1;
      continue;
    }
    if (at + 1 === limit) return "incomplete";
    const escaped = String.fromCharCode(bytes[at + 1]!);
    if (escaped === "u") {
      const digits = bytes.toString("latin1", at + 2, Math.min(limit, at + 6));
      if (!/^[0-9a-fA-F]*$/.test(digits)) return "invalid";
      if (digits.length < 4) return "incomplete";
      at += 6;
    } else {
      if (!'"\\/bfnrt'.includes(escaped)) return "invalid";
      at += 2;
    }
  }
  return "incomplete";
}
