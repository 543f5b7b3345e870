// What is left of a value that was forgotten: a JSON object of exactly its length that holds only what the reader and
// the graph go by, so that every place, link, verdict and count stays as it was. docs/semantics.md, section 7.
import { timestampOf } from "./message.ts";

/** Members that stay where they are strings. */
const STRINGS: ReadonlySet<string> = new Set([
  "type",
  "subtype",
  "uuid",
  "parentUuid",
  "logicalParentUuid",
  "sessionId",
  "timestamp",
  "leafUuid",
  "messageId",
]);

const MARK = '"forgotten":true';
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = 0x7b;
const CLOSING = 0x7d;

/** Bytes that take the place of others. Between `head` and the last byte stand spaces; without a head it is filler. */
export interface Replacement {
  readonly offset: number;
  readonly length: number;
  readonly head: Buffer | null;
}

/** What replaces the value that stands at `offset`; `bytes` are exactly the value's. */
export function skeletonAt(offset: number, bytes: Buffer): Replacement {
  const kept = keptMembers(bytes);
  const room = bytes.length - 2 - kept.reduce((sum, part) => sum + part.length + 1, 0);
  if (room >= MARK.length) kept.push(Buffer.from(MARK));
  const parts = kept.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from(","), part]));
  return { offset, length: bytes.length, head: Buffer.concat([Buffer.from("{"), ...parts]) };
}

/** What replaces unreadable bytes: others that are read as one piece of the same range and for the same reason. */
export function fillerAt(offset: number, length: number): Replacement {
  return { offset, length, head: null };
}

/** The bytes with the replacements that reach into them; `bytes[0]` stands at `base`. The same buffer if none does. */
export function replaceIn(bytes: Buffer, base: number, replacements: Iterable<Replacement>): Buffer {
  let out = bytes;
  for (const { offset, length, head } of replacements) {
    const from = Math.max(0, offset - base);
    const to = Math.min(bytes.length, offset + length - base);
    if (from >= to) continue;
    if (out === bytes) out = Buffer.from(bytes);
    if (head === null) {
      out.fill("x", from, to);
      continue;
    }
    out.fill(SPACE, from, to);
    const start = from - (offset - base);
    if (start < head.length) head.copy(out, from, start, Math.min(head.length, start + to - from));
    if (offset + length - base <= bytes.length) out[offset + length - base - 1] = CLOSING;
  }
  return out;
}

/** The members that stay, as they are written; of a key that stands twice the last one counts, as for `JSON.parse`. */
function keptMembers(bytes: Buffer): Buffer[] {
  const kept = new Map<string, Buffer>();
  for (const { key, raw, value } of membersOf(bytes)) {
    const left = keep(key, value);
    if (left === null) kept.delete(key);
    else kept.set(key, Buffer.concat([raw, Buffer.from(":"), left]));
  }
  return [...kept.values()];
}

function keep(key: string, value: Buffer): Buffer | null {
  const first = value[0]!;
  if (key === "timestamp" && first === QUOTE && timestampOf(textOf(value)) === null) return null;
  if (STRINGS.has(key) && first === QUOTE) return value;
  // That there is the key makes an object a record.
  if (key === "parentUuid") return emptied(value);
  if (key === "isSidechain" && (first === 0x74 || first === 0x66)) return value;
  if (key === "message" && first === OPENING) return roleAlone(value);
  return null;
}

function emptied(value: Buffer): Buffer {
  switch (value[0]) {
    case OPENING:
      return Buffer.from("{}");
    case 0x5b:
      return Buffer.from("[]");
    case 0x74: // true, false, null
    case 0x66:
    case 0x6e:
      return value;
    default:
      return Buffer.from("0");
  }
}

function roleAlone(message: Buffer): Buffer | null {
  let role: Buffer | null = null;
  for (const { key, raw, value } of membersOf(message)) {
    if (key === "role") role = value[0] === QUOTE ? Buffer.concat([raw, Buffer.from(":"), value]) : null;
  }
  return role === null ? null : Buffer.concat([Buffer.from("{"), role, Buffer.from("}")]);
}

interface Member {
  readonly key: string;
  /** The key as it is written, with its quotes. */
  readonly raw: Buffer;
  readonly value: Buffer;
}

/** The members of an object, which must be whole. Nesting of any depth costs no stack. */
function* membersOf(bytes: Buffer): Generator<Member> {
  let i = skipSpace(bytes, 1);
  while (bytes[i] !== CLOSING) {
    const keyEnd = endOfString(bytes, i);
    const from = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1);
    const to = endOfValue(bytes, from);
    const raw = bytes.subarray(i, keyEnd);
    yield { key: textOf(raw), raw, value: bytes.subarray(from, to) };
    i = skipSpace(bytes, to);
    if (bytes[i] === 0x2c) i = skipSpace(bytes, i + 1);
  }
}

function endOfValue(bytes: Buffer, from: number): number {
  let depth = 0;
  let i = from;
  do {
    const byte = bytes[i]!;
    if (byte === QUOTE) {
      i = endOfString(bytes, i);
      continue;
    }
    if (byte === OPENING || byte === 0x5b) depth++;
    else if (byte === CLOSING || byte === 0x5d) depth--;
    i++;
  } while (depth > 0 || (!endsScalar(bytes[i]!) && !closes(bytes[i - 1]!)));
  return i;
}

/** Whether a value ended with this byte: a string, an object or an array. */
function closes(byte: number): boolean {
  return byte === QUOTE || byte === CLOSING || byte === 0x5d;
}

function endsScalar(byte: number): boolean {
  return byte === 0x2c || byte === CLOSING || byte === 0x5d || isSpace(byte);
}

function endOfString(bytes: Buffer, from: number): number {
  let i = from + 1;
  while (bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i + 1;
}

function skipSpace(bytes: Buffer, from: number): number {
  let i = from;
  while (isSpace(bytes[i]!)) i++;
  return i;
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === 0x09 || byte === 0x0d;
}

function textOf(token: Buffer): string {
  const value: unknown = JSON.parse(token.toString());
  return typeof value === "string" ? value : "";
}
