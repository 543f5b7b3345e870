// What --since and --until understand. Local time is that of the test's own zone, which has a night of 23 hours.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeOutside, isIn, parsePeriod } from "../../src/commands/when.ts";
import { RiffError } from "../../src/errors.ts";

const zone = process.env.TZ;
beforeAll(() => {
  process.env.TZ = "Europe/Berlin";
});
afterAll(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

const NOW = new Date("2026-11-22T12:00:00Z");
const since = (text: string) => iso(parsePeriod(text, undefined, NOW)!.since);
const until = (text: string) => iso(parsePeriod(undefined, text, NOW)!.until);
const iso = (time: number | null) => new Date(time!).toISOString();

describe("a point in time", () => {
  test.each([
    ["30m", "2026-11-22T11:30:00.000Z"],
    ["12h", "2026-11-22T00:00:00.000Z"],
    ["2d", "2026-11-20T12:00:00.000Z"],
    ["1w", "2026-11-15T12:00:00.000Z"],
    ["0d", "2026-11-22T12:00:00.000Z"],
    ["2026-11-01", "2026-10-31T23:00:00.000Z"],
    ["2026-11-01T09:30", "2026-11-01T08:30:00.000Z"],
    ["2026-11-01 09:30:15", "2026-11-01T08:30:15.000Z"],
    ["2026-11-01T09:30:15.250Z", "2026-11-01T09:30:15.250Z"],
    ["2026-11-01T09:30-05:00", "2026-11-01T14:30:00.000Z"],
    ["2024-02-29", "2024-02-28T23:00:00.000Z"],
  ])("is %s", (text, expected) => {
    expect(since(text)).toBe(expected);
  });

  test("ends with the day, for --until and a date, also where the day is not 24 hours long", () => {
    expect(until("2026-11-01")).toBe("2026-11-01T22:59:59.999Z");
    expect(until("2026-03-29")).toBe("2026-03-29T21:59:59.999Z");
    expect(until("2026-11-01T09:30")).toBe("2026-11-01T08:30:00.000Z");
    expect(until("2d")).toBe("2026-11-20T12:00:00.000Z");
  });

  test.each([
    "",
    "yesterday",
    "2",
    "2 d",
    "-2d",
    "1.5d",
    "2y",
    "2026-11",
    "2026-13-01",
    "2026-02-30",
    "2026-00-10",
    "2026-11-01T25:00",
    "2026-11-01T09:30:99",
    "2026-11-01T9:30",
    "01.11.2026",
    "1793527200",
  ])("is not %j, which is told with examples", (text) => {
    for (const [first, last] of [
      [text, undefined],
      [undefined, text],
    ]) {
      const refuse = () => parsePeriod(first, last, NOW);
      expect(refuse).toThrow(RiffError);
      expect(refuse).toThrow(expect.objectContaining({ code: "RIFF_USAGE", hint: expect.stringContaining("2d") }));
      expect(refuse).toThrow(JSON.stringify(text));
    }
  });
});

describe("a period", () => {
  test("is none where nothing is asked for", () => {
    expect(parsePeriod(undefined, undefined, NOW)).toBeNull();
  });

  test("holds both of its ends, and one day from its first to its last moment", () => {
    const day = parsePeriod("2026-11-01", "2026-11-01", NOW)!;
    for (const [time, inside] of [
      ["2026-11-01T00:00:00+01:00", true],
      ["2026-11-01T23:59:59.999+01:00", true],
      ["2026-10-31T23:59:59.999+01:00", false],
      ["2026-11-02T00:00:00+01:00", false],
    ] as const) {
      expect([time, isIn(day, Date.parse(time))]).toEqual([time, inside]);
    }
  });

  test("without one of its ends goes on for ever", () => {
    expect(isIn(parsePeriod("2d", undefined, NOW)!, Number.MAX_SAFE_INTEGER)).toBe(true);
    expect(isIn(parsePeriod("2d", undefined, NOW)!, 0)).toBe(false);
    expect(isIn(parsePeriod(undefined, "2d", NOW)!, 0)).toBe(true);
    expect(isIn(parsePeriod(undefined, "2d", NOW)!, NOW.getTime())).toBe(false);
  });

  test("cannot end before it begins", () => {
    expect(() => parsePeriod("2d", "3d", NOW)).toThrow(expect.objectContaining({ code: "RIFF_USAGE" }));
    expect(parsePeriod("3d", "2d", NOW)).not.toBeNull();
  });

  test("tells what lies outside of it", () => {
    const told = (first?: string, last?: string) => describeOutside(parsePeriod(first, last, NOW)!);
    expect(told("2026-11-01")).toBe("before 2026-11-01 00:00:00");
    expect(told(undefined, "2026-11-01")).toBe("after 2026-11-01 23:59:59");
    expect(told("2026-11-01", "2026-11-02T09:05")).toBe("before 2026-11-01 00:00:00 or after 2026-11-02 09:05:00");
  });
});
