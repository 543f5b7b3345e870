// riffd status and riffd stop as real processes.
import { existsSync } from "node:fs";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { acquireLock } from "../../src/control/instance-lock.ts";
import { socketPath } from "../../src/control/socket-path.ts";
import { EXIT_CODES } from "../../src/errors.ts";
import { startDaemon } from "../support/daemon.ts";
import { killRunning, riffd, startRiffd } from "../support/riffd.ts";
import { hasTerminal, riffdOnTerminal } from "../support/terminal.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

let state: string;
beforeEach(() => {
  state = scratchFolder();
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

describe.each([["status"], ["status", "--json"], ["status", "--watch"], ["stop"], ["stop", "--json"]])(
  "riffd %s %s",
  (...args) => {
    const asked = args.filter(Boolean);

    test("says that no daemon runs, and how to start one", async () => {
      const { code, stdout, stderr } = await riffd(state, asked);
      expect([code, stdout]).toEqual([EXIT_CODES.RIFF_DAEMON_NOT_RUNNING, ""]);
      expect(stderr).toBe(`Error: No daemon is running for ${state}.\nTry: Start it with \`riffd start\`.\n`);
    });

    test("names the process that has the lock and does not answer", async () => {
      const lock = acquireLock(state);
      const { code, stdout, stderr } = await riffd(state, asked);
      lock.release();
      expect([code, stdout]).toEqual([EXIT_CODES.RIFF_DAEMON_UNRESPONSIVE, ""]);
      expect(stderr).toContain(`process ${process.pid}`);
      expect(stderr).toMatch(/\nTry: .*log/);
    });
  },
);

describe("riffd status", () => {
  test("tells people what the daemon does, without colours where nobody would see them", async () => {
    const daemon = await startDaemon(state);
    const { code, stdout, stderr } = await riffd(state, ["status"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(new RegExp(`^● riffd .* · live · up .* · process ${daemon.child.pid} · `));
    expect(stdout).toContain(`\n  Store      rocksdb://${state}/store\n`);
  });

  test("--json is the daemon's status as it gives it", async () => {
    const daemon = await startDaemon(state);
    const { code, stdout } = await riffd(state, ["status", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      pid: daemon.child.pid,
      started_at: "2026-03-01T12:00:00.000Z",
      store: { kind: "embedded", location: `rocksdb://${state}/store` },
      pipeline: { backlog: { queued: 0 } },
    });
  });

  test("--watch tells it again and again until Ctrl-C, which is no failure", async () => {
    await startDaemon(state);
    const watching = startRiffd(state, ["status", "--watch", "--json"]);
    await expect.poll(() => watching.stdout().split("\n").length, { timeout: 20_000 }).toBeGreaterThan(2);
    watching.child.kill("SIGINT");
    const { code, stdout, stderr } = await watching.ended;
    expect([code, stderr]).toEqual([0, ""]);
    for (const line of stdout.trimEnd().split("\n")) expect(JSON.parse(line)).toMatchObject({ ready: true });
  });

  test("--watch ends with the daemon", async () => {
    const daemon = await startDaemon(state);
    const watching = startRiffd(state, ["status", "--watch"]);
    await watching.told(/riffd/);
    daemon.child.kill("SIGKILL");
    await daemon.ended;
    expect((await watching.ended).code).toBe(EXIT_CODES.RIFF_DAEMON_NOT_RUNNING);
  });

  test.skipIf(!hasTerminal)("--watch draws over what it drew on a terminal", async () => {
    await startDaemon(state);
    // Its own Ctrl-C, once it has drawn twice.
    const { code, output } = await riffdOnTerminal(state, ["status", "--watch"], [["\x1b[5A", "\x03"]]);
    expect(code).toBe(0);
    expect(output).toContain("\x1b[5A\r\x1b[0J");
  });
});

describe("riffd stop", () => {
  test("waits until the daemon has gone, and says how long it took", async () => {
    const daemon = await startDaemon(state);
    const { code, stdout, stderr } = await riffd(state, ["stop"]);
    expect([code, stderr]).toEqual([0, "Stopping …\n"]);
    expect(stdout).toMatch(/^✓ The daemon has stopped · \d+\.\d s\n$/);
    expect(daemon.child.exitCode ?? (await daemon.ended).code).toBe(0);
    expect(existsSync(socketPath(state))).toBe(false);
    expect((await riffd(state, ["verify"])).code).toBe(0); // its store is free
  });

  test("--json tells the process that it was", async () => {
    const daemon = await startDaemon(state);
    const { stdout, stderr } = await riffd(state, ["stop", "--json"]);
    expect(JSON.parse(stdout)).toEqual({ stopped: true, pid: daemon.child.pid, duration_ms: expect.any(Number) });
    expect(stderr).toBe("");
  });

  test("names the process of a daemon that does not end in time, and does not end it", async () => {
    const daemon = await startDaemon(state, { lingers: true });
    const { code, stdout, stderr } = await riffd(state, ["stop", "--timeout", "0.2"]);
    expect([code, stdout]).toEqual([EXIT_CODES.RIFF_DAEMON_UNRESPONSIVE, ""]);
    expect(stderr).toContain(`The daemon (process ${daemon.child.pid}) has not ended within 0.2 s.`);
    expect(daemon.child.exitCode).toBeNull();
  });

  test("says of a frozen daemon that it was asked, in the time given, and that it stops when it goes on, which it does", async () => {
    const daemon = await startDaemon(state);
    daemon.child.kill("SIGSTOP");
    const { code, stdout, stderr } = await riffd(state, ["stop", "--timeout", "1"]);
    daemon.child.kill("SIGCONT");
    expect([code, stdout]).toEqual([EXIT_CODES.RIFF_DAEMON_UNRESPONSIVE, ""]);
    expect(stderr).toMatch(
      /^Error: The daemon \(process \d+, since \S+\) does not answer as it should: nothing came for 1 s\. It was asked to stop, and will when it goes on\.$/m,
    );
    expect(stderr).toContain(`kill -9 ${daemon.child.pid}`);
    expect((await daemon.ended).code).toBe(0);
  });

  test("is waited for no longer after Ctrl-C", async () => {
    await startDaemon(state, { lingers: true });
    const stopping = startRiffd(state, ["stop"]);
    await stopping.told(/Stopping/);
    stopping.child.kill("SIGINT");
    const { code, stderr } = await stopping.ended;
    expect([code, stderr]).toEqual([
      EXIT_CODES.RIFF_INTERRUPTED,
      expect.stringContaining("The daemon goes on stopping."),
    ]);
  });

  test.each(["soon", "-1", ""])("does not take %j for a number of seconds", async (timeout) => {
    expect((await riffd(state, ["stop", "--timeout", timeout])).code).toBe(EXIT_CODES.RIFF_USAGE);
  });
});
