// Every kind of damage that is known, imported through the real store.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { type Change, DAMAGE, type ExpectedSession, patternKey } from "./fixtures/damage.ts";
import type { ModelSession } from "./model/model.ts";
import { dumpStore } from "./support/dump.ts";
import { removeScratch, Workbench } from "./support/workbench.ts";

afterAll(removeScratch);

/** The list of known patterns, where it is at hand. */
const SHEET = fileURLToPath(new URL("../../shared/claude-jsonl-format.md", import.meta.url));

function apply(bench: Workbench, change: Change): void {
  const file = join(bench.root, change.path);
  switch (change.do) {
    case "write":
      bench.write(change.path, change.bytes, change.live !== true);
      return;
    case "replace": {
      const beside = bench.write(`${change.path}.new`, change.bytes);
      renameSync(beside, file);
      return;
    }
    case "move": {
      const target = join(bench.root, change.to);
      mkdirSync(dirname(target), { recursive: true });
      renameSync(file, target);
      return;
    }
    case "remove":
      rmSync(file);
      return;
    case "touch": {
      const halfAnHourAgo = Date.now() / 1000 - 1800;
      utimesSync(file, halfAnHourAgo, halfAnHourAgo);
      return;
    }
  }
}

/** A session of the store as the fixtures describe it. */
function described(session: ModelSession) {
  const { messages, records, pieces, faults } = session;
  return {
    id: session.session_id,
    messages: messages.map(({ message_uuid, offset, length }) => ({ uuid: message_uuid, offset, length })),
    records: records.map(({ offset, length }) => ({ offset, length })),
    pieces: pieces.map(({ offset, length, reason }) => ({ offset, length, reason })),
    faults: faults.map(({ kind, offset, length, cut_off, note, message_uuid }) => ({
      kind,
      offset,
      length: length ?? 0,
      uuid: message_uuid,
      cutOff: cut_off,
      note,
      foundIn: messages.find((message) => message.offset === offset)?.found_in ?? null,
    })),
    score: session.corruption_score,
    archived: session.archived.equals(Buffer.alloc(0)) ? "" : session.archived.toString("latin1"),
    state: session.state,
    generation: session.generation,
    removed: session.removed.map(({ message_uuid }) => message_uuid),
    events: session.events.map(({ event_type }) => event_type),
  };
}

/** The same, as a fixture expects it; what it does not speak of is left as it is. */
function expectation(expected: ExpectedSession, found: ReturnType<typeof described> | undefined) {
  const { holds, faults } = expected;
  const told = [
    ...faults.map(({ kind, message, cutOff, foundIn }) => ({
      kind,
      offset: holds.messages[message]!.offset,
      length: 0,
      uuid: holds.messages[message]!.uuid,
      cutOff,
      note: cutOff === 0,
      foundIn: foundIn ?? null,
    })),
    ...holds.pieces.map(({ offset, length }) => ({
      kind: "unreadable",
      offset,
      length,
      uuid: null,
      cutOff: 0,
      note: false,
      foundIn: null,
    })),
  ].sort((a, b) => a.offset - b.offset);
  return {
    id: expected.id,
    messages: holds.messages.map(({ uuid, offset, length }) => ({ uuid, offset, length })),
    records: holds.records,
    pieces: holds.pieces,
    faults: told,
    score: expected.score,
    archived: holds.bytes.toString("latin1"),
    state: expected.state ?? found?.state,
    generation: expected.generation ?? found?.generation,
    removed: expected.removed ?? found?.removed,
    events: expected.events ?? found?.events,
  };
}

describe("known damage", () => {
  test.each(DAMAGE)("$id: $pattern", async ({ looks }) => {
    const bench = await Workbench.create();
    for (const { changes, sessions, writesNothing } of looks) {
      const before = await bench.store.chainHeads();
      for (const change of changes) apply(bench, change);
      await bench.sync();
      if (writesNothing) expect(await bench.store.chainHeads()).toEqual(before);
      const found = (await dumpStore(bench.store)).map(described);
      const expected = sessions
        .map((session) =>
          expectation(
            session,
            found.find(({ id }) => id === session.id),
          ),
        )
        .sort((a, b) => (a.id < b.id ? -1 : 1));
      expect(found).toEqual(expected);
    }
  });

  test("has a name of its own in every row", () => {
    expect(new Set(DAMAGE.map(({ id }) => id)).size).toBe(DAMAGE.length);
    expect(new Set(DAMAGE.map(({ pattern }) => patternKey(pattern))).size).toBe(DAMAGE.length);
  });

  test("has a row for every pattern of the list, and the list one for every row", ({ skip }) => {
    skip(!existsSync(SHEET), `the list of patterns is not at hand: ${SHEET}`);
    const listed = patternsOf(readFileSync(SHEET, "utf8")).map(patternKey);
    expect(listed.length).toBeGreaterThan(0);
    expect(DAMAGE.map(({ pattern }) => patternKey(pattern)).sort()).toEqual(listed.sort());
  });
});

/** The first cells of all rows of the tables in the sheet's section 7. */
function patternsOf(sheet: string): string[] {
  const section = /^## 7\. .*?(?=^## )/ms.exec(sheet)?.[0] ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("|") && !line.startsWith("|---"))
    .map((line) => line.split("|")[1]!.trim())
    .filter((cell) => cell !== "pattern");
}
