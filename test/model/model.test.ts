import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fileArb, historyArb, lineArb, recordArb, splitsArb } from "../support/arbitraries.ts";
import {
  assistantMessage,
  chain,
  compactBoundary,
  type Json,
  jsonl,
  lineOf,
  PROJECT,
  progress,
  SESSION,
  snapshot,
  summary,
  system,
  userMessage,
  uuid,
} from "../support/builders.ts";
import { jsonObjectAt } from "./json-prefix.ts";
import { canonicalJson, type FileLook, Model, type ModelSession, readContents, type Snapshot } from "./model.ts";

const PATH = `${PROJECT}/${SESSION}.jsonl`;
const RECORD = '{"type":"user","sessionId":"s"}';

function quiet(bytes: Buffer | string, path = PATH): FileLook {
  return { path, bytes: Buffer.from(bytes), quiet: true };
}

function live(bytes: Buffer | string, path = PATH): FileLook {
  return { path, bytes: Buffer.from(bytes), quiet: false };
}

function sessionsAfter(...snapshots: readonly Snapshot[]): ModelSession[] {
  const model = new Model();
  for (const looks of snapshots) model.see(looks);
  return model.sessions();
}

/** The one session there is after looks at one file. */
function afterLooks(...looks: readonly FileLook[]): ModelSession {
  const sessions = sessionsAfter(...looks.map((look) => [look]));
  expect(sessions).toHaveLength(1);
  return sessions[0]!;
}

/** Values as they stand in the file, pieces as `reason@offset+length`, in byte order. */
function contentsOf(bytes: Buffer | string): string[] {
  const file = Buffer.from(bytes);
  const { values, pieces } = readContents(file);
  return [
    ...values.map(({ offset, length }) => ({ offset, text: file.toString("utf8", offset, offset + length) })),
    ...pieces.map(({ offset, length, reason }) => ({ offset, text: `${reason}@${offset}+${length}` })),
  ]
    .sort((a, b) => a.offset - b.offset)
    .map(({ text }) => text);
}

function statesOf(session: ModelSession | undefined): string[] {
  return session?.messages.map((message) => message.parent_state) ?? [];
}

function eventsOf(session: ModelSession): unknown[] {
  return session.events.map((event) => [event.event_type, event.message_uuid, event.old_value, event.new_value]);
}

/** All that does not depend on how often the file was looked at. */
function present(session: ModelSession): unknown {
  return { ...comparable(session), events: null, removed: null, generation: null };
}

/** The same with the archive as text, which is quicker to compare and easier to read. */
function comparable(session: ModelSession): object {
  return { ...session, archived: session.archived.toString("latin1") };
}

