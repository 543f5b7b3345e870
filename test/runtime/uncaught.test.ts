import { afterAll, describe, expect, test } from "vitest";
import { killRunning, startScript } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(() => {
  killRunning();
  return removeScratch();
});

async function endOf(context: string, body: string) {
  const { code, stdout, stderr } = await startScript(
    scratchFolder(),
    `const { createLogger } = await load("runtime/logger.js");
     const { endOnUncaught } = await load("runtime/uncaught.js");
     const logger = createLogger({ level: "info", format: "json", colour: false, secrets: ["hunter22"] });
     const stop = endOnUncaught(logger, ${context});
     setInterval(() => {}, 1000);
     ${body}`,
  ).ended;
  const lines = stdout.split("\n").slice(0, -1);
  return { code, lines: lines.map((line) => JSON.parse(line)), stderr };
}

describe("what nobody caught", () => {
  test.each([
    ["thrown", "uncaughtException", `setTimeout(() => { throw new TypeError("hunter22 is odd"); });`],
    ["rejected", "unhandledRejection", `Promise.reject(new TypeError("hunter22 is odd"));`],
  ])("and was %s is logged with what the process was doing, and ends it with 70", async (_, origin, body) => {
    const { code, lines, stderr } = await endOf(`() => ({ state: "live", in_work: ["s1"] })`, body);
    expect(code).toBe(70);
    expect(lines).toMatchObject([
      {
        level: "fatal",
        state: "live",
        in_work: ["s1"],
        origin,
        error: { type: "TypeError", message: "[hidden] is odd", stack: expect.stringContaining("at ") },
      },
    ]);
    expect(stderr).toBe("");
  });

  test("has its stack in the log also where it is a failure that was expected elsewhere", async () => {
    const { code, lines } = await endOf(
      "() => ({})",
      `const { RiffError } = await load("errors.js"); Promise.reject(new RiffError("RIFF_STORE_IO", "m", "h"));`,
    );
    expect(code).toBe(70);
    expect(lines).toMatchObject([{ error: { code: "RIFF_STORE_IO" }, stack: expect.stringContaining("    at ") }]);
  });

  test("ends the process also where what it was doing cannot be told", async () => {
    const { code, lines } = await endOf(`() => { throw new Error("torn"); }`, "Promise.reject(7);");
    expect([code, lines.length, lines[0].error]).toEqual([70, 1, 7]);
  });

  test("is told once, whatever else goes wrong meanwhile", async () => {
    const { code, lines } = await endOf("() => ({})", `for (const n of [1, 2]) Promise.reject(new Error(n));`);
    expect([code, lines.length]).toEqual([70, 1]);
  });

  test("is Node's own concern when that has been stopped", async () => {
    const { code, lines, stderr } = await endOf("() => ({})", `stop(); Promise.reject(new Error("torn"));`);
    expect([code, lines]).toEqual([1, []]);
    expect(stderr).toContain("torn");
  });
});
