import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { styleFor } from "../../src/commands/style.ts";

const TERMINAL = { isTTY: true };
const PIPE = {};
const ESCAPE = "\u001b[";

describe("colour", () => {
  test.each([
    [TERMINAL, {}, true],
    [PIPE, {}, false],
    [TERMINAL, { TERM: "dumb" }, false],
    [TERMINAL, { NO_COLOR: "1" }, false],
    [TERMINAL, { NO_COLOR: "" }, true],
    [PIPE, { FORCE_COLOR: "1" }, true],
    [PIPE, { FORCE_COLOR: "" }, true],
    [TERMINAL, { FORCE_COLOR: "0" }, false],
    [TERMINAL, { FORCE_COLOR: "false" }, false],
    [PIPE, { NO_COLOR: "1", FORCE_COLOR: "1" }, false],
  ])("on %j with %j is %j", (stream, env, coloured) => {
    const { good, bad, warn, heading, quiet } = styleFor(stream, env);
    for (const paint of [good, bad, warn, heading, quiet]) {
      const text = paint("x");
      expect(text.startsWith(ESCAPE)).toBe(coloured);
      expect(stripVTControlCharacters(text)).toBe("x");
    }
  });
});
