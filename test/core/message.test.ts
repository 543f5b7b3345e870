import { describe, expect, test } from "vitest";
import { xxh64Hex } from "../../src/core/hash.ts";
import { type Message, readRecord, type SideRecord } from "../../src/core/message.ts";
import {
  assistantMessage,
  compactBoundary,
  type Json,
  lineOf,
  progress,
  SESSION,
  snapshot,
  summary,
  timestampAt,
  userMessage,
  uuid,
} from "../support/builders.ts";
import { itemsOfFile } from "../support/reading.ts";

function read(record: Json): Message | SideRecord {
  const bytes = lineOf(record);
  const [item] = itemsOfFile(bytes);
  if (item?.kind !== "value") throw new Error("no value");
  return readRecord(item, bytes);
}

function readMessage(record: Json): Message {
  const found = read(record);
  if (found.kind !== "message") throw new Error("no message");
  return found;
}

const place = { uuid: uuid(2), parent: uuid(1), timestamp: timestampAt(5) };

describe("readRecord", () => {
  test("makes a message of a value with a uuid", () => {
    const record = userMessage(place);
    const bytes = lineOf(record);
    expect(readMessage(record)).toEqual({
      kind: "message",
      offset: 0,
      length: bytes.length,
      digest: xxh64Hex(bytes),
      uuid: uuid(2),
      parent: uuid(1),
      type: "user",
      subtype: null,
      role: "user",
      timestamp: new Date(timestampAt(5)),
      content: { text: "Why does the second gear slip?", parts: [{ kind: "text", length: 30 }] },
      conversation: true,
      claims: { sessionId: SESSION, cwd: "/home/ada/engine", title: null },
      forgotten: false,
    });
  });

  test.each<[string, Json, boolean]>([
    ["a user record", userMessage(place), true],
    ["an assistant record", assistantMessage(place), true],
    ["progress", progress(place), false],
    ["a border", compactBoundary(place), false],
    ["a type that nobody knows", userMessage({ ...place, extra: { type: "unheard-of" } }), false],
  ])("counts as conversation or not: %s", (_, record, conversation) => {
    expect(readMessage(record).conversation).toBe(conversation);
  });

  test.each<[string, Json]>([
    ["a summary", summary({ leaf: uuid(1) })],
    ["a snapshot, whose messageId is no uuid of its own", snapshot({ message: uuid(1) })],
    ["a record with an empty uuid", userMessage({ ...place, extra: { uuid: "" } })],
    ["a record whose uuid is no string", userMessage({ ...place, extra: { uuid: 7 } })],
    ["an object with nothing in it", {}],
  ])("makes a side record of %s", (_, record) => {
    expect(read(record).kind).toBe("record");
  });

  test.each<[string, Json, Partial<Message>]>([
    ["a uuid is any text", { uuid: "msg_01/ctc" }, { uuid: "msg_01/ctc" }],
    ["a uuid's lone surrogate becomes U+FFFD", { uuid: "a\ud83d" }, { uuid: "a\ufffd" }],
    ["an empty parent is none", { parentUuid: "" }, { parent: null }],
    ["a parent that is no string is none", { parentUuid: 7 }, { parent: null }],
    ["a missing type is unknown", { type: undefined }, { type: "unknown" }],
    ["a type that is no string is unknown", { type: null }, { type: "unknown" }],
    ["a message that is null has no role", { message: null }, { role: null }],
    ["a message that is a text has no role", { message: "user" }, { role: null }],
    ["a subtype is kept", { subtype: "compact_boundary" }, { subtype: "compact_boundary" }],
    [
      "a sessionId that is no string is no claim",
      { sessionId: 7 },
      { claims: { sessionId: null, cwd: "/home/ada/engine", title: null } },
    ],
  ])("%s", (_, extra, expected) => {
    expect(readMessage(userMessage({ ...place, extra }))).toMatchObject(expected);
  });

  test.each<[unknown, string | null]>([
    ["2025-06-01T12:00:05.123Z", "2025-06-01T12:00:05.123Z"],
    ["2025-06-01T14:00:05+02:00", "2025-06-01T12:00:05.000Z"],
    ["2025-06-01T12:00Z", "2025-06-01T12:00:00.000Z"],
    ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"],
    ["2025-13-01T12:00:00Z", null],
    ["2025-06-01", null],
    ["+012025-06-01T12:00:00Z", null],
    ["yesterday", null],
    [1_748_779_200, null],
    [null, null],
  ])("reads the timestamp %j as %j", (timestamp, expected) => {
    expect(readMessage(userMessage({ ...place, extra: { timestamp } })).timestamp?.toISOString() ?? null).toBe(
      expected,
    );
  });

  test.each<[string, Json, string | null]>([
    ["a custom title", { type: "custom-title", customTitle: "Gears" }, "Gears"],
    ["a made-up title", { type: "ai-title", aiTitle: "On gears" }, "On gears"],
    ["a summary", summary({ leaf: uuid(1), text: "Gears" }), "Gears"],
    ["a summary's field elsewhere", { type: "mode", summary: "Gears" }, null],
  ])("takes a title from %s", (_, record, title) => {
    expect(read(record).claims.title).toBe(title);
  });

  test("has the digest of the value's bytes alone, whatever stands around it", () => {
    const line = lineOf(userMessage(place));
    const bytes = Buffer.concat([Buffer.from(" \0\t"), line, Buffer.from(" \r\n")]);
    const value = itemsOfFile(bytes).find((item) => item.kind === "value")!;
    const found = readRecord(value, bytes.subarray(value.offset, value.offset + value.length));
    expect(found.digest).toBe(xxh64Hex(line));
  });
});
