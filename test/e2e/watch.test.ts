// `riffd sync --watch`: the daemon for some sessions, in the foreground.
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { chain, jsonl, userMessage, uuid } from "../support/builders.ts";
import { asked, eventually } from "../support/live-daemon.ts";
import { killRunning, riffd, startRiffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(killRunning);
afterAll(removeScratch);

function projectsWith(...names: string[]): string {
  const projects = scratchFolder();
  mkdirSync(join(projects, "-p"));
  for (const [i, name] of names.entries()) {
    appendFileSync(join(projects, "-p", `${name}.jsonl`), jsonl(...chain(2, { from: 10 * i + 1 })));
  }
  return projects;
}

const counts = (state: string) => asked(state, "SELECT session_id, message_count FROM session ORDER BY session_id");

test("reads the sessions that were named, and what comes to them, and no others", async () => {
  const [projects, state] = [projectsWith("mine", "other"), scratchFolder()];
  const args = ["sync", "--watch", "mine", "--projects", projects, "--json"];
  const running = startRiffd(state, args);
  await running.told(/caught up with 1 transcript/);
  for (const name of ["mine", "other"]) {
    appendFileSync(join(projects, "-p", `${name}.jsonl`), jsonl(userMessage({ uuid: uuid(90), parent: uuid(2) })));
  }
  await eventually(async () => expect(await counts(state)).toEqual([{ session_id: "mine", message_count: 3 }]));
  running.child.kill("SIGINT");
  expect(await running.ended).toMatchObject({ code: 0 });
});

test("refuses what a daemon does not take, and sessions that there are not", async () => {
  const [projects, state] = [projectsWith("mine"), scratchFolder()];
  const forced = await riffd(state, ["sync", "--watch", "--force", "--projects", projects]);
  expect(forced).toMatchObject({ code: 2, stdout: "" });
  expect(forced.stderr).toMatch(/^Error: --watch does not go together with --force\.\nTry: /);
  const unknown = await riffd(state, ["sync", "--watch", "nobody", "--projects", projects]);
  expect(unknown).toMatchObject({ code: 3, stdout: "" });
});
