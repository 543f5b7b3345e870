import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { StoreState } from "../../src/daemon/store-state.ts";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { openLog } from "../support/log.ts";
import { killRunning, startWithStore } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

describe("the daemon's store", () => {
  test("is waited for while another process has it open, which is said once, and opened when it is free", async () => {
    const stateDir = scratchFolder();
    const other = startWithStore(stateDir, "");
    await other.told(/ready/);
    const { logger, lines } = openLog();
    const state = new StoreState({ kind: "embedded", dir: join(stateDir, "store") }, logger, systemClock);
    const opening = state.open({ stateDir }, new AbortController().signal);
    await vi.waitFor(() => expect(state.problem).not.toBeNull(), { timeout: 60_000 });
    expect(state.problem).toMatchObject({ message: expect.stringContaining(`process ${other.child.pid}`) });
    expect(await state.status()).toMatchObject({ state: "opening", sessions: null });
    other.child.stdin?.end();
    const opened = await opening;
    expect(state.problem).toBeNull();
    expect(await state.status()).toMatchObject({ kind: "embedded", state: "open", sessions: 0, messages: 0 });
    expect((await state.status()).size_bytes).toBeGreaterThan(0);
    expect(lines().filter(({ level }) => level === "warn")).toHaveLength(1);
    await state.close();
    expect(state.opened).toBeNull();
    expect(await state.status()).toMatchObject({ sessions: 0 }); // what was known last
    await opened.close().catch(() => {});
  });

  test("is not waited for any longer when the end is asked for", async () => {
    const stateDir = scratchFolder();
    const other = startWithStore(stateDir, "");
    await other.told(/ready/);
    const { logger } = openLog();
    const stop = new AbortController();
    const state = new StoreState({ kind: "embedded", dir: join(stateDir, "store") }, logger, systemClock);
    const opening = state.open({ stateDir }, stop.signal);
    await vi.waitFor(() => expect(state.problem).not.toBeNull(), { timeout: 60_000 });
    stop.abort();
    await expect(opening).rejects.toMatchObject({ code: "RIFF_INTERRUPTED" });
    other.child.kill("SIGKILL");
  });

  test("that is a server's is waited for from the start, told as away once, and as back once", async () => {
    const { logger, lines } = openLog();
    const target = {
      kind: "remote" as const,
      url: "ws://127.0.0.1:9",
      credentials: null,
      level: null,
      namespace: "nabi",
      database: "conversations",
    };
    const state = new StoreState(target, logger, systemClock);
    const stop = new AbortController();
    const opening = state.open({ stateDir: scratchFolder() }, stop.signal);
    await vi.waitFor(() => expect(lines().filter(({ level }) => level === "warn")).toHaveLength(1), {
      timeout: 60_000,
    });
    expect(state.problem).toMatchObject({ message: expect.stringContaining("ws://127.0.0.1:9") });
    expect(await state.status()).toMatchObject({ kind: "remote", state: "opening" });
    stop.abort();
    await expect(opening).rejects.toMatchObject({ code: "RIFF_INTERRUPTED" });
  });
});
