import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Troubles } from "../../src/sync/troubles.ts";
import { openLog } from "../support/log.ts";
import { removeScratch } from "../support/workbench.ts";

afterAll(removeScratch);

function openTroubles(everyMs = 60_000) {
  const clock = { now: 1_000_000 };
  const log = openLog();
  return { clock, log, troubles: new Troubles({ everyMs, now: () => clock.now }) };
}

describe("a trouble", () => {
  test("is told once, then only when it is time, with how many failures came meanwhile, then that it is over", () => {
    const { clock, log, troubles } = openTroubles();
    for (let second = 0; second <= 130; second++) {
      troubles.failed("store", log.logger, { error: { code: "E" } }, "the store does not answer");
      clock.now += 1000;
    }
    troubles.recovered("store", log.logger, {}, "the store answers again");
    expect(log.lines().map(({ level, msg, times, for_seconds }) => [level, msg, times, for_seconds])).toEqual([
      ["warn", "the store does not answer", undefined, undefined],
      ["warn", "the store does not answer", 60, 60],
      ["warn", "the store does not answer", 60, 120],
      ["info", "the store answers again", undefined, undefined],
    ]);
    expect(log.lines().at(-1)).toMatchObject({ failures: 131, after_seconds: 131 });
  });

  test("is not over where there was none, and only once", () => {
    const { log, troubles } = openTroubles();
    troubles.recovered("store", log.logger, {}, "again");
    troubles.failed("store", log.logger, {}, "away");
    expect(troubles.has("store")).toBe(true);
    troubles.recovered("store", log.logger, {}, "again");
    troubles.recovered("store", log.logger, {}, "again");
    expect(troubles.has("store")).toBe(false);
    expect(log.lines().map(({ msg }) => msg)).toEqual(["away", "again"]);
  });

  test("that comes again after it was over is told at once", () => {
    const { log, troubles } = openTroubles();
    for (let n = 0; n < 2; n++) {
      troubles.failed("store", log.logger, {}, "away");
      troubles.recovered("store", log.logger, {}, "again");
    }
    expect(log.lines().map(({ msg }) => msg)).toEqual(["away", "again", "away", "again"]);
  });

  test("hides none of another kind", () => {
    const { log, troubles } = openTroubles();
    troubles.failed("store", log.logger, {}, "away");
    troubles.failed("watch", log.logger, {}, "no watches left");
    troubles.recovered("store", log.logger, {}, "again");
    troubles.failed("watch", log.logger, {}, "no watches left");
    expect(log.lines().map(({ msg }) => msg)).toEqual(["away", "no watches left", "again"]);
  });

  test("is never told more often than it may be, and none of its failures is forgotten", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30_000 }), { minLength: 1, maxLength: 200 }), (pauses) => {
        const { clock, log, troubles } = openTroubles(10_000);
        const began = clock.now;
        for (const pause of pauses) {
          clock.now += pause;
          troubles.failed("store", log.logger, {}, "away");
        }
        troubles.recovered("store", log.logger, {}, "again");
        const told = log.lines().filter(({ level }) => level === "warn");
        expect(told.length).toBeLessThanOrEqual(1 + (clock.now - began) / 10_000);
        const counted = told.slice(1).reduce((sum, { times }) => sum + (times as number), 1);
        expect(counted).toBeLessThanOrEqual(pauses.length);
        expect(log.lines().at(-1)).toMatchObject({ failures: pauses.length });
      }),
    );
  });
});
