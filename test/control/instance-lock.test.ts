// Whoever holds the lock is alone, however many want it at once and however their forerunners ended: real processes.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { acquireLock, readLock } from "../../src/control/instance-lock.ts";
import { birthFromPs, birthOf } from "../../src/control/process-birth.ts";
import { RiffError } from "../../src/errors.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const MODULE = fileURLToPath(new URL("../../dist/control/instance-lock.js", import.meta.url));
const children = new Set<ChildProcess>();

afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await removeScratch();
});

/** A process that runs `body` with `acquireLock` and `state`, the state folder. */
function start(state: string, body: string) {
  const script = `
    import { appendFileSync } from "node:fs";
    const { acquireLock } = await import(${JSON.stringify(MODULE)});
    const state = ${JSON.stringify(state)};
    const say = (word) => process.stdout.write(word + "\\n");
    ${body}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "inherit"] });
  children.add(child);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ended = once(child, "close");
  return {
    child,
    ended,
    next: async () => (await lines.next()).value as string | undefined,
    tell: (word: string) => child.stdin.write(`${word}\n`),
  };
}

/** Tries for the lock whenever it is told to, and says how that went. */
const TRIES = `
  let lock = null;
  process.stdin.setEncoding("utf8").on("data", (word) => {
    if (word.trim() === "release") { lock.release(); say("released"); return; }
    try { lock = acquireLock(state); say("got"); } catch (error) { say(error.code ?? String(error)); }
  });
  say("ready");`;

async function startTrier(state: string) {
  const trier = start(state, TRIES);
  expect(await trier.next()).toBe("ready");
  return trier;
}

function refusalOf(state: string): RiffError {
  try {
    acquireLock(state).release();
  } catch (thrown) {
    if (thrown instanceof RiffError) return thrown;
    throw thrown;
  }
  throw new Error("the lock was free");
}

const names = (state: string) => readdirSync(state).filter((name) => name.startsWith("riffd.lock"));

test("a second start is told at once who runs, and since when", async () => {
  const state = join(scratchFolder(), "new", "state");
  const holder = await startTrier(state);
  const before = Date.now();
  holder.tell("try");
  expect(await holder.next()).toBe("got");
  const refusal = refusalOf(state);
  expect(refusal.code).toBe("RIFF_DAEMON_RUNNING");
  expect(refusal.exitCode).toBe(26);
  const { pid, since } = readLock(state)!;
  expect(pid).toBe(holder.child.pid);
  expect(since.getTime()).toBeGreaterThanOrEqual(before);
  expect(since.getTime()).toBeLessThanOrEqual(Date.now());
  expect(refusal.message).toContain(`process ${pid}, since ${since.toISOString()}`);
  holder.child.kill("SIGKILL");
});

test("nobody else can read the lock or enter the state folder", () => {
  const state = join(scratchFolder(), "state");
  mkdirSync(state, { mode: 0o755 });
  const lock = acquireLock(state);
  const mode = (path: string) => statSync(path).mode & 0o777;
  const [holder] = readdirSync(join(state, "riffd.lock"));
  expect([mode(state), mode(join(state, "riffd.lock")), mode(join(state, "riffd.lock", holder!))]).toEqual([
    0o700, 0o700, 0o600,
  ]);
  lock.release();
});

test("a released lock leaves nothing behind and is free, also in the same process", () => {
  const state = scratchFolder();
  expect(readLock(state)).toBeNull();
  const lock = acquireLock(state, () => new Date(0));
  expect(readLock(state)).toEqual({ pid: process.pid, since: new Date(0) });
  expect(refusalOf(state).message).toContain(`process ${process.pid}, since 1970-01-01T00:00:00.000Z`);
  lock.release();
  expect(names(state)).toEqual([]);
  expect(readLock(state)).toBeNull();
  const next = acquireLock(state);
  lock.release();
  expect(readLock(state)).toMatchObject({ pid: process.pid });
  next.release();
});

test("the lock of a killed process is taken over", async () => {
  const state = scratchFolder();
  const holder = await startTrier(state);
  holder.tell("try");
  expect(await holder.next()).toBe("got");
  holder.child.kill("SIGKILL");
  await holder.ended;
  expect(readLock(state)).toBeNull();
  const lock = acquireLock(state);
  expect(readLock(state)).toMatchObject({ pid: process.pid });
  lock.release();
});

test("a process that has ended and was not reaped holds nothing", async () => {
  const state = scratchFolder();
  // Its parent becomes another program, which never asks how its child ended.
  const parent = spawn(
    "sh",
    [
      "-c",
      `"$0" --input-type=module -e "$1" & echo $!; exec sleep 1000`,
      process.execPath,
      `const { acquireLock } = await import(${JSON.stringify(MODULE)});
     acquireLock(${JSON.stringify(state)}); process.kill(process.pid, "SIGKILL");`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  children.add(parent);
  const [told] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(told.toString());
  await expect.poll(() => existsSync(join(state, "riffd.lock")) && birthOf(pid), { timeout: 60_000 }).toBeNull();
  expect(() => process.kill(pid, 0)).not.toThrow();
  expect(readLock(state)).toBeNull();
  acquireLock(state).release();
  parent.kill("SIGKILL");
});

test("a process that has the number of a dead holder is not taken for it", () => {
  const state = scratchFolder();
  const file = plant(state, { pid: process.pid, birth: "another start 12345", since: new Date().toISOString() });
  expect(readLock(state)).toBeNull();
  const lock = acquireLock(state);
  expect(existsSync(file)).toBe(false);
  lock.release();
});

test.each(["", "{", "null", "[]", '{"pid":1}', '{"pid":"1","birth":"x","since":"y"}'])(
  "a lock that a power failure left with %j in it is taken over",
  (text) => {
    const state = scratchFolder();
    plant(state, text);
    expect(readLock(state)).toBeNull();
    acquireLock(state).release();
    expect(names(state)).toEqual([]);
  },
);

test("what killed starters had prepared is removed by the next, and what live ones prepare is not", async () => {
  const state = scratchFolder();
  const gone = start(state, "");
  await gone.ended;
  mkdirSync(join(state, `riffd.lock.${gone.child.pid}.x`));
  mkdirSync(join(state, `riffd.lock.${process.pid}.y`));
  const lock = acquireLock(state);
  expect(names(state).sort()).toEqual(["riffd.lock", `riffd.lock.${process.pid}.y`]);
  lock.release();
});

test("a file in the place of the lock is told and left alone", () => {
  const state = scratchFolder();
  writeFileSync(join(state, "riffd.lock"), "precious");
  expect(refusalOf(state).code).toBe("RIFF_STATE_UNWRITABLE");
  expect(readFileSync(join(state, "riffd.lock"), "utf8")).toBe("precious");
  expect(names(state)).toEqual(["riffd.lock"]);
});

test("of many that start at once behind a killed holder exactly one gets the lock, again and again", async () => {
  const state = scratchFolder();
  let triers = await Promise.all(Array.from({ length: 10 }, () => startTrier(state)));
  for (let round = 0; round < 6; round++) {
    for (const { tell } of triers) tell("try");
    const outcomes = await Promise.all(triers.map(({ next }) => next()));
    expect(outcomes.toSorted()).toEqual([...Array(9).fill("RIFF_DAEMON_RUNNING"), "got"]);
    const winner = triers[outcomes.indexOf("got")]!;
    expect(readLock(state)?.pid).toBe(winner.child.pid);
    winner.child.kill("SIGKILL");
    await winner.ended;
    triers = [...triers.filter((trier) => trier !== winner), await startTrier(state)];
  }
});

test("no two are ever inside, while processes come, go and are killed", async () => {
  const state = scratchFolder();
  const log = join(state, "log");
  writeFileSync(log, "");
  // Each comes and goes until its last time, when it is killed with the lock in its hands.
  const body = `
    for (let left = 40; left > 0; ) {
      let lock;
      try { lock = acquireLock(state); } catch (error) {
        if (error.code !== "RIFF_DAEMON_RUNNING") { say(error.stack); process.exit(1); }
        await new Promise(setImmediate);
        continue;
      }
      appendFileSync(${JSON.stringify(log)}, "in " + process.pid + "\\n");
      if (left % 3 === 0) await new Promise(setImmediate);
      left--;
      appendFileSync(${JSON.stringify(log)}, "out " + process.pid + "\\n");
      if (left === 0) process.kill(process.pid, "SIGKILL");
      lock.release();
    }`;
  const workers = Array.from({ length: 8 }, () => start(state, body));
  for (const { ended } of workers) expect(await ended).toEqual([null, "SIGKILL"]);
  const lines = readFileSync(log, "utf8").trim().split("\n");
  expect(lines).toHaveLength(8 * 40 * 2);
  for (let at = 0; at < lines.length; at += 2) {
    expect([lines[at], lines[at + 1]]).toEqual([lines[at], lines[at]!.replace("in", "out")]);
    expect(lines[at]).toMatch(/^in \d+$/);
  }
});

test("where there is no /proc, ps tells a process from others", async () => {
  const child = start("", "setInterval(() => {}, 1000); say('up')");
  await child.next();
  const birth = birthFromPs(child.child.pid!);
  expect(birth).toMatch(/\d\d:\d\d:\d\d \d{4}$/);
  expect(birthFromPs(child.child.pid!)).toBe(birth);
  child.child.kill("SIGKILL");
  await child.ended;
  expect(birthFromPs(child.child.pid!)).toBeNull();
  expect(birthOf(child.child.pid!)).toBeNull();
});

function plant(state: string, holder: object | string): string {
  mkdirSync(join(state, "riffd.lock"));
  const file = join(state, "riffd.lock", "planted");
  writeFileSync(file, typeof holder === "string" ? holder : JSON.stringify(holder));
  return file;
}
