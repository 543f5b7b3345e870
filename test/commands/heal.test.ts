// riffd sync --force as people run it, after somebody has changed the store by hand.
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { chain, jsonl } from "../support/builders.ts";
import { killRunning, query, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

test("whoever deletes a session's rows and syncs it with --force gets them back, and verify finds nothing", async () => {
  const state = scratchFolder();
  const projects = scratchFolder();
  for (const [name, length] of [
    ["gear", 6],
    ["spoke", 4],
  ] as const) {
    const path = join(projects, "-p", `${name}.jsonl`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, jsonl(...chain(length, { from: name === "gear" ? 1 : 50 })));
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(path, hourAgo, hourAgo);
  }
  const sync = (...args: string[]) => riffd(state, ["sync", ...args, "--projects", projects]);
  expect((await sync("--all")).code).toBe(0);
  const rows = () => query(state, "SELECT * FROM message");
  const before = await rows();

  await query(state, "DELETE message WHERE session_id = 'gear'");
  const broken = await riffd(state, ["verify"]);
  expect(broken).toMatchObject({ code: 7 });
  expect(broken.stderr).toContain("riffd sync --all --force");

  const healed = await sync("gear", "--force");
  expect(healed).toMatchObject({ code: 0 });
  expect(healed.stdout).toContain("✓ Wrote 6 rows again, as the archived bytes say\n");
  expect(healed.stdout).not.toContain("logged");
  expect(await rows()).toEqual(before);
  expect(await riffd(state, ["verify", "--all"])).toMatchObject({ code: 0, stderr: "" });

  const again = await sync("--all", "--force");
  expect(again.stdout).toContain("• unchanged: 2 sessions, 10 messages\n");

  // A session that is missing is noticed on opening, and is healed without being asked for.
  await query(state, "DELETE session:spoke; DELETE message WHERE session_id = 'spoke'");
  const noticed = await sync("--all");
  expect(noticed.stderr).toContain("spoke: commit 1 was written, but the session is not in the store");
  expect(noticed.stdout).toContain("✓ healed: 1 session, 4 messages\n");
  expect(await rows()).toEqual(before);
  expect(await riffd(state, ["verify", "--all"])).toMatchObject({ code: 0, stderr: "" });
  expect(await query(state, "SELECT VALUE [session_id, kind] FROM commit")).toEqual([
    ["gear", "import"],
    ["gear", "healed"],
    ["spoke", "import"],
    ["spoke", "healed"],
  ]);
}, 60_000);
