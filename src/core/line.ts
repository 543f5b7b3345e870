// One line of a transcript → the whole JSON objects on it and the unreadable pieces between them.
// The rules are docs/semantics.md, section 1. A healthy line costs one `JSON.parse`; only damage is scanned.
import { isAscii } from "node:buffer";
import { INCOMPLETE, scannedBytes, scanObject } from "./json-scan.ts";

/** A whole JSON object, with the range it stands at, from `{` to `}`. */
export interface Value {
  readonly kind: "value";
  readonly offset: number;
  readonly length: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Bytes that belong to no whole value. `unfinished`: they reach the end of the file and may yet be completed. */
export interface Piece {
  readonly kind: "piece";
  readonly offset: number;
  readonly length: number;
  readonly reason: PieceReason;
}

export type PieceReason = "nul" | "invalid" | "too_long" | "unfinished";

export type Item = Value | Piece;

/** Longer lines are not parsed: each is one unreadable piece. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** Scanning for whole records on a damaged line stops after this many times the line's length (plus 1 MiB). */
const SCAN_FACTOR = 32;
const SCAN_ALLOWANCE = 1024 * 1024;

/**
 * Reads `bytes[from, to)`, a line without its 0x0A. `base` is the file offset of `bytes[0]`, so the returned offsets
 * are file offsets. With `open`, the line is the end of a quiet file and may still be continued: where a whole value
 * could still come about, nothing is taken from within it, and a piece that reaches the end is `unfinished`.
 */
export function readLine(bytes: Buffer, from: number, to: number, base: number, open: boolean): Item[] {
  if (to - from > MAX_LINE_BYTES) return [piece(base + from, to - from, "too_long")];
  let start = from;
  if (base + from === 0 && bytes[from] === 0xef && bytes[from + 1] === 0xbb && bytes[from + 2] === 0xbf) start += 3;
  start = skipWhitespace(bytes, Math.min(start, to), to);
  const end = trimEnd(bytes, start, to);
  if (start === end) return [];
  if (bytes[start] === 0x7b && bytes[end - 1] === 0x7d) {
    const json = parseObject(bytes, start, end);
    if (json !== undefined) return [{ kind: "value", offset: base + start, length: end - start, json }];
  }
  return salvage(bytes, start, to, base, open);
}

function salvage(bytes: Buffer, start: number, to: number, base: number, open: boolean): Item[] {
  const items: Item[] = [];
  const end = trimEnd(bytes, start, to);
  let budget = SCAN_FACTOR * (end - start) + SCAN_ALLOWANCE;
  let pieceStart = -1; // where the current piece began, or -1: none
  let nulOnly = true; // the current piece holds NUL bytes and whitespace so far
  let i = start;
  const closePiece = (at: number) => {
    if (pieceStart < 0) return;
    const length = trimEnd(bytes, pieceStart, at) - pieceStart;
    items.push(piece(base + pieceStart, length, nulOnly ? "nul" : open && at === end ? "unfinished" : "invalid"));
    pieceStart = -1;
    nulOnly = true;
  };
  while (i < end) {
    const byte = bytes[i]!;
    if (nulOnly && (byte === 0 || isWhitespace(byte))) {
      if (byte === 0 && pieceStart < 0) pieceStart = i;
      i++;
      continue;
    }
    if (byte === 0x7b && budget > 0) {
      const valueEnd = scanObject(bytes, i, to);
      budget -= scannedBytes;
      const json = valueEnd > 0 ? parseObject(bytes, i, valueEnd) : undefined;
      if (json !== undefined && (nulOnly || isRecordLike(json))) {
        closePiece(i);
        items.push({ kind: "value", offset: base + i, length: valueEnd - i, json });
        i = valueEnd;
        continue;
      }
      if (open && valueEnd === INCOMPLETE) {
        if (pieceStart < 0) pieceStart = i;
        nulOnly = false;
        break;
      }
    }
    if (pieceStart < 0) pieceStart = i;
    nulOnly = false;
    const brace = bytes.subarray(i + 1, end).indexOf(0x7b); // not beyond the line: the chunk may hold many
    i = brace < 0 ? end : i + 1 + brace;
  }
  closePiece(end);
  return items;
}

function piece(offset: number, length: number, reason: PieceReason): Piece {
  return { kind: "piece", offset, length, reason };
}

function parseObject(bytes: Buffer, start: number, end: number): Record<string, unknown> | undefined {
  const part = bytes.subarray(start, end);
  // A one-byte string, where the bytes allow it, is decoded and parsed faster and takes half the memory.
  const text = part.toString(isAscii(part) ? "latin1" : "utf8");
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an object found behind torn bytes is a transcript's record and not a part of the torn one. */
function isRecordLike(json: Record<string, unknown>): boolean {
  const { type, sessionId, leafUuid, uuid, messageId } = json;
  if (typeof type !== "string") return false;
  return (
    typeof sessionId === "string" ||
    typeof leafUuid === "string" ||
    (typeof uuid === "string" && Object.hasOwn(json, "parentUuid")) ||
    (type === "file-history-snapshot" && typeof messageId === "string")
  );
}

function isWhitespace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

function skipWhitespace(bytes: Buffer, from: number, to: number): number {
  let i = from;
  while (i < to && isWhitespace(bytes[i]!)) i++;
  return i;
}

function trimEnd(bytes: Buffer, from: number, to: number): number {
  let i = to;
  while (i > from && isWhitespace(bytes[i - 1]!)) i--;
  return i;
}
