import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { createSdNotify } from "../../src/runtime/sd-notify.ts";
import { openLog } from "../support/log.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const has = (program: string) => spawnSync(program, ["--version"]).status === 0;

const ends: (() => void)[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const end of ends.splice(0)) end();
});
afterAll(removeScratch);

/** A folder with a `systemd-notify` in it that records how it was called. */
function fakeProgram(exitCode = 0) {
  const folder = scratchFolder();
  const calls = join(folder, "calls");
  const script = `#!/bin/sh\nprintf '%s|' "$@" >> '${calls}'; echo "$NOTIFY_SOCKET" >> '${calls}'\nexit ${exitCode}\n`;
  writeFileSync(join(folder, "systemd-notify"), script, { mode: 0o755 });
  return {
    env: { PATH: `${folder}:${process.env.PATH}`, NOTIFY_SOCKET: "/run/s" },
    calls: () => (existsSync(calls) ? readFileSync(calls, "utf8").split("\n").slice(0, -1) : []),
  };
}

/** Messages instead of processes, where time is the subject. */
function recorded(env: Record<string, string>, pid = 1) {
  const messages: string[] = [];
  const send = async (args: readonly string[]) => void messages.push(args.join("|"));
  const notify = createSdNotify({ NOTIFY_SOCKET: "/run/s", ...env }, { logger: openLog().logger, pid, send });
  return { notify, messages };
}

describe("systemd", () => {
  test("is told in order, one message after the other", async () => {
    const { env, calls } = fakeProgram();
    const notify = createSdNotify(env, openLog());
    notify.ready("live, 3 sessions");
    await notify.sent();
    notify.reloading();
    notify.ready("live");
    notify.status("two\nREADY=0");
    notify.stopping();
    await notify.sent();
    expect(calls().map((call) => call.replace(/\d{5,}/, "N"))).toEqual([
      "READY=1|STATUS=live, 3 sessions|/run/s",
      "RELOADING=1|MONOTONIC_USEC=N|/run/s",
      "READY=1|STATUS=live|/run/s",
      "STATUS=two READY=0|/run/s",
      "STOPPING=1|/run/s",
    ]);
  });

  test("is told the latest of several statuses", async () => {
    const { env, calls } = fakeProgram();
    const notify = createSdNotify(env, openLog());
    for (let n = 0; n < 100; n++) notify.status(`${n}`);
    await notify.sent();
    expect(calls()).toEqual(["STATUS=0|/run/s", "STATUS=99|/run/s"]);
  });

  test("is not looked for where there is none", async () => {
    const { env, calls } = fakeProgram();
    const notify = createSdNotify({ ...env, NOTIFY_SOCKET: "", WATCHDOG_USEC: "3000000" }, openLog());
    notify.ready("live");
    notify.startWatchdog(() => true)();
    await notify.sent();
    expect([calls(), notify.watchdogMs]).toEqual([[], null]);
  });

  test.each([
    ["is missing", () => ({ PATH: scratchFolder(), NOTIFY_SOCKET: "/run/s" })],
    ["fails", () => fakeProgram(1).env],
  ])("whose program %s is told of once, and nothing else happens", async (_, env) => {
    const log = openLog();
    const notify = createSdNotify(env(), log);
    for (let n = 0; n < 3; n++) {
      notify.status(`${n}`);
      await notify.sent();
    }
    expect(log.lines()).toHaveLength(1);
    expect(log.lines()[0]).toMatchObject({ level: "warn", hint: expect.stringContaining("NotifyAccess=all") });
  });
});

describe("the watchdog", () => {
  test.each([
    [{ WATCHDOG_USEC: "30000000" }, 30_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" }, 30_000],
    [{ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "2" }, null],
    [{ WATCHDOG_USEC: "0" }, null],
    [{ WATCHDOG_USEC: "soon" }, null],
    [{}, null],
  ])("of %o has the interval %s ms", (env, expected) => {
    expect(recorded(env as Record<string, string>).notify.watchdogMs).toBe(expected);
  });

  test("is fed three times in each interval, and only while there is progress", async () => {
    vi.useFakeTimers();
    const { notify, messages } = recorded({ WATCHDOG_USEC: "30000000" });
    let isProgressing = true;
    const stop = notify.startWatchdog(() => isProgressing);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(messages).toEqual(Array(6).fill("WATCHDOG=1"));
    isProgressing = false;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(messages).toHaveLength(6);
    isProgressing = true;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(messages).toHaveLength(7);
    stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(messages).toHaveLength(7);
  });
});

/** Takes datagrams as systemd does: prints each, and closes the descriptors that come along. */
const RECEIVER = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(64))
    for _, kind, bytes in ancillary:
        if kind == socket.SCM_RIGHTS:
            for at in range(0, len(bytes), 4): os.close(int.from_bytes(bytes[at:at+4], sys.byteorder))
    print(data.decode().replace("\\n", "|"), flush=True)
`;

test.skipIf(!has("systemd-notify") || !has("python3"))("a real systemd-notify says it on a real socket", async () => {
  const socket = join(scratchFolder(), "notify");
  const receiver = spawn("python3", ["-c", RECEIVER, socket], { stdio: ["ignore", "pipe", "inherit"] });
  ends.push(() => receiver.kill("SIGKILL"));
  let text = "";
  receiver.stdout.setEncoding("utf8").on("data", (more: string) => {
    text += more;
  });
  await expect.poll(() => text, { timeout: 30_000 }).toBe("bound\n");
  const log = openLog();
  const notify = createSdNotify({ PATH: process.env.PATH, NOTIFY_SOCKET: socket, WATCHDOG_USEC: "30000" }, log);
  notify.ready("live, 3 sessions");
  await notify.sent();
  const stop = notify.startWatchdog(() => true);
  await expect.poll(() => text, { timeout: 30_000 }).toContain("WATCHDOG=1");
  stop();
  notify.stopping();
  await notify.sent();
  await expect.poll(() => text, { timeout: 30_000 }).toContain("STOPPING=1");
  expect(text.split("\n")[1]).toBe("READY=1|STATUS=live, 3 sessions");
  expect(log.lines()).toEqual([]);
});
