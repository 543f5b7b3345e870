/**
 * The reference model: what riffd has to make of transcripts, computed as simply and slowly as can be.
 *
 * It follows docs/semantics.md section by section and keeps nothing but the archived bytes of each session and what
 * cannot be computed from them: verdicts once taken, the baseline, vanished messages and the events so far. Everything
 * else is read again from the first byte every time.
 */
import xxhash from "xxhash-wasm";
import { jsonObjectAt } from "./json-prefix.ts";

/** One file at one moment. */
export interface FileLook {
  /** Path below the projects root, `/`-separated, e.g. `-p/abc.jsonl`. */
  readonly path: string;
  readonly bytes: Buffer;
  /** Whether the file has been left alone long enough for its last line to count without a 0x0A. */
  readonly quiet: boolean;
}

/** All transcript files that exist at one moment. Files that are no transcripts are passed over. */
export type Snapshot = readonly FileLook[];

type ParentState = "root" | "resolved" | "external" | "pending" | "phantom";
type PieceReason = "nul" | "too_long" | "invalid" | "unfinished";
type FaultKind = "phantom" | "cycle" | "repeated_uuid" | "unreadable";
type EventType = "message_added" | "parent_repaired" | "content_updated" | "message_removed" | "corruption_fixed";

interface ModelMessage {
  readonly offset: number;
  readonly length: number;
  readonly message_uuid: string;
  readonly parent_uuid: string | null;
  readonly parent_state: ParentState;
  /** For external and phantom messages: another session that holds the parent, the smallest id of all that do. */
  readonly found_in: string | null;
  readonly message_type: string;
  readonly role: string | null;
  /** As `Date.prototype.toISOString` gives it. */
  readonly timestamp: string | null;
  readonly is_orphaned: boolean;
  readonly corruption_score: 0 | 1;
  readonly occurrence: number;
  readonly digest: string;
}

interface ModelRecord {
  readonly offset: number;
  readonly length: number;
  readonly record_type: string;
  readonly digest: string;
}

interface ModelPiece {
  readonly offset: number;
  readonly length: number;
  readonly reason: PieceReason;
}

interface ModelFault {
  readonly kind: FaultKind;
  readonly offset: number;
  /** Only of unreadable pieces. */
  readonly length?: number;
  readonly message_uuid: string | null;
  readonly parent_uuid: string | null;
  readonly cut_off: number;
  readonly note: boolean;
}

interface ModelEvent {
  readonly event_type: EventType;
  readonly message_uuid: string | null;
  readonly old_value: string | number | null;
  readonly new_value: string | number | null;
}

interface ModelRemoved {
  readonly message_uuid: string;
  readonly occurrence: number;
}

export interface ModelSession {
  readonly session_id: string;
  readonly kind: "main" | "agent";
  readonly project: string;
  readonly state: "live" | "gone";
  /** 1 for the first. */
  readonly generation: number;
  readonly messages: readonly ModelMessage[];
  readonly records: readonly ModelRecord[];
  readonly pieces: readonly ModelPiece[];
  /** By offset. */
  readonly faults: readonly ModelFault[];
  readonly message_count: number;
  readonly record_count: number;
  readonly conversation_count: number;
  readonly thread_count: number;
  readonly orphan_count: number;
  readonly unreadable_count: number;
  readonly cut_off_count: number;
  readonly corruption_score: number;
  readonly session_hash: string;
  /** The whole history, in order. */
  readonly events: readonly ModelEvent[];
  /** What an export gives back. */
  readonly archived: Buffer;
  /** Messages that vanished and have not come back, by uuid and occurrence. */
  readonly removed: readonly ModelRemoved[];
}

const { h64Raw } = await xxhash();
const MAX_LINE_BYTES = 64 * 1024 * 1024;

// 1. Values and pieces

