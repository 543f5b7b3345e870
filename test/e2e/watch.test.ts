// `riffd sync --watch`: the daemon for some sessions, in the foreground.
import { appendFileSync, mkdirSync, renameSync, rmSync } from "node:fs";
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

test("follows its sessions and their subagents wherever they go, and leaves the others of the store as they are", async () => {
  const [projects, state] = [projectsWith("mine", "other"), scratchFolder()];
  const agents = (project: string) => join(projects, project, "mine", "subagents");
  mkdirSync(agents("-p"), { recursive: true });
  appendFileSync(join(agents("-p"), "agent-a.jsonl"), jsonl(...chain(2, { from: 30 })));
  expect((await riffd(state, ["sync", "--all", "--projects", projects])).code).toBe(0);
  const others = "SELECT * FROM session WHERE session_id = 'other'";
  const before = await asked(state, others);

  const running = startRiffd(state, ["sync", "--watch", "mine", "--projects", projects, "--json"]);
  await running.told(/up to date|caught up/);
  renameSync(join(projects, "-p"), join(projects, "-q"));
  mkdirSync(join(projects, "-p"));
  renameSync(join(projects, "-q", "other.jsonl"), join(projects, "-p", "other.jsonl"));
  appendFileSync(join(projects, "-q", "mine.jsonl"), jsonl(userMessage({ uuid: uuid(90), parent: uuid(2) })));
  appendFileSync(join(agents("-q"), "agent-a.jsonl"), jsonl(userMessage({ uuid: uuid(91), parent: uuid(31) })));
  appendFileSync(join(agents("-q"), "agent-b.jsonl"), jsonl(...chain(2, { from: 40 })));
  appendFileSync(join(projects, "-p", "other.jsonl"), jsonl(userMessage({ uuid: uuid(92), parent: uuid(12) })));
  const sessions = "SELECT session_id, project, state, message_count FROM session ORDER BY session_id";
  const live = (session_id: string, project: string, message_count: number) => ({
    session_id,
    project,
    state: "live",
    message_count,
  });
  const other = live("other", "-p", 2);
  await eventually(async () =>
    expect(await asked(state, sessions)).toEqual([
      live("mine", "-q", 3),
      live("mine/agent-a", "-q", 3),
      live("mine/agent-b", "-q", 2),
      other,
    ]),
  );
  rmSync(join(projects, "-q"), { recursive: true });
  rmSync(join(projects, "-p", "other.jsonl"));
  await eventually(async () =>
    expect(await asked(state, sessions)).toEqual([
      { ...live("mine", "-q", 3), state: "gone" },
      { ...live("mine/agent-a", "-q", 3), state: "gone" },
      { ...live("mine/agent-b", "-q", 2), state: "gone" },
      other,
    ]),
  );
  expect(await asked(state, others)).toEqual(before);
  running.child.kill("SIGINT");
  expect(await running.ended).toMatchObject({ code: 0 });
});

test("writes its log as it is told to, which a sync that ends has none of", async () => {
  const [projects, state] = [projectsWith("mine"), scratchFolder()];
  const format = ["--projects", projects, "--log-format", "pretty"];
  const running = startRiffd(state, ["sync", "--watch", ...format]);
  await running.told(/INFO: caught up with 1 transcript/);
  running.child.kill("SIGINT");
  expect(await running.ended).toMatchObject({ code: 0 });
  expect(await riffd(state, ["sync", "--all", ...format])).toMatchObject({ code: 2, stdout: "" });
});

test("refuses what a daemon does not take, and sessions that there are not", async () => {
  const [projects, state] = [projectsWith("mine"), scratchFolder()];
  const forced = await riffd(state, ["sync", "--watch", "--force", "--projects", projects]);
  expect(forced).toMatchObject({ code: 2, stdout: "" });
  expect(forced.stderr).toMatch(/^Error: --watch does not go together with --force\.\nTry: /);
  const unknown = await riffd(state, ["sync", "--watch", "nobody", "--projects", projects]);
  expect(unknown).toMatchObject({ code: 3, stdout: "" });
});
