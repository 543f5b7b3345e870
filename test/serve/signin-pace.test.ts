import { expect, test } from "vitest";
import { SigninPace } from "../../src/serve/signin-pace.ts";

/** A pace whose clock stands still but for what it sleeps, and the holds it has made. */
function paced() {
  const held: number[] = [];
  let now = 0;
  const clock = {
    now: () => now,
    sleep: async (ms: number) => {
      held.push(ms);
      now += ms;
    },
  };
  const pace = new SigninPace(clock);
  return {
    held,
    pass: (ms: number) => {
      now += ms;
    },
    attempt: (name: string, accepted: boolean) =>
      pace.run(
        name,
        async () => accepted,
        (result) => !result,
      ),
    pace,
  };
}

test("holds refusals back ever longer, up to a ceiling, and no success", async () => {
  const { attempt, held } = paced();
  for (let i = 0; i < 12; i++) expect(await attempt("me", false)).toBe(false);
  expect(held).toEqual([150, 150, 150, 150, 300, 600, 1200, 2400, 4800, 5000, 5000, 5000]);
  expect(await attempt("me", true)).toBe(true);
  expect(held).toHaveLength(12);
  await attempt("me", false);
  expect(held.at(-1)).toBe(150);
});

test("counts each name by itself, and forgets it after a while", async () => {
  const { attempt, held, pass } = paced();
  for (let i = 0; i < 6; i++) await attempt("me", false);
  await attempt("you", false);
  expect(held.slice(-2)).toEqual([600, 150]);
  pass(11 * 60_000);
  await attempt("me", false);
  expect(held.at(-1)).toBe(150);
});

test("takes off what the attempt took, so that it does not tell what the engine looked at", async () => {
  const { held, pass, pace } = paced();
  await pace.run(
    "me",
    async () => pass(100),
    () => true,
  );
  await pace.run(
    "you",
    async () => pass(500),
    () => true,
  );
  expect(held).toEqual([50, 0]);
});

test("checks two at a time, also after one has failed", async () => {
  const { pace } = paced();
  let running = 0;
  let most = 0;
  const attempts = Array.from({ length: 10 }, (_, i) =>
    pace.run(
      "me",
      async () => {
        most = Math.max(most, ++running);
        await new Promise(setImmediate);
        running--;
        if (i % 3 === 0) throw new Error("lost");
      },
      () => false,
    ),
  );
  const settled = await Promise.allSettled(attempts);
  expect(settled.filter(({ status }) => status === "rejected")).toHaveLength(4);
  expect(most).toBe(2);
});