/** A JSON object in a file, with its place. */
interface Value {
  readonly offset: number;
  readonly length: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** What a stretch of a file holds, in byte order. */
export interface Contents {
  readonly values: readonly Value[];
  readonly pieces: readonly ModelPiece[];
  /** Where reading has to begin again when bytes are added: the start of a provisional piece, else the end. */
  readonly parsedTo: number;
}

/**
 * Reads values and pieces of a file from `from`, which is the start of the file or the `parsedTo` of an earlier reading
 * of a beginning of it. A last line without 0x0A is read by the rules for quiet files.
 */
export function readContents(bytes: Buffer, from = 0): Contents {
  const values: Value[] = [];
  const pieces: ModelPiece[] = [];
  let parsedTo = bytes.length;
  let at = from;
  while (at < bytes.length) {
    const newline = bytes.indexOf(0x0a, at);
    const end = newline === -1 ? bytes.length : newline;
    const provisional = readLine(bytes, at, end, newline !== -1, values, pieces);
    if (provisional !== null) parsedTo = provisional;
    at = end + 1;
  }
  return { values, pieces, parsedTo };
}

/** Reads one line, or the rest of one; gives back the start of its provisional piece, if it has one. */
function readLine(
  bytes: Buffer,
  from: number,
  end: number,
  finished: boolean,
  values: Value[],
  pieces: ModelPiece[],
): number | null {
  let at = skipSpace(bytes, from, end);
  const lineStart = bytes.subarray(0, from).lastIndexOf(0x0a) + 1;
  if (end - lineStart > MAX_LINE_BYTES) {
    const pieceEnd = trimSpace(bytes, at, end);
    if (pieceEnd > at) pieces.push({ offset: at, length: pieceEnd - at, reason: "too_long" });
    return finished || pieceEnd === at ? null : at;
  }
  while (at < end) {
    const whole = jsonObjectAt(bytes, at, end);
    if (typeof whole === "object") {
      values.push(valueAt(bytes, at, whole.end));
      at = skipSpace(bytes, whole.end, end);
      continue;
    }
    const next = findNextValue(bytes, at, end, finished);
    const pieceEnd = trimSpace(bytes, at, next ?? end);
    const nul = bytes.subarray(at, pieceEnd).every((byte) => byte === 0 || isSpace(byte));
    const provisional = next === null && !finished;
    pieces.push({
      offset: at,
      length: pieceEnd - at,
      reason: nul ? "nul" : provisional ? "unfinished" : "invalid",
    });
    if (next === null) return provisional ? at : null;
    at = next;
  }
  return null;
}

/** Where the value stands that ends the piece beginning at `from`, or null when the piece takes the rest of the line. */
function findNextValue(bytes: Buffer, from: number, end: number, finished: boolean): number | null {
  if (bytes[from] === 0) {
    let afterNuls = from;
    while (afterNuls < end && (bytes[afterNuls] === 0 || isSpace(bytes[afterNuls]!))) afterNuls += 1;
    if (typeof jsonObjectAt(bytes, afterNuls, end) === "object") return afterNuls;
  }
  for (let at = from; at < end; at += 1) {
    if (bytes[at] !== 0x7b) continue;
    const whole = jsonObjectAt(bytes, at, end);
    if (whole === "incomplete" && !finished) return null;
    if (typeof whole === "object" && isRecordLike(valueAt(bytes, at, whole.end).json)) return at;
  }
  return null;
}

function isRecordLike(json: Readonly<Record<string, unknown>>): boolean {
  if (typeof json.type !== "string") return false;
  if (typeof json.sessionId === "string" || typeof json.leafUuid === "string") return true;
  if (typeof json.uuid === "string" && Object.hasOwn(json, "parentUuid")) return true;
  return json.type === "file-history-snapshot" && typeof json.messageId === "string";
}

function valueAt(bytes: Buffer, start: number, end: number): Value {
  return { offset: start, length: end - start, json: JSON.parse(bytes.toString("utf8", start, end)) };
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

function skipSpace(bytes: Buffer, from: number, end: number): number {
  let at = from;
  if (at === 0 && end >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) at = 3;
  while (at < end && isSpace(bytes[at]!)) at += 1;
  return at;
}

function trimSpace(bytes: Buffer, from: number, end: number): number {
  let at = end;
  while (at > from && isSpace(bytes[at - 1]!)) at -= 1;
  return at;
}

// 2. Messages and records

interface ReadMessage {
  readonly offset: number;
  readonly length: number;
  readonly uuid: string;
  readonly parent: string | null;
  readonly type: string;
  readonly role: string | null;
  readonly timestamp: string | null;
  readonly occurrence: number;
  readonly digest: string;
  readonly isBoundary: boolean;
  /** Canonical JSON without `parentUuid`. */
  readonly content: string;
}

interface Reading {
  readonly messages: readonly ReadMessage[];
  readonly records: readonly ModelRecord[];
  readonly pieces: readonly ModelPiece[];
}

function read(archived: Buffer): Reading {
  const { values, pieces } = readContents(archived);
  const messages: ReadMessage[] = [];
  const records: ModelRecord[] = [];
  for (const { offset, length, json } of values) {
    const digest = hex(h64Raw(archived.subarray(offset, offset + length)));
    const type = typeof json.type === "string" ? wellFormed(json.type) : "unknown";
    if (typeof json.uuid !== "string" || json.uuid === "") {
      records.push({ offset, length, record_type: type, digest });
      continue;
    }
    const uuid = wellFormed(json.uuid);
    const role = (json.message as { role?: unknown } | null | undefined)?.role;
    const { parentUuid, ...rest } = json;
    messages.push({
      offset,
      length,
      uuid,
      parent: typeof parentUuid === "string" && parentUuid !== "" ? wellFormed(parentUuid) : null,
      type,
      role: typeof role === "string" ? wellFormed(role) : null,
      timestamp: parseTimestamp(json.timestamp),
      occurrence: 1 + messages.filter((earlier) => earlier.uuid === uuid).length,
      digest,
      isBoundary: json.subtype === "compact_boundary",
      content: canonicalJson(rest),
    });
  }
  return { messages, records, pieces };
}

/** Keys sorted by UTF-16 code units, no spaces, numbers as JavaScript prints them, lone surrogates as U+FFFD. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "string") return JSON.stringify(wellFormed(value));
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => compare(a, b));
  return `{${members.map(([key, member]) => `${JSON.stringify(wellFormed(key))}:${canonicalJson(member)}`).join(",")}}`;
}

function parseTimestamp(value: unknown): string | null {
  if (typeof value !== "string") return null;
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?$/.test(value)) return null;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function sessionHash(messages: readonly ReadMessage[]): string {
  let hash = 0n;
  for (const { uuid, parent, digest } of messages) {
    const before = Buffer.alloc(8);
    before.writeBigUInt64BE(hash);
    hash = h64Raw(Buffer.concat([before, Buffer.from(`${uuid}\0${parent ?? ""}\0${digest}`)]));
  }
  return hex(hash);
}

function hex(hash: bigint): string {
  return hash.toString(16).padStart(16, "0");
}

/** Text as a database can hold it. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

/** By UTF-16 code units. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isConversation(message: ReadMessage): boolean {
  return message.type === "user" || message.type === "assistant";
}

// 3. Sessions

interface Transcript {
  readonly project: string;
  readonly kind: "main" | "agent";
  /** The session id it asks for; another session may have it already. */
  readonly id: string;
}

/** What a path and a file's records say about it, or null if it is no transcript. */
function findTranscript(path: string, readClaim: () => string | null): Transcript | null {
  const parts = path.split("/");
  const name = parts.at(-1)!;
  const stem = name.slice(0, -".jsonl".length);
  const project = parts[0]!;
  if (!name.endsWith(".jsonl") || stem === "") return null;
  const isAgent = stem.startsWith("agent-");
  if (parts.length >= 4 && parts[2] === "subagents" && isAgent)
    return { project, kind: "agent", id: `${parts[1]}/${stem}` };
  if (parts.length !== 2) return null;
  if (!isAgent) return { project, kind: "main", id: stem };
  const claim = readClaim();
  return { project, kind: "agent", id: claim === null ? stem : `${claim}/${stem}` };
}

/** The first `sessionId` among the values of a file. */
function firstSessionId(archived: Buffer): string | null {
  for (const { json } of readContents(archived).values) {
    if (typeof json.sessionId === "string" && json.sessionId !== "") return wellFormed(json.sessionId);
  }
  return null;
}

/** The session that the agent `<parent>/agent-<word>-<id>` serves, or null for a session that is no service agent. */
function findServed(id: string): { readonly parent: string | null } | null {
  const match = /^(?:(.*)\/)?agent-[A-Za-z_]+-[^/]*$/s.exec(id);
  return match === null ? null : { parent: match[1] ?? null };
}

// 4. Parents

interface Verdict {
  readonly state: ParentState;
  readonly foundIn: string | null;
}

const RESOLVED: Verdict = { state: "resolved", foundIn: null };
const ROOT: Verdict = { state: "root", foundIn: null };
const PENDING: Verdict = { state: "pending", foundIn: null };

/**
 * Verdicts that the file alone can give. A parent that is not in the file keeps the verdict it had, if its message was
 * there before, and is pending otherwise.
 */
function decideInFile(reading: Reading, before: ReadonlyMap<number, Verdict>): Map<number, Verdict> {
  const verdicts = new Map<number, Verdict>();
  for (const { offset, parent } of reading.messages) {
    if (parent === null) verdicts.set(offset, ROOT);
    else if (reading.messages.some(({ uuid }) => uuid === parent)) verdicts.set(offset, RESOLVED);
    else verdicts.set(offset, before.get(offset) ?? PENDING);
  }
  return verdicts;
}

/** The verdict on a parent that is not in the file. */
function decideElsewhere(facts: {
  readonly foundIn: string | null;
  readonly mayBeExternal: boolean;
  readonly isLive: boolean;
  readonly before: ParentState;
}): Verdict {
  if (facts.foundIn !== null && facts.mayBeExternal) return { state: "external", foundIn: facts.foundIn };
  // Decided once while the file was quiet, a phantom does not become pending when the file is written to again.
  if (facts.isLive && facts.before !== "phantom") return PENDING;
  return { state: "phantom", foundIn: facts.foundIn };
}

// 5. Faults and score

interface Judgement {
  readonly faults: readonly ModelFault[];
  readonly conversationCount: number;
  readonly threadCount: number;
  readonly orphanCount: number;
  readonly unreadableCount: number;
  readonly cutOffCount: number;
  /** Cut off records plus unreadable pieces. */
  readonly damage: number;
  readonly score: number;
}

/** `isExcused`: phantoms of this session cut nothing off, because the session it serves is not known. */
function judge(reading: Reading, verdicts: ReadonlyMap<number, Verdict>, isExcused: boolean): Judgement {
  const { messages, pieces } = reading;
  const nodes = messages.filter(({ occurrence }) => occurrence === 1);
  const stateOf = (message: ReadMessage): ParentState => verdicts.get(message.offset)!.state;
  const parentOf = (node: ReadMessage): ReadMessage => nodes.find(({ uuid }) => uuid === node.parent)!;

  // Every node hangs in the tree of one top: a node that is not resolved, or the lowest member of a cycle.
  const topOf = (node: ReadMessage): ReadMessage => {
    const path = [node];
    for (;;) {
      const last = path.at(-1)!;
      if (stateOf(last) !== "resolved") return last;
      const parent = parentOf(last);
      const entry = path.indexOf(parent);
      if (entry !== -1) return path.slice(entry).reduce((a, b) => (a.offset < b.offset ? a : b));
      path.push(parent);
    }
  };
  const trees = new Map<ReadMessage, number>();
  for (const node of nodes) {
    const top = topOf(node);
    trees.set(top, (trees.get(top) ?? 0) + (isConversation(node) ? 1 : 0));
  }

  const faults: ModelFault[] = pieces.map(({ offset, length }) => ({
    kind: "unreadable",
    offset,
    length,
    message_uuid: null,
    parent_uuid: null,
    cut_off: 0,
    note: false,
  }));
  const tell = (kind: FaultKind, { offset, uuid, parent }: ReadMessage, cutOff: number) =>
    faults.push({ kind, offset, message_uuid: uuid, parent_uuid: parent, cut_off: cutOff, note: cutOff === 0 });
  for (const [top, conversation] of trees) {
    const isHead = top === messages[0];
    if (stateOf(top) === "phantom") tell("phantom", top, isHead || isExcused ? 0 : conversation);
    if (stateOf(top) === "resolved") tell("cycle", top, conversation);
  }
  for (const message of messages) {
    const first = nodes.find(({ uuid }) => uuid === message.uuid)!;
    if (message.parent !== first.parent) tell("repeated_uuid", message, isConversation(message) ? 1 : 0);
  }
  faults.sort((a, b) => a.offset - b.offset);

  const conversationCount = messages.filter(isConversation).length;
  const cutOffCount = faults.reduce((sum, fault) => sum + fault.cut_off, 0);
  const damage = cutOffCount + pieces.length;
  const continued = [...trees.keys()].filter(
    (top) => stateOf(top) === "root" && top.isBoundary && top !== messages[0],
  ).length;
  return {
    faults,
    conversationCount,
    threadCount: trees.size - continued,
    orphanCount: messages.filter((message) => stateOf(message) === "phantom").length,
    unreadableCount: pieces.length,
    cutOffCount,
    damage,
    score: damage === 0 ? 0 : damage / (conversationCount + pieces.length),
  };
}

// 6. Looks, generations and events

interface Session {
  readonly id: string;
  readonly kind: "main" | "agent";
  project: string;
  /** Of the file it belongs to. */
  path: string;
  exists: boolean;
  quiet: boolean;
  generation: number;
  archived: Buffer;
  baseline: number;
  reading: Reading;
  verdicts: Map<number, Verdict>;
  isExcused: boolean;
  judgement: Judgement;
  /** What the next settling is compared with for `corruption_fixed`. */
  compareWith: Judgement;
  /** What was before a new generation whose verdicts are not settled at a quiet file yet. */
  beforeRewrite: Judgement | null;
  readonly events: ModelEvent[];
  readonly removed: Map<string, ModelRemoved>;
  /** Its file is there; of a session that was forgotten this may be so though it counts as gone. */
  isPresent: boolean;
  isForgotten: boolean;
}

const NOTHING_READ: Reading = { messages: [], records: [], pieces: [] };

/** Takes in snapshots, one after the other, and tells what the sessions are after the last of them. */
export class Model {
  readonly #sessions: Session[] = [];
  readonly #forgotten = new Set<string>();

