import fc from "fast-check";
import { DateTime } from "surrealdb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EventFilter, EventLog, isMeant, type LoggedEvent } from "../../src/store/event-log.ts";
import { eventToDb } from "../../src/store/rows.ts";
import { run } from "../../src/store/transaction.ts";
import { EVENT_TYPES } from "../../src/sync/store.ts";
import { chain, jsonl } from "../support/builders.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const EVERYTHING: EventFilter = { since: null, until: null, types: null, operator: null };
const START = Date.UTC(2026, 0, 1);
/** Events of each session; some are of the same moment as one of another session. */
const COUNTS = { gear: 2500, spoke: 1, hub: 130, rim: 0 } as const;

let bench: Workbench;
let log: EventLog;
/** All there are, by time, then by session and number. */
let everything: LoggedEvent[];

beforeAll(async () => {
  bench = await Workbench.create();
  for (const name of Object.keys(COUNTS)) bench.write(`-p/${name}.jsonl`, jsonl(...chain(1)));
  await bench.sync();
  everything = Object.entries(COUNTS).flatMap(([session_id, count]) =>
    Array.from({ length: count }, (_, i) => eventOf(session_id, i + 1)),
  );
  for (const [name, count] of Object.entries(COUNTS)) {
    const rows = everything.filter(({ session_id }) => session_id === name);
    const last = new DateTime(rows.at(-1)?.timestamp ?? new Date(START));
    await run(
      bench.store.db,
      `INSERT INTO repair_event $rows RETURN NONE;
       UPDATE type::record('session', $name) SET event_count = $count, last_updated = $last;`,
      { rows: rows.map(({ session_id, ...event }) => eventToDb(event, session_id)), name, count, last },
    );
  }
  everything.sort((a, b) => a.timestamp.getTime() - b.timestamp.getTime() || compare(a, b));
  log = new EventLog(bench.store.database);
});

function compare(a: LoggedEvent, b: LoggedEvent): number {
  return a.session_id < b.session_id ? -1 : a.session_id > b.session_id ? 1 : a.n - b.n;
}

function eventOf(session_id: string, n: number): LoggedEvent {
  const minutes = session_id === "gear" ? Math.floor(n / 3) : n * 7;
  return {
    session_id,
    n,
    message_uuid: `message ${n}`,
    event_type: n % 997 === 0 ? "corruption_fixed" : n % 5 === 0 ? "content_updated" : "message_added",
    operator: n % 11 === 0 ? "ada" : "cli",
    timestamp: new Date(START + minutes * 60_000),
    reason: "for a test",
    old_value: null,
    new_value: "0123456789abcdef",
    before: null,
    after: { generation: 1, offset: n, length: 1 },
  };
}

describe("the newest events", () => {
  test("of all sessions come in the order of their times, and of one moment by session and number", async () => {
    expect(await log.ofAll(EVERYTHING, 60)).toEqual(everything.slice(-60));
    expect(await log.ofAll(EVERYTHING, 10_000)).toEqual(everything);
    expect(await log.ofAll(EVERYTHING, 0)).toEqual([]);
  });

  test("of a session come in the order of their numbers, also where its clock was set back", async () => {
    const later = new DateTime(new Date(START + 1e9));
    await run(bench.store.db, "OPTION IMPORT; UPDATE repair_event:['hub', 3] SET timestamp = $later", { later });
    try {
      const numbers = (await log.ofSession("hub", EVERYTHING, 1000)).map(({ n }) => n);
      expect(numbers).toEqual(Array.from({ length: COUNTS.hub }, (_, i) => i + 1));
      const since = { ...EVERYTHING, since: START + 120 * 7 * 60_000 };
      expect((await log.ofSession("hub", since, 1000)).map(({ n }) => n)).toEqual([3, ...numbers.slice(119)]);
    } finally {
      const { timestamp } = eventOf("hub", 3);
      await run(bench.store.db, "OPTION IMPORT; UPDATE repair_event:['hub', 3] SET timestamp = $was", {
        was: new DateTime(timestamp),
      });
    }
  });

  test("of a session that has none, or is none, are none", async () => {
    expect(await log.ofSession("rim", EVERYTHING, 10)).toEqual([]);
    expect(await log.ofSession("nave", EVERYTHING, 10)).toEqual([]);
  });

  test("are those that a look at every event would give, whatever is asked for", async () => {
    const momentArb = fc.option(fc.integer({ min: -5, max: 1000 }).map((minutes) => START + minutes * 60_000));
    const filterArb: fc.Arbitrary<EventFilter> = fc.record({
      since: momentArb,
      until: momentArb,
      types: fc.option(fc.subarray([...EVENT_TYPES], { minLength: 1 }).map((types) => new Set(types))),
      operator: fc.option(fc.constantFrom("ada", "cli", "nobody")),
    });
    await fc.assert(
      fc.asyncProperty(filterArb, fc.nat({ max: 400 }), async (filter, limit) => {
        const meant = everything.filter((event) => isMeant(filter, event));
        const last = (events: LoggedEvent[]) => events.slice(Math.max(0, events.length - limit));
        expect(await log.ofAll(filter, limit)).toEqual(last(meant));
        const ofGear = meant.filter(({ session_id }) => session_id === "gear").sort(compare);
        expect(await log.ofSession("gear", filter, limit)).toEqual(last(ofGear));
      }),
      { numRuns: 40 },
    );
  });
});

test("the events of a commit come in pages, all of them and no others", async () => {
  const pages: LoggedEvent[][] = [];
  for await (const page of log.ofCommit({ session_id: "gear", first_event: 7, events: 2100 })) pages.push(page);
  expect(pages.map((page) => page.length)).toEqual([1000, 1000, 100]);
  expect(pages.flat().map(({ n }) => n)).toEqual(Array.from({ length: 2100 }, (_, i) => i + 7));
});
