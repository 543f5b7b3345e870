// The disk below the store is really full: a small file system in memory, where this machine lets us make one.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, jsonl } from "../support/builders.ts";
import { LiveDaemon } from "../support/live-daemon.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const disk = scratchFolder();

function mount(options: string): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", disk]).status === 0;
}

const canMount = process.getuid?.() === 0 && mount("size=16m");
if (!canMount) console.warn("skipped: a full disk (only root can mount a small one)");

afterEach(killRunning);
afterAll(async () => {
  if (canMount) spawnSync("umount", [disk]);
  await removeScratch();
});

/** About half a megabyte that nothing makes smaller. */
function noise(): string {
  return Array.from({ length: 40_000 }, () => Math.random().toString(36).slice(2)).join("");
}

test.skipIf(!canMount)("a daemon whose disk is full ends with its code, and goes on when there is room", async () => {
  const [projects, state] = [scratchFolder(), scratchFolder()];
  const write = (n: number) =>
    writeFileSync(
      join(projects, "-p", `s${n}.jsonl`),
      jsonl(...chain(2, { from: n * 100 }), { type: "summary", summary: noise() }),
    );
  mkdirSync(join(projects, "-p"));
  write(0);
  const env = { RIFFD_STORE_DIR: join(disk, "store") };
  const daemon = await LiveDaemon.start(state, projects, { env });
  for (let n = 1; n < 24; n++) write(n);
  const { code, stderr } = await daemon.running.ended;
  expect([code, stderr]).toEqual([EXIT_CODES.RIFF_DISK_FULL, ""]);
  expect(daemon.log().at(-1)).toMatchObject({ level: "fatal", error: { code: "RIFF_DISK_FULL" } });

  mount("remount,size=200m");
  const next = await LiveDaemon.start(state, projects, { env });
  await next.until(({ store }) => store.messages === 48);
  expect(await next.stop()).toMatchObject({ code: 0 });
  expect(await riffd(state, ["verify", "--all"], { env })).toMatchObject({ code: 0, stderr: "" });
});
