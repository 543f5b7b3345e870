import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { killRunning, type Running, scriptArgs, startScript } from "../support/riffd.ts";
import { hasTerminal, spawnOnTerminal } from "../support/terminal.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(() => {
  killRunning();
  return removeScratch();
});

/** A process as the cli begins it, in which a command may take over, as it is ordered. It ends when its stdin does. */
const BODY = String.raw`
  import { appendFileSync, writeSync } from "node:fs";
  const { Signals } = await load("runtime/signals.js");
  const { DAEMON, SAID } = process.env;
  const say = (text) => (SAID ? appendFileSync(SAID, text + "\n") : writeSync(1, text + "\n"));
  const signals = new Signals(
    { drain: (signal) => say("interrupted by " + signal), abort: () => process.exit(130) },
    process.exit,
  );
  signals.start();
  let finish = () => {};
  const plan = {
    drain: (signal) => say("drain " + signal),
    abort: (signal) => say("abort " + signal),
    async reload() {
      say("reload begins");
      await new Promise((done) => (finish = done));
      say("reload ends");
    },
  };
  let giveBack = () => {};
  const orders = {
    "take over": () => (giveBack = signals.takeOver(plan)),
    "give back": () => giveBack(),
    finish: () => finish(),
    answer: () => {},
  };
  // On a terminal, whose end also ends stdin, it only waits for a while.
  if (SAID) setTimeout(() => process.exit(1), 60_000);
  else
    process.stdin
      .setEncoding("utf8")
      .on("data", (text) => {
        for (const line of text.split("\n").filter(Boolean)) orders[line]();
        say("ok");
      })
      .on("end", () => process.exit(0));
  if (DAEMON) orders["take over"]();
  say("up");`;

interface Process extends Running {
  /** Lines, without those that only answer. */
  said(): string[];
  order(line: string): Promise<void>;
  /** Sends a signal and waits until it has said this. */
  signal(signal: NodeJS.Signals, expected?: string): Promise<void>;
}

async function startProcess(env: Record<string, string> = {}): Promise<Process> {
  const running = startScript(scratchFolder(), BODY, { env });
  const lines = () => running.stdout().split("\n").slice(0, -1);
  const count = (line: string) => lines().filter((one) => one === line).length;
  const until = async (line: string, act: () => void) => {
    const before = count(line);
    act();
    await expect.poll(() => count(line), { timeout: 30_000 }).toBe(before + 1);
  };
  await running.told(/up\n/);
  return {
    ...running,
    said: () => lines().filter((line) => line !== "up" && line !== "ok"),
    order: (line) => until("ok", () => running.child.stdin!.write(`${line}\n`)),
    signal: async (signal, expected) => {
      if (expected === undefined) running.child.kill(signal);
      else await until(expected, () => running.child.kill(signal));
    },
  };
}

describe.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s", (signal, code) => {
  test("asks the daemon to drain once, and the second ends it", async () => {
    const running = await startProcess({ DAEMON: "1" });
    await running.signal(signal, `drain ${signal}`);
    await running.signal(signal);
    const ended = await running.ended;
    expect([ended.code, running.said()]).toEqual([code, [`drain ${signal}`, `abort ${signal}`]]);
  });

  test("interrupts a command that has no plan of its own, and the second ends it with 130", async () => {
    const running = await startProcess();
    await running.signal(signal, `interrupted by ${signal}`);
    await running.signal(signal);
    expect([(await running.ended).code, running.said()]).toEqual([130, [`interrupted by ${signal}`]]);
  });
});

describe("signals", () => {
  test("of two kinds count together", async () => {
    const running = await startProcess({ DAEMON: "1" });
    await running.signal("SIGTERM", "drain SIGTERM");
    await running.signal("SIGINT");
    expect((await running.ended).code).toBe(130);
    expect(running.said()).toEqual(["drain SIGTERM", "abort SIGINT"]);
  });

  test("that came before the daemon took over drain it at once", async () => {
    const running = await startProcess();
    await running.signal("SIGTERM", "interrupted by SIGTERM");
    await running.order("take over");
    expect(running.said()).toEqual(["interrupted by SIGTERM", "drain SIGTERM"]);
  });

  test("are the command's again when the daemon has given back", async () => {
    const running = await startProcess({ DAEMON: "1" });
    await running.order("give back");
    await running.signal("SIGINT", "interrupted by SIGINT");
    expect(running.said()).toEqual(["interrupted by SIGINT"]);
  });
});

describe("SIGHUP", () => {
  test("reloads, never twice at a time: those that come meanwhile are one reload more", async () => {
    const running = await startProcess({ DAEMON: "1" });
    await running.signal("SIGHUP", "reload begins");
    for (let n = 0; n < 3; n++) {
      await running.signal("SIGHUP");
      // Its answer comes through the same loop, after the signal.
      await running.order("answer");
    }
    expect(running.said()).toEqual(["reload begins"]);
    await running.order("finish");
    await expect.poll(running.said, { timeout: 30_000 }).toEqual(["reload begins", "reload ends", "reload begins"]);
    await running.order("finish");
    await expect.poll(() => running.said().length, { timeout: 30_000 }).toBe(4);
    running.child.stdin!.end();
    expect((await running.ended).code).toBe(0);
    expect(running.said().at(-1)).toBe("reload ends");
  });

  test("does not begin a reload of a daemon that is draining", async () => {
    const running = await startProcess({ DAEMON: "1" });
    await running.signal("SIGTERM", "drain SIGTERM");
    await running.signal("SIGHUP");
    await running.order("finish");
    running.child.stdin!.end();
    expect((await running.ended).code).toBe(0);
    expect(running.said()).toEqual(["drain SIGTERM"]);
  });

  test("ends a command that does not reload, as it ends any process", async () => {
    const running = await startProcess();
    await running.signal("SIGHUP");
    expect(await running.ended).toMatchObject({ code: null, signal: "SIGHUP" });
  });

  test.skipIf(!hasTerminal)("of a terminal that has gone drains the daemon that it showed", async () => {
    const said = join(scratchFolder(), "said");
    const terminal = spawnOnTerminal([process.execPath, ...scriptArgs(BODY)], { DAEMON: "1", SAID: said });
    terminal.stdout.resume();
    const lines = () => (existsSync(said) ? readFileSync(said, "utf8").split("\n").slice(0, -1) : []);
    await expect.poll(lines, { timeout: 30_000 }).toEqual(["up"]);
    terminal.kill("SIGKILL");
    await expect.poll(lines, { timeout: 30_000 }).toContain("drain SIGHUP");
    expect(lines()).not.toContain("reload begins");
  });
});
