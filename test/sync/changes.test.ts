import { afterAll, describe, expect, test } from "vitest";
import type { ByteRange, EventRow } from "../../src/sync/store.ts";
import { assistantMessage, chain, jsonl, userMessage, uuid } from "../support/builders.ts";
import { dumpSession } from "../support/dump.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const FILE = "-home-ada/s.jsonl";

const one = userMessage({ uuid: uuid(1), parent: null, text: "one" });
const two = assistantMessage({ uuid: uuid(2), parent: uuid(1), text: "two" });
const three = userMessage({ uuid: uuid(3), parent: uuid(2), text: "three" });

describe("a file edited by hand between two syncs", () => {
  test("logs message_added for a line that was appended, and nothing for the import", async () => {
    const { events } = await afterEdits(jsonl(one, two), jsonl(one, two, three));
    expect(events.map(brief)).toEqual([["message_added", uuid(3)]]);
    expect(events[0]).toMatchObject({ operator: "ada", reason: "appended to the transcript", before: null });
  });

  test("logs parent_repaired when only parentUuid changed", async () => {
    const repaired = { ...three, parentUuid: uuid(1) };
    const { events, textOf } = await afterEdits(jsonl(one, two, three), jsonl(one, two, repaired));
    expect(events.map(brief)).toEqual([["parent_repaired", uuid(3), uuid(2), uuid(1)]]);
    expect(await textOf(events[0]!.before)).toBe(JSON.stringify(three));
    expect(await textOf(events[0]!.after)).toBe(JSON.stringify(repaired));
  });

  test("logs content_updated with references to the text before and after", async () => {
    const edited = userMessage({ uuid: uuid(1), parent: null, text: "one, but better" });
    const { events, textOf } = await afterEdits(jsonl(one, two), jsonl(edited, two));
    expect(events.map((event) => event.event_type)).toEqual(["content_updated"]);
    expect(await textOf(events[0]!.before)).toBe(JSON.stringify(one));
    expect(await textOf(events[0]!.after)).toBe(JSON.stringify(edited));
  });

  test("logs message_removed, keeps the row with removed_at, and the text can be read", async () => {
    const { bench, events, textOf } = await afterEdits(jsonl(one, two, three), jsonl(one, three));
    expect(events.map(brief)).toEqual([["message_removed", uuid(2)]]);
    expect(await textOf(events[0]!.before)).toBe(JSON.stringify(two));
    const rows = [];
    for await (const page of bench.store.messages("s", 1)) rows.push(...page);
    expect(rows).toMatchObject([{ message_uuid: uuid(2), content: "two" }]);
    expect(rows[0]!.removed_at).toBeInstanceOf(Date);
  });

  test("logs message_added when a removed message comes back, which then has one row", async () => {
    const { bench, events } = await afterEdits(jsonl(one, two, three), jsonl(one, three), jsonl(one, two, three));
    // What hung below it was cut off in the meantime.
    expect(events.map(brief)).toEqual([
      ["message_removed", uuid(2)],
      ["message_added", uuid(2)],
      ["corruption_fixed", null],
    ]);
    expect((await dumpSession(bench.store, "s")).removed).toEqual([]);
  });

  test("logs corruption_fixed when the missing parent is put back", async () => {
    const { bench, events } = await afterEdits(jsonl(one, three), jsonl(one, three, two));
    expect(events.map((event) => event.event_type)).toEqual(["message_added", "corruption_fixed"]);
    expect(events[1]).toMatchObject({ message_uuid: null, old_value: 1 / 2, new_value: 0 });
    expect((await dumpSession(bench.store, "s")).corruption_score).toBe(0);
  });

  test("logs nothing for lines that were re-serialised or reordered", async () => {
    const spaced = Buffer.from(`${JSON.stringify(two, null, 1).replaceAll("\n", "")}\n`);
    const turned = Object.fromEntries(Object.entries(three).reverse());
    const { events, bench } = await afterEdits(
      jsonl(one, two, three),
      Buffer.concat([jsonl(one), spaced, jsonl(turned)]),
      jsonl(three, two, one),
    );
    expect(events).toEqual([]);
    expect((await dumpSession(bench.store, "s")).generation).toBe(3);
  });

  test("logs A→B, B→A, A→B as three events", async () => {
    const a = jsonl(one, two);
    const b = jsonl(userMessage({ uuid: uuid(1), parent: null, text: "other" }), two);
    const { events } = await afterEdits(a, b, a, b);
    expect(events.map((event) => event.event_type)).toEqual(Array(3).fill("content_updated"));
  });

  test("finds a line that was edited in the middle of a file that also grew", async () => {
    const long = chain(400);
    const edited = long.map((message, i) => (i === 200 ? { ...message, version: "9.9.99" } : message));
    expect(jsonl(...edited).length).toBe(jsonl(...long).length);
    const { events } = await afterEdits(jsonl(...long), jsonl(...edited, three));
    expect(events.map((event) => event.event_type)).toEqual(["content_updated", "message_added"]);
  });

  test("stores the bytes that two generations share once", async () => {
    const long = chain(400);
    const edited = long.map((message, i) => (i === 399 ? { ...message, extra: "edited" } : message));
    const { bench } = await afterEdits(jsonl(...long), jsonl(...long, one), jsonl(...edited));
    const codecs = [];
    for await (const page of bench.store.segments("s", 2)) codecs.push(...page.map(({ codec }) => codec));
    expect(codecs.filter((codec) => codec === "shared").length).toBeGreaterThan(0);
    expect((await dumpSession(bench.store, "s")).archived).toEqual(jsonl(...edited));
  });
});

/** Syncs each version of a file in turn, as operator ada. */
async function afterEdits(...versions: Buffer[]) {
  const bench = await Workbench.create();
  bench.operator = "ada";
  bench.stepLimits = { bytes: 64 * 1024, rows: 50 };
  for (const bytes of versions) {
    bench.write(FILE, bytes);
    await bench.sync();
  }
  const events: EventRow[] = [];
  for await (const page of bench.store.events("s")) events.push(...page);
  const textOf = async (range: ByteRange | null) => {
    const chunks = [];
    const { generation, offset, length } = range!;
    for await (const chunk of bench.store.readArchive("s", generation, offset, offset + length)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  return { bench, events, textOf };
}

/** Type and message; old and new value where they are parents. */
function brief({ event_type, message_uuid, old_value, new_value }: EventRow) {
  return event_type === "parent_repaired"
    ? [event_type, message_uuid, old_value, new_value]
    : [event_type, message_uuid];
}
