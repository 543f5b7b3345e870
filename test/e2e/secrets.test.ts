// What was said and what opens a store stays where it belongs: looked for in all that the daemon says, at its most talkative.
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { ROUTES } from "../../src/control/protocol.ts";
import { assistantMessage, jsonl, queueOperation, toolResult, userMessage, uuid } from "../support/builders.ts";
import { LiveDaemon } from "../support/live-daemon.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { PASSWORD, StoreServer, USER } from "../support/store-server.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(killRunning);
afterAll(removeScratch);

const SPOKEN = "hunter2-was-said";

function secretive(n: number) {
  const place = (i: number) => ({ uuid: uuid(n + i), parent: i === 0 ? null : uuid(n + i - 1) });
  return [
    userMessage({ ...place(0), text: `my key is ${SPOKEN}` }),
    assistantMessage({ ...place(1), text: `I shall not tell ${SPOKEN}` }),
    toolResult({ ...place(2), toolUse: "toolu_1", output: `TOKEN=${SPOKEN}` }),
    queueOperation({ content: SPOKEN }),
  ];
}

/** Whatever may happen to a transcript, happens. */
async function work(daemon: LiveDaemon, projects: string): Promise<void> {
  mkdirSync(join(projects, "-p"), { recursive: true });
  const path = join(projects, "-p", "spoken.jsonl");
  writeFileSync(path, jsonl(...secretive(100)));
  await daemon.until(({ changes }) => changes.some(({ status }) => status === "imported"));
  // Bytes that nobody can read, and a line that is torn for good.
  appendFileSync(path, jsonl(`{"type":"user","message":"${SPOKEN}`, ...secretive(200), "\0\0"));
  await daemon.until(({ changes }) => changes.some(({ status }) => status === "appended"));
  writeFileSync(`${path}.tmp`, jsonl(...secretive(300), `${SPOKEN}"}`));
  renameSync(`${path}.tmp`, path);
  await daemon.until(({ changes }) => changes.some(({ status }) => status === "rewritten"));
  await daemon.settled();
}

/** All that it says, to whoever asks. */
async function everythingSaid(daemon: LiveDaemon, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const told = [
    JSON.stringify(await daemon.status()),
    (await daemon.get(ROUTES.status)).text,
    (await daemon.get(ROUTES.metrics)).text,
    (await daemon.get(ROUTES.ready)).text,
    (await daemon.get("/v1/nothing?really")).text,
  ];
  for (const args of [["status"], ["status", "--json"], ["config", "show"], ["config", "show", "--json"]]) {
    const { stdout, stderr } = await riffd(daemon.stateDir, args, { env });
    told.push(stdout, stderr);
  }
  return told.join("\n");
}

test("nothing that was said is in its log, status or metrics", async () => {
  const projects = scratchFolder();
  const daemon = await LiveDaemon.start(scratchFolder(), projects, {
    args: ["--log-level", "trace"],
    env: { RIFFD_SETTLE_S: "1" },
  });
  await work(daemon, projects);
  const told = await everythingSaid(daemon);
  const { code, stdout, stderr } = await daemon.stop();
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain('"session":"spoken"'); // it is talkative
  expect(stdout).toContain('"level":"debug"');
  expect(told + stdout).not.toContain(SPOKEN);
});

test("the password of its store is nowhere, when it signs in, loses the store, and is refused", async () => {
  const projects = scratchFolder();
  const stateDir = scratchFolder();
  const server = await StoreServer.create(scratchFolder());
  const url = `ws://${USER}:${PASSWORD}@127.0.0.1:${server.port}`;
  const inEnv = { ...server.env, RIFFD_SETTLE_S: "1" };
  const inUrl = { SURREALDB_URL: url, RIFFD_SETTLE_S: "1" };
  await server.start();
  for (const env of [inEnv, inUrl]) {
    const options = { args: ["--log-level", "trace"], env };
    const daemon = await LiveDaemon.start(stateDir, projects, options);
    if (env === inUrl) await work(daemon, projects);
    await server.kill();
    const away = await daemon.until(({ store }) => store.state === "away");
    expect(away.problems).toHaveLength(1);
    const told = await everythingSaid(daemon, env);
    await server.start();
    await daemon.ready();
    const { code, stdout, stderr } = await daemon.stop();
    expect(code).toBe(0);
    expect(stdout).toContain("store is back");
    expect(told + stdout + stderr).not.toContain(PASSWORD);
    expect(told + stdout + stderr).not.toContain(SPOKEN);
  }

  const wrong = "not-the-password-of-this-store";
  for (const env of [{ ...server.env, SURREALDB_PASS: wrong }, { SURREALDB_URL: url.replace(PASSWORD, wrong) }]) {
    const refused = await LiveDaemon.launch(stateDir, projects, { args: ["--log-level", "trace"], env }).running.ended;
    expect(refused.code).toBe(18);
    expect(refused.stdout + refused.stderr).toContain(USER);
    expect(refused.stdout + refused.stderr).not.toContain(wrong);
  }
});
