import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT_CODES, RiffError, systemCode, toError } from "../src/errors.ts";

/** The rows of the table in docs/errors.md. */
const documented = readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| `RIFF_"))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, code, exitCode, meaning, remedy]) => ({
    code: code!.replaceAll("`", ""),
    exitCode: Number(exitCode),
    meaning: meaning!,
    remedy: remedy!,
  }));

describe("docs/errors.md", () => {
  test("lists exactly the codes that there are, in their order, with their exit codes", () => {
    expect(documented.map(({ code, exitCode }) => [code, exitCode])).toEqual(Object.entries(EXIT_CODES));
  });

  test("says of each what it means and what to do", () => {
    for (const { code, meaning, remedy } of documented) {
      expect([code, meaning.length > 10, remedy.length > 10]).toEqual([code, true, true]);
    }
  });
});

describe("exit codes", () => {
  test("are all different, and none is taken by success, a bug or a shell", () => {
    const codes = Object.values(EXIT_CODES) as number[];
    expect(new Set(codes).size).toBe(codes.length);
    for (const reserved of [0, 70, 126, 127, 128, 137, 143]) expect(codes).not.toContain(reserved);
  });
});

describe("RiffError", () => {
  test("knows its code, what to do next, its exit code and its cause", () => {
    const cause = new Error("EACCES");
    const error = new RiffError("RIFF_FILE_UNREADABLE", "Cannot read x", "Check its rights.", cause);
    expect(error).toMatchObject({
      name: "RiffError",
      code: "RIFF_FILE_UNREADABLE",
      hint: "Check its rights.",
      exitCode: 6,
    });
    expect(error.cause).toBe(cause);
    expect("cause" in new RiffError("RIFF_USAGE", "m", "h")).toBe(false);
  });
});

describe("what was thrown", () => {
  test("becomes an Error, once", () => {
    const error = new Error("x");
    expect(toError(error)).toBe(error);
    expect(toError("text").message).toBe("text");
    expect(toError(undefined).message).toBe("undefined");
  });

  test("has a system's code only where it is a text", () => {
    expect(systemCode(Object.assign(new Error("x"), { code: "ENOENT" }))).toBe("ENOENT");
    expect(systemCode(Object.assign(new Error("x"), { code: 7 }))).toBeUndefined();
    expect(systemCode({ code: "ENOENT" })).toBeUndefined();
  });
});