  /** The message with this uuid is forgotten: what it said, now and later, is not known. */
  forget(uuid: string): void {
    this.#forgotten.add(uuid);
  }

  /** A session and its subagents are forgotten: their files are not read any more. */
  forgetSession(id: string): void {
    for (const session of this.#sessions) {
      if (session.id === id || session.id.startsWith(`${id}/`)) session.isForgotten = true;
    }
  }

  /** What is left in the archive of a session's bytes; `replace` gives what stands for a value or piece. */
  leftOf(id: string, replace: (kind: "value" | "piece", offset: number, bytes: Buffer) => Buffer): Buffer {
    const { archived, isForgotten } = this.#sessions.find((session) => session.id === id)!;
    const left = Buffer.from(archived);
    const { values, pieces } = readContents(archived);
    for (const { offset, length, json } of values) {
      const isNamed = typeof json.uuid === "string" && this.#forgotten.has(wellFormed(json.uuid));
      if (isNamed || isForgotten)
        replace("value", offset, archived.subarray(offset, offset + length)).copy(left, offset);
    }
    for (const { offset, length, reason } of pieces) {
      if (!isForgotten || reason === "nul") continue;
      replace("piece", offset, archived.subarray(offset, offset + length)).copy(left, offset);
    }
    return left;
  }

