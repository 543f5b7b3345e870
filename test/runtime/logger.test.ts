import { afterAll, describe, expect, test } from "vitest";
import { RiffError } from "../../src/errors.ts";
import { LOG_LEVELS } from "../../src/sync/logger.ts";
import { openLog } from "../support/log.ts";
import { killRunning, scriptArgs, startScript } from "../support/riffd.ts";
import { hasTerminal, shown, spawnOnTerminal } from "../support/terminal.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(() => {
  killRunning();
  return removeScratch();
});

describe("a log of JSON", () => {
  test("has one object a line, with the level's name, the time, the fields and the message", () => {
    const { logger, lines } = openLog();
    logger.info({ session: "s1", messages: 3 }, "synced");
    expect(lines()).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        session: "s1",
        messages: 3,
        msg: "synced",
      },
    ]);
  });

  test("says what its level says and all behind it", () => {
    for (const [at, level] of LOG_LEVELS.entries()) {
      const { logger, lines } = openLog({ level });
      for (const one of LOG_LEVELS) logger[one]({}, one);
      expect(lines().map((line) => line.level)).toEqual(LOG_LEVELS.slice(at));
    }
  });

  test("changes its level for children that were made before, and through them", () => {
    const { logger, lines } = openLog({ level: "info" });
    const child = logger.child({ session: "s1" });
    logger.level = "debug";
    child.debug({}, "seen");
    child.level = "error";
    logger.warn({}, "not seen");
    expect(lines().map(({ msg }) => msg)).toEqual(["seen"]);
    expect([logger.level, child.level]).toEqual(["error", "error"]);
  });

  test("has a child's fields in each of its lines, and in those of its children", () => {
    const { logger, lines } = openLog();
    logger.child({ session: "s1" }).child({ path: "/p" }).warn({ n: 1 }, "m");
    logger.warn({}, "other");
    expect(lines()).toMatchObject([{ session: "s1", path: "/p", n: 1 }, {}]);
    expect(lines()[1]).not.toHaveProperty("session");
  });

  test("tells a RiffError by code, message and hint alone, and of a bug the stack", () => {
    const { logger, lines } = openLog();
    const expected = new RiffError("RIFF_STORE_IO", "The disk failed.", "Look at it.", new Error("within"));
    logger.error({ error: expected }, "stopped");
    logger.fatal({ error: new TypeError("no such thing", { cause: new Error("deeper") }) }, "bug");
    expect(lines()[0]!.error).toEqual({ code: "RIFF_STORE_IO", message: "The disk failed.", hint: "Look at it." });
    expect(lines()[1]!.error).toMatchObject({
      type: "TypeError",
      message: "no such thing",
      stack: expect.stringContaining("logger.test.ts"),
      cause: { message: "deeper" },
    });
  });

  test("never throws, whatever it is given", () => {
    const { logger, lines } = openLog();
    const cycle: Record<string, unknown> = { n: 1n };
    cycle.self = cycle;
    const hostile = {
      get trap() {
        throw new Error("sprung");
      },
    };
    logger.info({ cycle, hostile, date: new Date(Number.NaN), f: () => 0, u: undefined }, "odd");
    logger.child(hostile).info({}, "odd");
    logger.info({ hostile: { toJSON: () => hostile.trap } }, "odd");
    expect(lines().map(({ msg }) => msg)).toEqual(["odd", "odd", "odd"]);
  });
});

