// Reads the envelope of a CBOR request and walks over its values without decoding them, so that they reach the engine
// as they came. Refused on the way: what is not well-formed, and the few values at which the native engine, which
// takes the whole process with it, panics.
import { invalidParams, invalidRequest, parseError, type RpcFailure } from "./failure.ts";

/** Levels of arrays, maps and tags. The engine's own reader gives up at 256. */
const MAX_DEPTH = 200;
/** Levels of brackets in a record id that is written as text: the engine's parser overflows its stack at some 3,000. */
const MAX_ID_BRACKETS = 100;
/** An id of a request is short; whatever it is, it goes back with the reply. */
const MAX_ID_BYTES = 1024;

const [BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE] = [2, 3, 4, 5, 6, 7] as const;
const INDEFINITE = 31;
const BREAK = 0xff;
const NULL = 0xf6;
const TAG_NONE = 6;
const TAG_RECORD_ID = 8;
const TAG_TEXT_UUID = 9;
const TAG_DURATION = 14;
const TAG_UUID = 37;

/** A request, with its values as they came. */
export interface Envelope {
  /** As it goes back; null if there was none. */
  readonly id: Uint8Array | null;
  readonly method: string;
  /** A whole CBOR array. */
  readonly params: Uint8Array;
  /** Uuids in lower case. */
  readonly session: string | null;
  readonly txn: string | null;
  /** A value in it must not reach the engine. */
  readonly refusal: RpcFailure | null;
}

const NO_PARAMS = Uint8Array.of(ARRAY << 5);
const ZERO = Uint8Array.of(0);
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads a whole frame. Throws `parseError` or `invalidRequest`. */
export function readEnvelope(frame: Uint8Array): Envelope {
  const walk = new Walk(frame);
  if (frame.length > 0 && frame[0]! >> 5 !== MAP) {
    walk.value();
    walk.end();
    throw invalidRequest("it is no object");
  }
  const fields = new Map<string, Uint8Array>();
  walk.entries((key) => fields.set(key, walk.value()));
  walk.end();
  const id = fields.get("id");
  if (id !== undefined && id.length > MAX_ID_BYTES) throw invalidRequest("id is too long");
  const method = asText(fields.get("method"));
  if (method === null) throw invalidRequest("method is no text");
  const params = fields.get("params");
  return {
    id: id === undefined || isNothing(id) ? null : id,
    method,
    params: params !== undefined && params[0]! >> 5 === ARRAY ? params : NO_PARAMS,
    session: readUuid(fields.get("session")),
    txn: readUuid(fields.get("txn")),
    refusal: walk.refusal,
  };
}

/** The elements of an array, as they came. */
export function elements(array: Uint8Array): Uint8Array[] {
  const walk = new Walk(array);
  const found: Uint8Array[] = [];
  walk.items(() => found.push(walk.value()));
  return found;
}

/** The first element of an array, as it came, without a look at the others. */
export function first(array: Uint8Array): Uint8Array | undefined {
  const walk = new Walk(array);
  const head = walk.head();
  const isIndefinite = (head & 31) === INDEFINITE;
  const isEmpty = isIndefinite ? array[1] === BREAK : walk.argument(head) === 0;
  return head >> 5 !== ARRAY || isEmpty ? undefined : walk.value();
}

/** The entries of a map, as they came; empty for anything else. */
export function entries(map: Uint8Array): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  if (map[0]! >> 5 !== MAP) return found;
  const walk = new Walk(map);
  walk.entries((key) => found.set(key, walk.value()));
  return found;
}

/** The text that a value is, or null. */
export function asText(value: Uint8Array | undefined): string | null {
  return value !== undefined && value[0]! >> 5 === TEXT ? new Walk(value).text() : null;
}

