// A strict JSON scanner over bytes. `JSON.parse` tells neither where a value ends nor whether more bytes could still
// complete it; both decide what is salvaged from a damaged line (docs/semantics.md, section 1). It keeps its own stack,
// so nesting costs memory, never the call stack.

/** No JSON object can start here: a byte contradicts the grammar. */
export const INVALID = -1;
/** Everything up to the end of the range is a proper beginning of a JSON object. */
export const INCOMPLETE = -2;

const VALUE = 0; // a value must follow
const VALUE_OR_END = 1; // just after `[`
const KEY = 2; // a key must follow
const KEY_OR_END = 3; // just after `{`
const COLON = 4;
const AFTER = 5; // a value has ended: `,` or the end of its container

/** How many bytes the last `scanObject` looked at; the reader keeps its work linear with it. */
export let scannedBytes = 0;

/**
 * Scans the JSON object that starts at `bytes[start]`, reading nothing from `end` on. Returns the offset just past its
 * closing brace, or INVALID, or INCOMPLETE. Accepts exactly what `JSON.parse` accepts for the same bytes decoded as
 * UTF-8 with replacement.
 */
export function scanObject(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return finish(start, start, INCOMPLETE);
  if (bytes[start] !== 0x7b) return finish(start, start + 1, INVALID);
  let stack = new Uint8Array(64); // 1 = object, 0 = array
  let depth = 1;
  stack[0] = 1;
  let state = KEY_OR_END;
  let i = start + 1;
  while (i < end) {
    const byte = bytes[i]!;
    if (byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === 0x0a) {
      i++;
      continue;
    }
    switch (state) {
      case COLON:
        if (byte !== 0x3a) return finish(start, i, INVALID);
        state = VALUE;
        i++;
        continue;
      case AFTER: {
        const inObject = stack[depth - 1] === 1;
        if (byte === 0x2c) {
          state = inObject ? KEY : VALUE;
        } else if (byte === (inObject ? 0x7d : 0x5d)) {
          depth--;
          if (depth === 0) return finish(start, i, i + 1);
        } else return finish(start, i, INVALID);
        i++;
        continue;
      }
      case KEY:
      case KEY_OR_END: {
        if (byte === 0x7d && state === KEY_OR_END) {
          depth--;
          i++;
          if (depth === 0) return finish(start, i, i);
          state = AFTER;
          continue;
        }
        if (byte !== 0x22) return finish(start, i, INVALID);
        const next = scanString(bytes, i, end);
        if (next < 0) return finish(start, end, next);
        i = next;
        state = COLON;
        continue;
      }
      default:
        break;
    }
    // VALUE or VALUE_OR_END
    if (byte === 0x22) {
      const next = scanString(bytes, i, end);
      if (next < 0) return finish(start, end, next);
      i = next;
      state = AFTER;
    } else if (byte === 0x7b || byte === 0x5b) {
      if (depth === stack.length) {
        const larger = new Uint8Array(depth * 2);
        larger.set(stack);
        stack = larger;
      }
      stack[depth++] = byte === 0x7b ? 1 : 0;
      state = byte === 0x7b ? KEY_OR_END : VALUE_OR_END;
      i++;
    } else if (byte === 0x5d && state === VALUE_OR_END) {
      depth--;
      state = AFTER;
      i++;
    } else {
      const next = scanPrimitive(bytes, i, end, byte);
      if (next < 0) return finish(start, i, next);
      i = next;
      state = AFTER;
    }
  }
  return finish(start, end, INCOMPLETE);
}

function finish(start: number, at: number, result: number): number {
  scannedBytes = at - start + 1;
  return result;
}

/** The offset past the closing quote of the string that opens at `start`. */
function scanString(bytes: Uint8Array, start: number, end: number): number {
  let i = start + 1;
  while (i < end) {
    const byte = bytes[i]!;
    if (byte === 0x22) return i + 1;
    if (byte < 0x20) return INVALID;
    if (byte !== 0x5c) {
      i++;
      continue;
    }
    if (i + 1 >= end) return INCOMPLETE;
    const escaped = bytes[i + 1]!;
    if (escaped === 0x75) {
      for (let k = 2; k < 6; k++) {
        if (i + k >= end) return INCOMPLETE;
        if (!isHex(bytes[i + k]!)) return INVALID;
      }
      i += 6;
    } else if (ESCAPES.has(escaped)) i += 2;
    else return INVALID;
  }
  return INCOMPLETE;
}

const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));

function isHex(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

const WORDS = ["true", "false", "null"].map((word) => Buffer.from(word));

function scanPrimitive(bytes: Uint8Array, start: number, end: number, first: number): number {
  const word = WORDS.find((candidate) => candidate[0] === first);
  if (word !== undefined) {
    for (let k = 1; k < word.length; k++) {
      if (start + k >= end) return INCOMPLETE;
      if (bytes[start + k] !== word[k]) return INVALID;
    }
    return start + word.length;
  }
  return scanNumber(bytes, start, end);
}

function scanNumber(bytes: Uint8Array, start: number, end: number): number {
  let i = start;
  if (bytes[i] === 0x2d) i++;
  if (i >= end) return INCOMPLETE;
  if (bytes[i] === 0x30) i++;
  else if (isDigit(bytes[i])) while (i < end && isDigit(bytes[i])) i++;
  else return INVALID;
  if (i < end && bytes[i] === 0x2e) {
    i++;
    if (i >= end) return INCOMPLETE;
    if (!isDigit(bytes[i])) return INVALID;
    while (i < end && isDigit(bytes[i])) i++;
  }
  if (i < end && (bytes[i] === 0x65 || bytes[i] === 0x45)) {
    i++;
    if (i < end && (bytes[i] === 0x2b || bytes[i] === 0x2d)) i++;
    if (i >= end) return INCOMPLETE;
    if (!isDigit(bytes[i])) return INVALID;
    while (i < end && isDigit(bytes[i])) i++;
  }
  return i;
}
