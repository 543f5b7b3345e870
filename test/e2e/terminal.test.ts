// The first import on a terminal: its bar, the log lines beside it, and what is left of it when the daemon ends.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { chain, jsonl } from "../support/builders.ts";
import { hasTerminal, type Shown, shown, spawnOnTerminal } from "../support/terminal.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

const CLI = new URL("../../dist/cli.js", import.meta.url).pathname;
const [BAR_BEGINS, CTRL_C] = ["\x1b[?25l", "\x03"];

/** Starts the daemon over more than is read while somebody types. */
function startOnTerminal(
  answers: readonly (readonly [string, string])[],
  env: Readonly<Record<string, string>> = {},
): Promise<Shown> {
  const [projects, stateDir] = [scratchFolder(), scratchFolder()];
  mkdirSync(join(projects, "-p"));
  for (let i = 0; i < 3; i++) {
    writeFileSync(join(projects, "-p", `large${i}.jsonl`), jsonl(...chain(7_000, { from: i * 20_000 })));
  }
  const command = [process.execPath, CLI, "start", "--projects", projects];
  const places = { RIFFD_STATE_DIR: stateDir, XDG_CONFIG_HOME: stateDir };
  return shown(spawnOnTerminal(command, { ...places, ...env }), answers);
}

/** The cursor is seen and lines wrap, after all that was drawn. */
function expectAsBefore(output: string): void {
  expect(output).toContain(BAR_BEGINS);
  expect(output.lastIndexOf("\x1b[?25h")).toBeGreaterThan(output.lastIndexOf(BAR_BEGINS));
  expect(output.lastIndexOf("\x1b[?7h")).toBeGreaterThan(output.lastIndexOf("\x1b[?7l"));
}

test.skipIf(!hasTerminal)("Ctrl-C in the first import ends the bar, and leaves the terminal as it was", async () => {
  const { code, output } = await startOnTerminal([[BAR_BEGINS, CTRL_C]]);
  expect(code).toBe(0);
  expect(output).toMatch(/stopping: it was sent SIGINT/);
  expectAsBefore(output);
});

test.skipIf(!hasTerminal)("a second Ctrl-C leaves it so as well", async () => {
  const drawn = [
    [BAR_BEGINS, CTRL_C],
    ["stopping: it was sent SIGINT", CTRL_C],
  ] as const;
  const { code, output } = await startOnTerminal(drawn, { RIFFD_DRAIN_S: "3600" });
  expect(code).toBe(130);
  expectAsBefore(output);
});

test.skipIf(!hasTerminal)("an error that nobody expected leaves it so as well", async () => {
  const failing = `--import=data:text/javascript,${encodeURIComponent(FAIL_BELOW_THE_BAR)}`;
  const { code, output } = await startOnTerminal([], { NODE_OPTIONS: failing });
  expect(code).toBe(70);
  expect(output).toMatch(/FATAL.*a bug below the bar/);
  expectAsBefore(output);
});

const FAIL_BELOW_THE_BAR = `
  const write = process.stderr.write.bind(process.stderr);
  process.stderr.write = (text, ...rest) => {
    if (String(text).includes("[?25l")) setImmediate(() => { throw new Error("a bug below the bar"); });
    return write(text, ...rest);
  };`;

test.skipIf(!hasTerminal)("log lines stand above the bar, each on a line of its own", async () => {
  const { output } = await startOnTerminal([["caught up", CTRL_C]], { RIFFD_LOG_LEVEL: "debug", NO_COLOR: "1" });
  const lines = [...output.matchAll(/(.{0,8})\d\d:\d\d:\d\d (?:INFO|DEBUG)/gs)];
  expect(lines.length).toBeGreaterThan(5);
  expect(output.indexOf("imported:")).toBeGreaterThan(output.indexOf(BAR_BEGINS)); // at least one beside the bar
  const above = ["\n", "\x1b[2K", "^C"]; // the line before, the bar taken away, and what was typed
  for (const [, before = ""] of lines.slice(1)) expect(above.filter((end) => before.endsWith(end))).toHaveLength(1);
});