  /** Reads every file of the snapshot in the order of their paths, then settles all verdicts. */
  see(snapshot: Snapshot): void {
    const existing = new Set(snapshot.map(({ path }) => path));
    for (const session of this.#sessions) {
      session.isPresent = existing.has(session.path);
      // A file that comes back is not looked at either.
      session.exists = session.isPresent && (session.exists || !session.isForgotten);
    }
    for (const look of [...snapshot].sort((a, b) => compare(a.path, b.path))) {
      const session = this.#sessions.find(({ path }) => path === look.path) ?? this.#admit(look);
      if (session !== null && !session.isForgotten) readLook(session, look, this.#forgotten);
    }
    this.#settle();
  }

  /** All sessions that were ever seen, sorted by id. */
  sessions(): ModelSession[] {
    return [...this.#sessions].sort((a, b) => compare(a.id, b.id)).map(present);
  }

  /** Finds or makes the session of a file that was not known. */
  #admit(look: FileLook): Session | null {
    const archived = look.quiet ? look.bytes : wholeLines(look.bytes);
    const transcript = findTranscript(look.path, () => firstSessionId(archived));
    if (transcript === null) return null;
    const { id: wanted, kind, project } = transcript;
    const second = `${wanted}@${project}`;
    const third = `${second}#${hex(h64Raw(Buffer.from(look.path))).slice(0, 8)}`;
    if (this.#sessions.some((session) => session.isForgotten && wanted.startsWith(`${session.id}/`))) return null;
    for (const id of [wanted, second, third]) {
      const owner = this.#sessions.find((session) => session.id === id);
      if (owner?.isPresent === true) continue;
      if (owner !== undefined) return owner;
      const judgement = judge(NOTHING_READ, new Map(), false);
      const session: Session = {
        id,
        kind,
        project,
        path: look.path,
        exists: true,
        quiet: look.quiet,
        generation: 1,
        archived: Buffer.alloc(0),
        baseline: look.bytes.length,
        reading: NOTHING_READ,
        verdicts: new Map(),
        isExcused: false,
        judgement,
        compareWith: judgement,
        beforeRewrite: null,
        events: [],
        removed: new Map(),
        isPresent: true,
        isForgotten: false,
      };
      this.#sessions.push(session);
      return session;
    }
    throw new Error(`no session id is free for ${look.path}`);
  }

  /** Decides what depends on other sessions and on files having fallen quiet. */
  #settle(): void {
    for (const session of this.#sessions) {
      const { reading, verdicts } = session;
      for (const { offset, parent } of reading.messages) {
        const before = verdicts.get(offset)!.state;
        if (parent === null || before === "resolved") continue;
        const foundIn = this.#sessions
          .filter((other) => other !== session && other.reading.messages.some(({ uuid }) => uuid === parent))
          .map(({ id }) => id)
          .sort(compare)[0];
        const verdict = decideElsewhere({
          foundIn: foundIn ?? null,
          mayBeExternal: session.kind === "agent" || offset === reading.messages[0]!.offset,
          isLive: session.exists && !session.quiet,
          before,
        });
        verdicts.set(offset, verdict);
      }
      const served = session.kind === "agent" ? findServed(session.id) : null;
      session.isExcused = served !== null && !this.#sessions.some(({ id }) => id === served.parent);
      session.judgement = judge(reading, verdicts, session.isExcused);
      if (session.beforeRewrite === null) noteFixed(session, session.compareWith);
      else if (session.quiet || !session.exists) {
        noteFixed(session, session.beforeRewrite);
        session.beforeRewrite = null;
      }
      session.compareWith = session.judgement;
    }
  }
}

/** One reading of the session's file: archives, reads, decides what the file alone can tell, and logs. */
function readLook(session: Session, look: FileLook, forgotten: ReadonlySet<string>): void {
  session.path = look.path;
  session.project = look.path.split("/")[0]!;
  session.exists = true;
  session.isPresent = true;
  session.quiet = look.quiet;
  const archived = look.quiet ? look.bytes : wholeLines(look.bytes);
  const isContinued = look.bytes.subarray(0, session.archived.length).equals(session.archived);
  if (isContinued) readAppended(session, archived.length > session.archived.length ? archived : session.archived);
  else readRewritten(session, archived, forgotten);
  for (const { uuid, occurrence } of session.reading.messages) session.removed.delete(keyOf(uuid, occurrence));
}

function readAppended(session: Session, archived: Buffer): void {
  const known = new Set(session.reading.messages.map(({ offset }) => offset));
  const before = session.judgement;
  session.archived = archived;
  session.reading = read(archived);
  for (const message of session.reading.messages) {
    if (known.delete(message.offset) || message.offset + message.length <= session.baseline) continue;
    log(session, "message_added", message.uuid, null, message.digest);
  }
  if (known.size > 0) throw new Error("a message that had been read was not there when bytes were added");
  session.verdicts = decideInFile(session.reading, session.verdicts);
  session.judgement = judge(session.reading, session.verdicts, session.isExcused);
  if (session.beforeRewrite === null) noteFixed(session, before);
  session.compareWith = session.judgement;
}

function readRewritten(session: Session, archived: Buffer, forgotten: ReadonlySet<string>): void {
  const before = session.reading.messages;
  session.generation += 1;
  session.archived = archived;
  session.baseline = archived.length;
  session.reading = read(archived);
  const after = session.reading.messages;
  for (const message of after) {
    const old = before.find(({ uuid, occurrence }) => uuid === message.uuid && occurrence === message.occurrence);
    if (old === undefined) {
      log(session, "message_added", message.uuid, null, message.digest);
      continue;
    }
    if (old.parent !== message.parent) log(session, "parent_repaired", message.uuid, old.parent, message.parent);
    if (forgotten.has(message.uuid)) continue;
    if (old.content !== message.content) log(session, "content_updated", message.uuid, old.digest, message.digest);
  }
  for (const { uuid, occurrence, digest } of before) {
    if (after.some((message) => message.uuid === uuid && message.occurrence === occurrence)) continue;
    session.removed.set(keyOf(uuid, occurrence), { message_uuid: uuid, occurrence });
    log(session, "message_removed", uuid, digest, null);
  }
  // Whether damage fell is decided when the verdicts of the new generation are settled, against what was before it.
  session.beforeRewrite ??= session.judgement;
  session.verdicts = decideInFile(session.reading, new Map());
}

function wholeLines(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1);
}

function keyOf(uuid: string, occurrence: number): string {
  return `${occurrence} ${uuid}`;
}

function log(
  session: Session,
  event_type: EventType,
  message_uuid: string | null,
  old_value: string | number | null,
  new_value: string | number | null,
): void {
  session.events.push({ event_type, message_uuid, old_value, new_value });
}

function noteFixed(session: Session, before: Judgement): void {
  if (session.judgement.damage < before.damage)
    log(session, "corruption_fixed", null, before.score, session.judgement.score);
}

function present(session: Session): ModelSession {
  const { reading, verdicts, judgement } = session;
  const faulty = new Set(judgement.faults.filter(({ cut_off }) => cut_off > 0).map(({ offset }) => offset));
  return {
    session_id: session.id,
    kind: session.kind,
    project: session.project,
    state: session.exists ? "live" : "gone",
    generation: session.generation,
    messages: reading.messages.map((message): ModelMessage => {
      const { state, foundIn } = verdicts.get(message.offset)!;
      return {
        offset: message.offset,
        length: message.length,
        message_uuid: message.uuid,
        parent_uuid: message.parent,
        parent_state: state,
        found_in: foundIn,
        message_type: message.type,
        role: message.role,
        timestamp: message.timestamp,
        is_orphaned: state === "phantom",
        corruption_score: faulty.has(message.offset) ? 1 : 0,
        occurrence: message.occurrence,
        digest: message.digest,
      };
    }),
    records: reading.records,
    pieces: reading.pieces,
    faults: judgement.faults,
    message_count: reading.messages.length,
    record_count: reading.records.length,
    conversation_count: judgement.conversationCount,
    thread_count: judgement.threadCount,
    orphan_count: judgement.orphanCount,
    unreadable_count: judgement.unreadableCount,
    cut_off_count: judgement.cutOffCount,
    corruption_score: judgement.score,
    session_hash: sessionHash(reading.messages),
    events: [...session.events],
    archived: session.archived,
    removed: [...session.removed.values()].sort(
      (a, b) => compare(a.message_uuid, b.message_uuid) || a.occurrence - b.occurrence,
    ),
  };
}