/** The uuid that a value is, by either tag, or null. */
export function asUuid(value: Uint8Array | undefined): string | null {
  if (value === undefined || value[0]! >> 5 !== TAG) return null;
  const walk = new Walk(value);
  const tag = walk.argument(walk.head());
  const content = value.subarray(walk.at);
  if (tag === TAG_TEXT_UUID) return uuidOf(asText(content));
  if (tag !== TAG_UUID || content.length !== 17 || content[0] !== ((BYTES << 5) | 16)) return null;
  return Buffer.from(content.subarray(1))
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function isNothing(value: Uint8Array): boolean {
  return value[0] === NULL || value[0] === ((TAG << 5) | TAG_NONE);
}

function readUuid(value: Uint8Array | undefined): string | null {
  if (value === undefined || isNothing(value)) return null;
  const uuid = asUuid(value) ?? uuidOf(asText(value));
  if (uuid === null) throw invalidRequest("session and txn are uuids");
  return uuid;
}

function uuidOf(text: string | null): string | null {
  const lower = text?.toLowerCase() ?? "";
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(lower) ? lower : null;
}

class Walk {
  at = 0;
  /** Why a value that was walked over must not reach the engine. */
  refusal: RpcFailure | null = null;
  readonly #bytes: Uint8Array;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The first byte of an item: three bits of major type, and five that hold or announce its argument. */
  head(): number {
    if (this.at >= this.#bytes.length) throw tooShort();
    return this.#bytes[this.at++]!;
  }

  /** The argument of a head. Numbers above 2^53 come rounded: no length is that large, and no number is read here. */
  argument(head: number): number {
    const info = head & 31;
    if (info < 24) return info;
    if (info > 27) throw parseError("an item has no length");
    const start = this.at;
    this.#pass(1 << (info - 24));
    let value = 0;
    for (let i = start; i < this.at; i++) value = value * 256 + this.#bytes[i]!;
    return value;
  }

  /** Walks over the next value and returns it. */
  value(): Uint8Array {
    const start = this.at;
    this.#skip();
    return this.#bytes.subarray(start, this.at);
  }

  /** Calls `visit` before each entry's value, which it must walk over. */
  entries(visit: (key: string) => void): void {
    const head = this.head();
    if (head >> 5 !== MAP) throw invalidRequest("it is no object");
    this.#each(head, () => visit(this.text()));
  }

  /** Calls `visit` before each element, which it must walk over. */
  items(visit: () => void): void {
    const head = this.head();
    if (head >> 5 !== ARRAY) throw invalidRequest("it is no array");
    this.#each(head, visit);
  }

  text(): string {
    const head = this.head();
    if (head >> 5 !== TEXT || (head & 31) === INDEFINITE) throw invalidRequest("a name is no text");
    const length = this.argument(head);
    const start = this.at;
    this.#pass(length);
    return decodeText(this.#bytes.subarray(start, this.at));
  }

  /** Nothing may follow. */
  end(): void {
    if (this.at !== this.#bytes.length) throw parseError("something follows the request");
  }

  #skip(): void {
    const head = this.head();
    const major = head >> 5;
    if (major < BYTES) this.argument(head);
    else if (major < ARRAY) this.#skipString(head);
    else if (major === SIMPLE) this.#skipSimple(head);
    else this.#skipNested(head, major);
  }

  #skipNested(head: number, major: number): void {
    if (++this.#depth > MAX_DEPTH) throw parseError(`values are nested deeper than ${MAX_DEPTH} levels`);
    if (major === TAG) this.#skipTagged(this.argument(head));
    else if (major === ARRAY) this.#each(head, () => this.#skip());
    else {
      this.#each(head, () => {
        this.#skip();
        this.#skip();
      });
    }
    this.#depth--;
  }

  #each(head: number, visit: () => void): void {
    if ((head & 31) === INDEFINITE) {
      while (this.#peek() !== BREAK) visit();
      this.at++;
      return;
    }
    const count = this.argument(head);
    // Each element is at least a byte: a count that lies is told at once, not after as many rounds.
    if (count > this.#bytes.length - this.at) throw tooShort();
    for (let i = 0; i < count; i++) visit();
  }

  #skipString(head: number): void {
    if ((head & 31) !== INDEFINITE) {
      this.#pass(this.argument(head));
      return;
    }
    while (this.#peek() !== BREAK) {
      const chunk = this.head();
      if (chunk >> 5 !== head >> 5 || (chunk & 31) === INDEFINITE) throw parseError("a string has a foreign chunk");
      this.#pass(this.argument(chunk));
    }
    this.at++;
  }

  #skipSimple(head: number): void {
    const info = head & 31;
    if (info < 20 || info === 24 || info > 27) throw parseError("an unknown simple value");
    this.argument(head);
  }

  #skipTagged(tag: number): void {
    const start = this.at;
    this.#skip();
    if (tag === TAG_DURATION && !isDuration(this.#bytes.subarray(start, this.at))) {
      this.refusal = invalidParams("A duration is an array of seconds and nanoseconds below a second");
    }
    if (tag === TAG_RECORD_ID && hasDeepText(this.#bytes.subarray(start, this.at))) {
      this.refusal = invalidParams(`A record id as text may not hold more than ${MAX_ID_BRACKETS} brackets`);
    }
  }

  #peek(): number {
    if (this.at >= this.#bytes.length) throw tooShort();
    return this.#bytes[this.at]!;
  }

  #pass(length: number): void {
    if (length > this.#bytes.length - this.at) throw tooShort();
    this.at += length;
  }
}

function tooShort(): RpcFailure {
  return parseError("it ends too early");
}

/** The engine panics where the nanoseconds carry the seconds beyond 64 bits. */
function isDuration(content: Uint8Array): boolean {
  if (content[0]! >> 5 !== ARRAY || (content[0]! & 31) > 2) return false;
  const parts = elements(content);
  if (parts.some((part) => part[0]! >> 5 !== 0)) return false;
  const nanoseconds = new Walk(parts[1] ?? ZERO);
  return nanoseconds.argument(nanoseconds.head()) < 1e9;
}

function hasDeepText(content: Uint8Array): boolean {
  if (content[0]! >> 5 !== TEXT) return false;
  // Bytes, not characters: a text in chunks counts too.
  let brackets = 0;
  for (const byte of content) if (byte === 0x5b || byte === 0x7b || byte === 0x28) brackets++;
  return brackets > MAX_ID_BRACKETS;
}

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw parseError("a text is not UTF-8");
  }
}