describe("values and pieces", () => {
  test.each<[string, Buffer | string, string[]]>([
    ["an empty file holds nothing", "", []],
    ["blank lines hold nothing", "\n \t\r\n\n", []],
    ["several values on a line are several values", '{"a":1} {"b":2}{"c":3}\n', ['{"a":1}', '{"b":2}', '{"c":3}']],
    ["CRLF is whitespace", '{"a":1}\r\n{"b":2}\r\n', ['{"a":1}', '{"b":2}']],
    ["a byte order mark at the start is whitespace", '\ufeff{"a":1}\n', ['{"a":1}']],
    ["a byte order mark elsewhere is a piece", '{}\n\ufeff{"a":1}\n', ["{}", "invalid@3+10"]],
    ["U+2028 does not end a line", '{"a":"\u2028"}\n', ['{"a":"\u2028"}']],
    ["a torn value takes the plain object glued to it", '{"a":{"b":1}\n', ["invalid@0+12"]],
    ["a torn value gives way to a record", `{"a":{"b":1${RECORD}\n`, ["invalid@0+11", RECORD]],
    ["a piece ends before whitespace", `junk \t${RECORD} junk \n`, ["invalid@0+4", RECORD, "invalid@38+4"]],
    [
      "a record inside a plain object inside a piece is taken",
      `x{"a":${RECORD}}\n`,
      ["invalid@0+6", RECORD, "invalid@37+1"],
    ],
    ["a content block inside a piece is not taken", 'x{"type":"text","text":"t"}\n', ["invalid@0+27"]],
    ["a list is a piece as a whole", '[{"a":1}]\n', ["invalid@0+9"]],
    ["any object is taken after NUL bytes", '\0\0{"a":1}\n', ["nul@0+2", '{"a":1}']],
    ["any object is taken after NUL bytes behind a value", '{"a":1}\0{"b":1}\n', ['{"a":1}', "nul@7+1", '{"b":1}']],
    ["NUL bytes and whitespace are one piece", '\0 \0\t{"a":1}\0 \n', ["nul@0+3", '{"a":1}', "nul@11+1"]],
    ["a piece that goes on after NUL bytes needs a record", '\0x{"a":1}\n', ["invalid@0+9"]],
    ["NUL bytes inside a piece change nothing", 'x\0{"a":1}\n', ["invalid@0+9"]],
    [
      "bytes that are not UTF-8 do not break a string",
      Buffer.from([0x7b, 0x22, 0xe2, 0x22, 0x3a, 0x31, 0x7d, 10]),
      ['{"�":1}'],
    ],
    ["a last line that may become whole is unfinished", `{"a":${RECORD}`, ["unfinished@0+36"]],
    [
      "a last line gives what is whole before its unfinished part",
      `{} x${RECORD} {"b`,
      ["{}", "invalid@3+1", RECORD, "unfinished@36+3"],
    ],
    ["a candidate that may become whole ends the search", `x{"b":${RECORD}`, ["unfinished@0+37"]],
    ["NUL bytes at the end of a last line are nul", "{}\0\0", ["{}", "nul@2+2"]],
  ])("%s", (_, bytes, expected) => {
    expect(contentsOf(bytes)).toEqual(expected);
  });

  test("the last line of a live file is neither archived nor read", () => {
    const session = afterLooks(live(`{"a":1}\n{"b":1}`));
    expect(session.archived.toString()).toBe('{"a":1}\n');
    expect(session.record_count).toBe(1);
  });

  test("values taken from a quiet last line stay when the line grows", () => {
    const session = afterLooks(quiet('{"a":1} {"b"'), live('{"a":1} {"b":'));
    expect(session).toMatchObject({ record_count: 1, pieces: [{ offset: 8, length: 4, reason: "unfinished" }] });
    expect(session.archived.toString()).toBe('{"a":1} {"b"');
  });

  test("nesting of any depth is whole", () => {
    const deep = `{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
    expect(jsonObjectAt(Buffer.from(deep), 0)).toEqual({ end: deep.length });
  });

  test("the JSON checker agrees with JSON.parse on every object, and every beginning of one is incomplete", () => {
    fc.assert(
      fc.property(recordArb, (record) => {
        const bytes = lineOf(record);
        expect(jsonObjectAt(Buffer.concat([bytes, Buffer.from("x")]), 0)).toEqual({ end: bytes.length });
        for (let end = 1; end < bytes.length; end += 7) expect(jsonObjectAt(bytes, 0, end)).toBe("incomplete");
      }),
    );
  });

  test("the JSON checker takes only what JSON.parse takes, and calls incomplete only what some byte leads on", () => {
    fc.assert(
      fc.property(lineArb, fc.nat(600), (line, cut) => {
        const bytes = Buffer.concat([Buffer.from("{"), line.subarray(0, cut)]);
        const verdict = jsonObjectAt(bytes, 0);
        if (typeof verdict === "object") {
          expect(() => JSON.parse(bytes.toString("utf8", 0, verdict.end))).not.toThrow();
          return;
        }
        const followers = Array.from({ length: 256 }, (_, byte) => Buffer.concat([bytes, Buffer.from([byte])]));
        expect(followers.some((longer) => jsonObjectAt(longer, 0) !== "invalid")).toBe(verdict === "incomplete");
        for (let end = 1; end <= bytes.length; end += 1) {
          if (bytes[end - 1] === 0x7d) expect(() => JSON.parse(bytes.toString("utf8", 0, end))).toThrow();
        }
      }),
    );
  });

  test("reading on from where a beginning was parsed to gives what reading everything gives", () => {
    fc.assert(
      fc.property(
        fileArb.chain((bytes) => fc.tuple(fc.constant(bytes), splitsArb(bytes))),
        ([bytes, appends]) => {
          const whole = readContents(bytes);
          let values: unknown[] = [];
          let pieces = readContents(Buffer.alloc(0)).pieces;
          let parsedTo = 0;
          let length = 0;
          for (const append of appends) {
            length += append.length;
            const more = readContents(bytes.subarray(0, length), parsedTo);
            values = [...values, ...more.values];
            pieces = [...pieces.filter(({ offset }) => offset < parsedTo), ...more.pieces];
            parsedTo = more.parsedTo;
          }
          expect(values).toEqual(whole.values);
          expect(pieces).toEqual(whole.pieces);
          expect(parsedTo).toBe(whole.parsedTo);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("messages and records", () => {
  test("a value with a uuid is a message, any other a record", () => {
    const session = afterLooks(
      quiet(
        jsonl(
          summary({ leaf: uuid(1) }),
          userMessage({ uuid: uuid(1), timestamp: "2025-06-01T14:00:00+02:00" }),
          assistantMessage({ uuid: "msg_01", parent: uuid(1), extra: { timestamp: "yesterday" } }),
          snapshot({ message: uuid(1) }),
          { uuid: "", type: 7 },
          { uuid: uuid(2), parentUuid: "" },
        ),
      ),
    );
    expect(session.records.map(({ record_type }) => record_type)).toEqual([
      "summary",
      "file-history-snapshot",
      "unknown",
    ]);
    expect(session.messages).toMatchObject([
      { message_uuid: uuid(1), message_type: "user", role: "user", timestamp: "2025-06-01T12:00:00.000Z" },
      { message_uuid: "msg_01", parent_uuid: uuid(1), message_type: "assistant", timestamp: null },
      { message_uuid: uuid(2), parent_uuid: null, message_type: "unknown", role: null },
    ]);
    expect(session).toMatchObject({ message_count: 3, record_count: 3, conversation_count: 2, kind: "main" });
  });

  test("digest and session hash are what they were", () => {
    const none = afterLooks(quiet(""));
    expect(none.session_hash).toBe("0000000000000000");
    const one = afterLooks(quiet('{"uuid":"a"}\n{"uuid":"b","parentUuid":"a"}\n'));
    // xxh64 with seed 0 of the values' bytes, by another implementation.
    expect(one.messages.map(({ digest }) => digest)).toEqual(["64dfb9d2eb079595", "77384552783af0c3"]);
    expect(one.session_hash).toBe("c7249965d6b96ad9");
  });

  test("a uuid that comes again is the next occurrence, and the first one is the parent", () => {
    const [a, b] = [userMessage({ uuid: uuid(1) }), userMessage({ uuid: uuid(2), parent: uuid(1) })];
    const session = afterLooks(quiet(jsonl(a, b, a, { ...a, parentUuid: uuid(2) })));
    expect(session.messages.map(({ occurrence }) => occurrence)).toEqual([1, 1, 2, 3]);
    expect(session.faults).toMatchObject([{ kind: "repeated_uuid", parent_uuid: uuid(2), cut_off: 1, note: false }]);
    expect(session).toMatchObject({ corruption_score: 1 / 4, thread_count: 1, cut_off_count: 1 });
    expect(session.messages.map((message) => message.corruption_score)).toEqual([0, 0, 0, 1]);
  });

  test("canonical JSON sorts keys, prints numbers as JavaScript does and repairs lone surrogates", () => {
    expect(canonicalJson(JSON.parse('{"b":1.0,"a":{"10":1e2,"9":"\\ud83d"},"__proto__":[null,true]}'))).toBe(
      '{"__proto__":[null,true],"a":{"10":100,"9":"�"},"b":1}',
    );
  });
});

describe("sessions", () => {
  const file = jsonl(...chain(2));

  test("an id follows from the path, and from the first sessionId in the old layout of agents", () => {
    const sessions = sessionsAfter([
      quiet(file, "-a/s.jsonl"),
      quiet(file, "-a/s/subagents/agent-1.jsonl"),
      quiet(file, "-a/s/subagents/workflows/w/agent-2.jsonl"),
      quiet(file, "-a/s/subagents/workflows/w/journal.jsonl"),
      quiet(file, "-a/agent-3.jsonl"),
      quiet("", "-a/agent-4.jsonl"),
      quiet(file, "-a/notes.txt"),
    ]);
    expect(sessions.map(({ session_id, kind }) => [session_id, kind])).toEqual([
      [`${SESSION}/agent-3`, "agent"],
      ["agent-4", "agent"],
      ["s", "main"],
      ["s/agent-1", "agent"],
      ["s/agent-2", "agent"],
    ]);
  });

  test("a second file with the same id is told by its project, a third by its path", () => {
    const sessions = sessionsAfter([
      quiet(file, "-a/s/subagents/agent-1.jsonl"),
      quiet(file, "-b/s/subagents/agent-1.jsonl"),
      quiet(file, "-b/s/subagents/w/agent-1.jsonl"),
    ]);
    expect(sessions.map(({ session_id }) => session_id)).toEqual([
      "s/agent-1",
      "s/agent-1@-b",
      expect.stringMatching(/^s\/agent-1@-b#[0-9a-f]{8}$/),
    ]);
  });

  test("a file that moved stays the same session, and what it gains is added", () => {
    const longer = jsonl(...chain(3));
    const [session, ...others] = sessionsAfter([quiet(file, "-a/s.jsonl")], [quiet(longer, "-b/s.jsonl")]);
    expect(others).toEqual([]);
    expect(session).toMatchObject({ session_id: "s", project: "-b", state: "live", generation: 1, message_count: 3 });
    expect(session!.events).toMatchObject([{ event_type: "message_added", message_uuid: uuid(3) }]);
  });

  test("another file takes over the id of one that is gone as a new generation", () => {
    const other = jsonl(...chain(2, { from: 5 }));
    const [session, ...others] = sessionsAfter([quiet(file, "-a/s.jsonl")], [quiet(other, "-b/s.jsonl")]);
    expect(others).toEqual([]);
    expect(session).toMatchObject({ session_id: "s", project: "-b", generation: 2 });
    expect(session!.events.map(({ event_type }) => event_type)).toEqual([
      "message_added",
      "message_added",
      "message_removed",
      "message_removed",
    ]);
  });

  test("a file whose session was taken over comes back as a session of its own", () => {
    const [first, second] = sessionsAfter(
      [quiet(file, "-a/s.jsonl")],
      [quiet(file, "-b/s.jsonl")],
      [quiet(file, "-a/s.jsonl"), quiet(file, "-b/s.jsonl")],
    );
    expect(first).toMatchObject({ session_id: "s", project: "-b", generation: 1 });
    expect(second).toMatchObject({ session_id: "s@-a", project: "-a", generation: 1 });
  });

  test("a session whose file is gone keeps all its rows, and goes on when the file comes back", () => {
    const gone = sessionsAfter([quiet(file)], []);
    expect(gone).toMatchObject([{ state: "gone", message_count: 2, events: [], removed: [] }]);
    expect(gone[0]!.archived).toEqual(file);
    expect(sessionsAfter([quiet(file)], [], [quiet(file)])).toMatchObject([
      { state: "live", generation: 1, events: [] },
    ]);
  });

  test("what a live file had not ended when it went is lost", () => {
    const [session] = sessionsAfter([live(Buffer.concat([file, Buffer.from('{"a":1}')]))], []);
    expect(session).toMatchObject({ state: "gone", record_count: 0 });
    expect(session!.archived).toEqual(file);
  });
});

describe("parents", () => {
  const orphan = (parent: string) => userMessage({ uuid: uuid(50), parent });

  test("a parent may stand after its child", () => {
    const [a, b, c] = chain(3);
    expect(statesOf(afterLooks(live(jsonl(b!, c!, a!))))).toEqual(["resolved", "resolved", "root"]);
  });

  test("an unknown parent is pending while the file is live and phantom when it is quiet or gone", () => {
    const file = jsonl(...chain(2), orphan(uuid(60)));
    expect(statesOf(afterLooks(live(file))).at(-1)).toBe("pending");
    expect(statesOf(afterLooks(quiet(file))).at(-1)).toBe("phantom");
    expect(statesOf(afterLooks(live(file), quiet(file))).at(-1)).toBe("phantom");
    expect(statesOf(sessionsAfter([live(file)], [])[0]).at(-1)).toBe("phantom");
  });

  test("a phantom stays one when the file is written to again, and is resolved when its parent comes", () => {
    const file = [...chain(2), orphan(uuid(60))];
    const more = [...file, progress({ uuid: uuid(51), parent: uuid(61) })];
    expect(statesOf(afterLooks(quiet(jsonl(...file)), live(jsonl(...more)))).slice(2)).toEqual(["phantom", "pending"]);
    const healed = afterLooks(quiet(jsonl(...file)), live(jsonl(...file, userMessage({ uuid: uuid(60) }))));
    expect(statesOf(healed).at(2)).toBe("resolved");
    expect(eventsOf(healed).at(-1)).toEqual(["corruption_fixed", null, 1 / 3, 0]);
  });

  test("the head may find its parent in another session, other records of a main session may not", () => {
    const known = quiet(jsonl(...chain(2)), "-a/known.jsonl");
    const [, reader] = sessionsAfter([known, quiet(jsonl(orphan(uuid(2)), orphan(uuid(1))), "-a/reader.jsonl")]);
    expect(reader!.messages).toMatchObject([
      { parent_state: "external", found_in: "known", is_orphaned: false },
      { parent_state: "phantom", found_in: "known", is_orphaned: true },
    ]);
  });

  test("any record of an agent may find its parent in another session, the one with the smallest id", () => {
    const known = (path: string) => quiet(jsonl(...chain(2)), path);
    const agent = quiet(jsonl(...chain(1, { from: 8 }), orphan(uuid(2))), "-a/s/subagents/agent-1.jsonl");
    const sessions = sessionsAfter([known("-b/z.jsonl"), agent, known("-a/b.jsonl")]);
    expect(sessions[1]!.messages[1]).toMatchObject({ parent_state: "external", found_in: "b" });
  });

  test("verdicts follow when another session gains or loses the parent", () => {
    const reader = quiet(jsonl(userMessage({ uuid: uuid(9), parent: uuid(2) })), "-a/reader.jsonl");
    const full = quiet(jsonl(...chain(2)), "-a/known.jsonl");
    const short = quiet(jsonl(...chain(1)), "-a/known.jsonl");
    expect(statesOf(sessionsAfter([reader, short])[1])).toEqual(["phantom"]);
    expect(statesOf(sessionsAfter([reader, short], [reader, full])[1])).toEqual(["external"]);
    expect(statesOf(sessionsAfter([reader, full], [reader])[1])).toEqual(["external"]);
    expect(statesOf(sessionsAfter([reader, full], [reader, short])[1])).toEqual(["phantom"]);
  });
});

describe("faults and score", () => {
  test("a healthy session with several roots, forks and a compaction scores 0", () => {
    const session = afterLooks(
      quiet(
        jsonl(
          ...chain(4),
          compactBoundary({ uuid: uuid(10), logicalParent: uuid(99) }),
          ...chain(2, { from: 11, parent: uuid(10) }),
          progress({ uuid: uuid(20), parent: uuid(2) }),
          ...chain(2, { from: 30 }),
        ),
      ),
    );
    expect(session).toMatchObject({ corruption_score: 0, faults: [], thread_count: 2, conversation_count: 8 });
  });

  test("a phantom cuts off the conversation below it", () => {
    const file = jsonl(
      ...chain(3),
      system({ uuid: uuid(10), parent: uuid(99) }),
      ...chain(1, { from: 11, parent: uuid(10) }),
    );
    const session = afterLooks(quiet(file));
    expect(session.faults).toEqual([
      {
        kind: "phantom",
        offset: session.messages[3]!.offset,
        message_uuid: uuid(10),
        parent_uuid: uuid(99),
        cut_off: 1,
        note: false,
      },
    ]);
    expect(session).toMatchObject({ corruption_score: 1 / 4, cut_off_count: 1, orphan_count: 1, thread_count: 2 });
  });

  test("a phantom with no conversation below it is a note", () => {
    const session = afterLooks(quiet(jsonl(...chain(2), progress({ uuid: uuid(10), parent: uuid(99) }))));
    expect(session.faults).toMatchObject([{ kind: "phantom", cut_off: 0, note: true }]);
    expect(session).toMatchObject({ corruption_score: 0, orphan_count: 1 });
    expect(session.messages[2]).toMatchObject({ is_orphaned: true, corruption_score: 0 });
  });

  test("a phantom at the head is a note, whatever hangs below it", () => {
    const session = afterLooks(quiet(jsonl(...chain(3, { parent: uuid(99) }))));
    expect(session.faults).toMatchObject([{ kind: "phantom", offset: 0, cut_off: 0, note: true }]);
    expect(session).toMatchObject({ corruption_score: 0, orphan_count: 1, thread_count: 1 });
  });

  test("phantoms of a service agent are notes until the session it serves is known", () => {
    const path = "-a/s/subagents/agent-acompact-4d5e6f.jsonl";
    const agent = quiet(jsonl(...chain(1), ...chain(1, { from: 5, parent: uuid(99) })), path);
    const served = quiet(jsonl(...chain(2, { from: 20 })), "-a/s.jsonl");
    expect(sessionsAfter([agent])[0]).toMatchObject({ corruption_score: 0, orphan_count: 1, faults: [{ note: true }] });
    expect(sessionsAfter([agent, served])[1]).toMatchObject({ corruption_score: 1 / 2, faults: [{ note: false }] });
  });

  test("a cycle is told by its lowest member and cuts off what is in it and below it", () => {
    const file = jsonl(
      userMessage({ uuid: uuid(1) }),
      userMessage({ uuid: uuid(4), parent: uuid(3) }),
      userMessage({ uuid: uuid(2), parent: uuid(3) }),
      assistantMessage({ uuid: uuid(3), parent: uuid(2) }),
    );
    const session = afterLooks(live(file));
    expect(session.faults).toMatchObject([{ kind: "cycle", message_uuid: uuid(2), cut_off: 3, note: false }]);
    expect(session).toMatchObject({ corruption_score: 3 / 4, thread_count: 2, orphan_count: 0 });
  });

  test("a record that is its own parent is a cycle", () => {
    const session = afterLooks(quiet(jsonl(system({ uuid: uuid(1), parent: uuid(1) }))));
    expect(session.faults).toMatchObject([{ kind: "cycle", cut_off: 0, note: true }]);
    expect(session).toMatchObject({ corruption_score: 0, thread_count: 1 });
  });

  test("unreadable pieces count beside the conversation", () => {
    const session = afterLooks(quiet(jsonl(...chain(3), "junk")));
    expect(session.faults).toMatchObject([{ kind: "unreadable", length: 4, cut_off: 0, note: false }]);
    expect(session).toMatchObject({ corruption_score: 1 / 4, unreadable_count: 1, cut_off_count: 0 });
  });
});

describe("looks, generations and events", () => {
  const [a, b, c] = chain(3) as [Json, Json, Json];
  const digestOf = (record: Json) => afterLooks(quiet(jsonl(record))).messages[0]!.digest;

  test("what the first look saw is import, what comes later is added", () => {
    expect(afterLooks(quiet(jsonl(a, b))).events).toEqual([]);
    const session = afterLooks(quiet(jsonl(a, b)), live(jsonl(a, b, c)));
    expect(eventsOf(session)).toEqual([["message_added", uuid(3), null, digestOf(c)]]);
  });

  test("a last line that was there at the first look is import, although it is read later", () => {
    expect(afterLooks(live(jsonl(a, b).subarray(0, -1)), quiet(jsonl(a, b))).events).toEqual([]);
    const cut = jsonl(a, b).subarray(0, -2);
    expect(afterLooks(live(cut), quiet(jsonl(a, b))).events).toMatchObject([{ event_type: "message_added" }]);
  });

  test("a change to bytes that are not archived is no rewrite", () => {
    const session = afterLooks(live(Buffer.concat([jsonl(a), Buffer.from("torn")])), quiet(jsonl(a, b)));
    expect(session).toMatchObject({ generation: 1, message_count: 2 });
  });

  test("a rewrite is told message by message, then what was removed", () => {
    const answer = { ...b, parentUuid: uuid(9), message: { role: "assistant", content: "changed" } };
    const reordered = Object.fromEntries(Object.entries(a).reverse());
    const added = userMessage({ uuid: uuid(9) });
    const session = afterLooks(quiet(jsonl(a, b, c)), quiet(jsonl(reordered, added, answer)));
    expect(eventsOf(session)).toEqual([
      ["message_added", uuid(9), null, digestOf(added)],
      ["parent_repaired", uuid(2), uuid(1), uuid(9)],
      ["content_updated", uuid(2), digestOf(b), digestOf(answer)],
      ["message_removed", uuid(3), digestOf(c), null],
    ]);
    expect(session).toMatchObject({ generation: 2, removed: [{ message_uuid: uuid(3), occurrence: 1 }] });
  });

  test("a message that comes back is added and no longer removed", () => {
    const session = afterLooks(quiet(jsonl(a, b)), quiet(jsonl(a)), quiet(jsonl(a, b)));
    expect(session.events.map(({ event_type }) => event_type)).toEqual(["message_removed", "message_added"]);
    expect(session).toMatchObject({ generation: 2, removed: [] });
  });

  test("a file that shrinks to less than was archived begins a new generation", () => {
    expect(afterLooks(quiet(jsonl(a, b)), quiet("")).removed).toHaveLength(2);
    expect(afterLooks(quiet(jsonl(a, b)), quiet(""), quiet(jsonl(a, b)))).toMatchObject({ generation: 2, removed: [] });
  });

  test("corruption_fixed tells the score before and after, last of its step", () => {
    const broken = { ...c, parentUuid: uuid(99) };
    const repaired = afterLooks(quiet(jsonl(a, b, broken)), quiet(jsonl(a, b, c)));
    expect(eventsOf(repaired)).toEqual([
      ["parent_repaired", uuid(3), uuid(99), uuid(2)],
      ["corruption_fixed", null, 1 / 3, 0],
    ]);
    const completed = afterLooks(quiet(jsonl(a, b).subarray(0, -9)), quiet(jsonl(a, b)));
    expect(eventsOf(completed)).toEqual([
      ["message_added", uuid(2), null, digestOf(b)],
      ["corruption_fixed", null, 1 / 2, 0],
    ]);
  });

  test("a score that falls because healthy records were added is no event", () => {
    const broken = { ...c, parentUuid: uuid(99) };
    const more = chain(4, { from: 20 });
    const session = afterLooks(quiet(jsonl(a, b, broken)), quiet(jsonl(a, b, broken, ...more)));
    expect(session.corruption_score).toBe(1 / 7);
    expect(new Set(session.events.map(({ event_type }) => event_type))).toEqual(new Set(["message_added"]));
  });

  test("a rewrite that leaves the damage as it was is no event, also when the file was live in between", () => {
    const broken = { ...c, parentUuid: uuid(99) };
    const reordered = Object.fromEntries(Object.entries(a).reverse());
    const [before, rewritten] = [jsonl(a, b, broken), jsonl(reordered, b, broken)];
    const session = afterLooks(quiet(before), quiet(rewritten));
    expect(session).toMatchObject({ generation: 2, events: [], corruption_score: 1 / 3 });
    // In a new generation of a live file every unknown parent is pending again; that fixes nothing.
    const pending = afterLooks(quiet(before), live(rewritten), quiet(rewritten));
    expect(pending).toMatchObject({ generation: 2, events: [], corruption_score: 1 / 3 });
  });

  test("an agent's damage is fixed when its parent turns up in another session", () => {
    const agent = quiet(jsonl(a, { ...c, parentUuid: uuid(20) }), "-a/s/subagents/agent-1.jsonl");
    const parent = quiet(jsonl(...chain(1, { from: 20 })), "-a/s.jsonl");
    const [, session] = sessionsAfter([agent], [agent, parent]);
    expect(eventsOf(session!)).toEqual([["corruption_fixed", null, 1 / 2, 0]]);
  });
});

describe("any history", () => {
  test("any way of appending the same bytes ends like one look at all of them", () => {
    const others: Snapshot = [
      quiet(jsonl(...chain(3, { from: 3 })), "-other/known.jsonl"),
      quiet(jsonl(...chain(2)), "-other/agent/subagents/agent-1.jsonl"),
    ];
    const paths = fc.constantFrom(
      PATH,
      "-p/s/subagents/agent-7.jsonl",
      "-other/known/subagents/agent-acompact-7.jsonl",
    );
    fc.assert(
      fc.property(
        paths,
        fileArb.chain((bytes) => fc.tuple(fc.constant(bytes), splitsArb(bytes))),
        fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
        (path, [bytes, appends], quietness) => {
          const model = new Model();
          let length = 0;
          appends.forEach((append, i) => {
            length += append.length;
            model.see([{ path, bytes: bytes.subarray(0, length), quiet: quietness[i]! }, ...others]);
          });
          model.see([quiet(bytes, path), ...others]);
          expect(model.sessions().map(present)).toEqual(sessionsAfter([quiet(bytes, path), ...others]).map(present));
          expect(model.sessions().every(({ generation }) => generation === 1)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("whatever happened, quiet files end like one look at them", () => {
    fc.assert(
      fc.property(historyArb, (history) => {
        const last = history.at(-1)!.map((look) => ({ ...look, quiet: true }));
        const sessions = sessionsAfter(...history, last);
        const clean = sessionsAfter(last);
        // Ids of files with one stem go to those who came first, and parents are found in sessions that are gone.
        const idsOf = (list: readonly ModelSession[]) => list.map(({ session_id }) => session_id).join();
        const isContested = clean.some(({ session_id }) => session_id.includes("@"));
        if (isContested || idsOf(sessions) !== idsOf(clean) || sessions.some(({ state }) => state === "gone")) return;
        expect(sessions.map(present)).toEqual(clean.map(present));
      }),
      { numRuns: 500 },
    );
  });

  test("seeing the same snapshot twice changes nothing", () => {
    fc.assert(
      fc.property(historyArb, (history) => {
        const model = new Model();
        for (const looks of history) {
          model.see(looks);
          const before = model.sessions().map(comparable);
          model.see(looks);
          expect(model.sessions().map(comparable)).toEqual(before);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("counts, scores and archives stay within their bounds, and no row is lost unnoticed", () => {
    fc.assert(
      fc.property(historyArb, (history) => {
        const model = new Model();
        let before: ModelSession[] = [];
        for (const looks of history) {
          model.see(looks);
          const sessions = model.sessions();
          for (const old of before) {
            const now = sessions.find(({ session_id }) => session_id === old.session_id)!;
            expect(now.events.slice(0, old.events.length)).toEqual(old.events);
            const kept = [...now.messages, ...now.removed].map((row) => `${row.occurrence} ${row.message_uuid}`);
            const had = [...old.messages, ...old.removed].map((row) => `${row.occurrence} ${row.message_uuid}`);
            expect(had.filter((key) => !kept.includes(key))).toEqual([]);
            if (now.generation === old.generation)
              expect(now.archived.subarray(0, old.archived.length).equals(old.archived)).toBe(true);
          }
          for (const session of sessions) {
            expect(session.corruption_score).toBeGreaterThanOrEqual(0);
            expect(session.corruption_score).toBeLessThanOrEqual(1);
            expect(session.faults.some(({ note }) => !note)).toBe(session.corruption_score > 0);
            expect(session.unreadable_count).toBe(session.pieces.length);
            const ends = [...session.messages, ...session.records, ...session.pieces]
              .sort((a, b) => a.offset - b.offset)
              .flatMap(({ offset, length }) => [offset, offset + length]);
            expect(ends).toEqual(ends.toSorted((a, b) => a - b));
          }
          before = sessions;
        }
      }),
      { numRuns: 300 },
    );
  });
});