describe("a log for people", () => {
  test("has one readable line for each thing said", () => {
    const { logger, text } = openLog({ format: "pretty" });
    const session = "f92beda8-4559-4dbd-bf46-9ea1d5fcbb23/agent-a1";
    logger.info({ session, status: "appended", messages: 3, path: "/with space" }, "grew: 3 messages");
    expect(text()).toMatch(/^\d\d:\d\d:\d\d INFO: f92beda8\/agent-a1 {2}grew: 3 messages {2}path="\/with space"\n$/);
  });

  test("tells what to do about an expected failure on the same line", () => {
    const { logger, text } = openLog({ format: "pretty" });
    logger.warn({ error: new RiffError("RIFF_STORE_UNREACHABLE", "It is away.", "Wait.") }, "waiting");
    expect(text()).toMatch(/WARN: waiting {2}RIFF_STORE_UNREACHABLE: It is away\. {2}Try: Wait\.\n$/);
    expect(text().split("\n")).toHaveLength(2);
  });

  test("follows the first line of a bug with its stack", () => {
    const { logger, text } = openLog({ format: "pretty" });
    logger.fatal({ error: new TypeError("no such thing") }, "bug");
    expect(text()).toMatch(/^.* FATAL: bug {2}TypeError: no such thing\n\s+at /);
  });

  test("has no stack of what the system refuses, nor of what is only warned of", () => {
    const { logger, text } = openLog({ format: "pretty" });
    const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:9"), { code: "ECONNREFUSED" });
    logger.error({ error: refused }, "not there");
    logger.warn({ error: new Error("the connection was closed (1006)") }, "away");
    expect(text()).not.toMatch(/^\s+at /m);
    logger.fatal({ error: refused }, "nobody expected it");
    expect(text()).toMatch(/^\s+at /m);
  });

  test("has what an error lists on a line each", () => {
    const { logger, text } = openLog({ format: "pretty" });
    const error = new RiffError("RIFF_CONFIG_INVALID", "There are 2 problems:\n  a is b\n  c is d", "Correct them.");
    logger.error({ error }, "not taken");
    expect(text().split("\n").slice(0, -1)).toEqual([
      expect.stringMatching(/ERROR: not taken {2}RIFF_CONFIG_INVALID: There are 2 problems:$/),
      "    a is b",
      "    c is d",
      "    Try: Correct them.",
    ]);
  });

  test("is without colour unless that is asked for", () => {
    const plain = openLog({ format: "pretty" });
    const coloured = openLog({ format: "pretty", colour: true });
    for (const { logger } of [plain, coloured]) logger.warn({ session: "s1" }, "m");
    expect(plain.text()).not.toContain("\u001b");
    expect(coloured.text()).toContain("\u001b[");
  });

  test("does not let a path or a message steer the terminal", () => {
    const { logger, text } = openLog({ format: "pretty" });
    const steering = "a\u001b[2J\u009b31m\nb\u202e";
    logger.info({ path: steering, error: new Error(steering), hint: { steering } }, steering);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(text().replaceAll("\n", "")).not.toMatch(/[\0-\x1f\x7f-\x9f]/);
  });
});

describe("a log that is to choose its format", () => {
  test("is JSON where there is no terminal", () => {
    const { logger, lines } = openLog({ format: "auto" });
    logger.info({}, "m");
    expect(lines()).toHaveLength(1);
  });

  test.skipIf(!hasTerminal)("is for people on a terminal", async () => {
    const body = `
      const { createLogger } = await load("runtime/logger.js");
      createLogger({ level: "info", format: "auto", colour: false, secrets: [] }).info({ n: 1 }, "said");`;
    const { output } = await shown(spawnOnTerminal([process.execPath, ...scriptArgs(body)]));
    expect(output).toMatch(/^\d\d:\d\d:\d\d INFO: said\r\n$/);
  });
});

describe("the end of a process", () => {
  const SAY = `
    const { createLogger } = await load("runtime/logger.js");
    const logger = createLogger({ level: "info", format: process.env.LOG_FORMAT, colour: false, secrets: [] });
    process.stdout.on("error", () => {});`;

  test.each(["json", "pretty"])("has all of its %s log written, also where it ends at once", async (format) => {
    const { code, stdout } = await startScript(
      scratchFolder(),
      `${SAY} for (let n = 0; n < 500; n++) logger.info({ n }, "line"); process.exit(7);`,
      { env: { LOG_FORMAT: format } },
    ).ended;
    expect(code).toBe(7);
    expect(stdout.split("\n").slice(0, -1)).toHaveLength(500);
  });

  test("is not brought about by a reader that goes away", async () => {
    const running = startScript(
      scratchFolder(),
      `${SAY} logger.info({}, "first");
       process.stdin.once("data", () => {
         for (let n = 0; n < 100; n++) logger.info({ n }, "line");
         process.stderr.write("still here\\n", () => process.exit(0));
       });`,
      { env: { LOG_FORMAT: "json" } },
    );
    await running.told(/first/);
    running.child.stdout!.destroy();
    running.child.stdin!.write("go\n");
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([0, "still here\n"]);
  });

  test("does not wait for a reader that is slow, who then gets whole lines and how many he missed", async () => {
    const count = 4_000;
    const running = startScript(
      scratchFolder(),
      `${SAY} const pad = "x".repeat(900);
       for (let n = 0; n < ${count}; n++) logger.info({ n, pad }, "line");
       process.stderr.write("all said\\n");
       setInterval(() => {}, 1000);`,
      { env: { LOG_FORMAT: "json" } },
    );
    running.child.stdout!.pause();
    await running.told(/all said/);
    running.child.stdout!.resume();
    await running.told(/"level":"warn".*\n/);
    running.child.kill("SIGKILL");
    const lines = running
      .stdout()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    const said = lines.filter(({ msg }) => msg === "line");
    expect(said.length).toBeLessThan(count);
    expect(said.map(({ n }) => n)).toEqual(said.map((_, n) => n));
    expect(lines.find(({ level }) => level === "warn")).toMatchObject({ lines: count - said.length });
  });
});
