// What a command costs before it does anything: it loads what it needs, and nothing else.
import { afterAll, describe, expect, test } from "vitest";
import { startDaemon } from "./support/daemon.ts";
import { modulesOf } from "./support/loaded.ts";
import { killRunning } from "./support/riffd.ts";
import { removeScratch, scratchFolder } from "./support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const CHEAP = ["commander", "eventsource-parser", "xxhash-wasm"];

describe("start-up", () => {
  test.each([
    [["--version"], 0, ["commander"]],
    [["--help"], 0, ["commander"]],
    [["help", "exit-codes"], 0, ["commander"]],
    [["completion", "zsh"], 0, ["commander"]],
    [["complete", "sessions", ""], 0, ["commander", "xxhash-wasm"]],
    [["status"], 27, ["commander", "eventsource-parser"]],
    [["stop"], 27, ["commander", "eventsource-parser"]],
    [["config", "show"], 0, ["commander"]],
  ])("of riffd %j loads no package but those it works with", async (args, exitCode, allowed) => {
    const { code, packages, modules } = await modulesOf(scratchFolder(), args);
    expect(code).toBe(exitCode);
    expect([...packages].sort()).toEqual(allowed);
    expect(modules.length).toBeLessThan(120);
  });

  test("of riffd status and stop stays so with a daemon that answers", async () => {
    const state = scratchFolder();
    await startDaemon(state);
    for (const args of [["status"], ["complete", "sessions", "f"], ["stop"]]) {
      const { code, packages } = await modulesOf(state, args);
      expect([args, code]).toEqual([args, 0]);
      expect(CHEAP).toEqual(expect.arrayContaining([...packages]));
    }
  });

  test("of a command that works with the store is seen to load it", async () => {
    const { packages } = await modulesOf(scratchFolder(), ["query", "RETURN 1"]);
    expect([...packages]).toEqual(expect.arrayContaining(["surrealdb", "@surrealdb/node"]));
  });
});
