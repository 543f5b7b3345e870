// riffd service, and what a service runs, as real processes.
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { killRunning, riffd, startRiffd } from "../support/riffd.ts";
import { ServicePrograms } from "../support/service-programs.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

test("the service runs this Node.js and this riffd", async () => {
  const programs = new ServicePrograms();
  const env = { PATH: `${programs.folder}:/usr/bin:/bin`, HOME: programs.home };
  const args = ["service", "install", "--print", "--system", "--user", "ada"];
  const { code, stdout, stderr } = await riffd(scratchFolder(), args, { env });
  expect([code, stderr]).toEqual([0, "Nothing was written. It would be /etc/systemd/system/riffd.service\n"]);
  expect(stdout).toContain(`\nExecStart=${process.execPath} ${CLI} start\n`);
  expect(programs.changes()).toEqual([]);
});

test("a machine without systemd is told what to do instead", async () => {
  const env = { PATH: scratchFolder(), HOME: scratchFolder() };
  const { code, stdout, stderr } = await riffd(scratchFolder(), ["service", "install", "--system", "--user", "ada"], {
    env,
  });
  expect([code, stdout]).toEqual([30, ""]);
  expect(stderr).toMatch(/^Error: There is no systemctl on this machine\.\nTry: .*riffd start/);
});

test.each(["a", "r+"])("a start that fails begins launchd's file anew once it is long (%s)", (flags) => {
  const home = scratchFolder();
  const errors = join(home, "Library/Logs/riffd/errors.log");
  mkdirSync(dirname(errors), { recursive: true });
  const failure = "Error: the same as ten seconds ago\n";
  const fails = () => {
    const fd = openSync(errors, flags);
    const env = { HOME: home, RIFFD_STATE_DIR: home, RIFFD_POLL_MS: "3" };
    expect(spawnSync(process.execPath, [CLI, "start"], { env, stdio: ["ignore", fd, fd] }).status).toBe(78);
    closeSync(fd);
  };
  writeFileSync(errors, failure);
  fails();
  expect(existsSync(`${errors}.1`)).toBe(false);
  const long = failure.repeat(40_000);
  writeFileSync(errors, long);
  fails();
  expect(readFileSync(errors, "utf8")).toMatch(/^Error: .*\n.*Try: /s);
  expect(readFileSync(errors, "utf8").length).toBeLessThan(1_000);
  expect(readFileSync(`${errors}.1`, "utf8")).toBe(long);
});

test("the daemon logs to its log file, and nothing to stdout", async () => {
  const state = scratchFolder();
  const file = join(scratchFolder(), "logs", "riffd.log");
  mkdirSync(join(state, "projects"));
  const daemon = startRiffd(state, ["start", "--projects", join(state, "projects")], { env: { RIFFD_LOG_FILE: file } });
  const text = () => (existsSync(file) ? readFileSync(file, "utf8") : "");
  await expect.poll(text, { timeout: 60_000 }).toContain("riffd starts");
  daemon.child.kill("SIGTERM");
  expect(await daemon.ended).toMatchObject({ code: 0, stdout: "" });
  const lines = text().split("\n").slice(0, -1);
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({ level: "info", msg: "stopped" });
});
