// A disk that is really full: a small file system in memory, where this machine lets us make one.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, jsonl } from "../support/builders.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const disk = scratchFolder();

function mount(options: string): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", disk]).status === 0;
}

const canMount = process.getuid?.() === 0 && mount("size=16m");
if (!canMount) console.warn("skipped: a full disk (only root can mount a small one)");

afterAll(async () => {
  killRunning();
  if (canMount) spawnSync("umount", [disk]);
  await removeScratch();
});

test.skipIf(!canMount)("a full disk is told as one, loses nothing, and the next run goes on", async () => {
  const projects = scratchFolder();
  mkdirSync(join(projects, "-p"));
  for (let n = 0; n < 24; n++) {
    const noise = Array.from({ length: 40_000 }, () => Math.random().toString(36).slice(2)).join("");
    const records = chain(2, { from: n * 100 });
    writeFileSync(join(projects, "-p", `s${n}.jsonl`), jsonl(...records, { type: "summary", summary: noise }));
  }
  const sync = ["sync", "--all", "--projects", projects];
  const full = await riffd(disk, sync);
  expect([full.code, full.stdout]).toEqual([EXIT_CODES.RIFF_DISK_FULL, ""]);
  expect(full.stderr).toMatch(/^Error: The disk below the store .* is full: .*\nTry: Free some space/);

  mount("remount,size=200m");
  expect(await riffd(disk, sync)).toMatchObject({ code: 0, stderr: "" });
  expect(await riffd(disk, ["verify", "--all"])).toMatchObject({ code: 0, stderr: "" });
});
