import { expect, test } from "vitest";
import { Gate } from "../../src/serve/gate.ts";

test("exclusive work waits for all before it, and all after it waits for it", async () => {
  const gate = new Gate();
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (name: string) => () =>
    new Promise<void>((resolve) => {
      log.push(`+${name}`);
      ends.set(name, () => {
        log.push(`-${name}`);
        resolve();
      });
    });
  const turn = () => new Promise(setImmediate);

  const all = [
    gate.shared(work("a")),
    gate.shared(work("b")),
    gate.exclusive(work("X")),
    gate.exclusive(work("Y")),
    gate.shared(work("c")),
    gate.shared(work("d")),
  ];
  await turn();
  expect(log).toEqual(["+a", "+b"]);
  ends.get("b")!();
  await turn();
  expect(log).toEqual(["+a", "+b", "-b"]);
  for (const name of ["a", "X", "Y", "d", "c"]) {
    ends.get(name)!();
    await turn();
  }
  await Promise.all(all);
  expect(log).toEqual(["+a", "+b", "-b", "-a", "+X", "-X", "+Y", "-Y", "+c", "+d", "-d", "-c"]);
});

test("work that fails fails for who asked for it, and lets the next on", async () => {
  const gate = new Gate();
  const fail = async () => {
    throw new Error("mine");
  };
  await expect(gate.shared(fail)).rejects.toThrow("mine");
  await expect(gate.exclusive(fail)).rejects.toThrow("mine");
  expect(await gate.shared(async () => 1)).toBe(1);
  expect(await gate.exclusive(async () => 2)).toBe(2);
});
