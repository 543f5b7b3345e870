// Claude writes, and somebody else reads it in SurrealDB: what people run riffd for, with the program they run.
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Surreal } from "surrealdb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { assistantMessage, chain, jsonl, lineOf, userMessage, uuid } from "../support/builders.ts";
import { eventually, LiveDaemon } from "../support/live-daemon.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const projects = scratchFolder();
const stateDir = scratchFolder();
let daemon: LiveDaemon;
let foreign: Surreal;

beforeAll(async () => {
  daemon = await LiveDaemon.start(stateDir, projects, { env: { RIFFD_SETTLE_S: "1", RIFFD_RESCAN_S: "3600" } });
  foreign = await daemon.foreign();
});

afterAll(async () => {
  await daemon?.closeClients();
  killRunning();
  await removeScratch();
});

function pathOf(session: string, project = "-p0"): string {
  const path = join(projects, project, `${session}.jsonl`);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

/** What the foreign client is given for a query about a session. */
async function rows<T>(text: string, session: string): Promise<T[]> {
  const [found] = await foreign.query<[T[]]>(text, { id: session });
  return found;
}

interface Event {
  readonly event_type: string;
  readonly message_uuid?: string;
  readonly operator: string;
}

const EVENTS = "SELECT event_type, message_uuid, operator, timestamp FROM repair_event WHERE session_id = $id";
const MESSAGES = "SELECT id, message_uuid FROM message WHERE session_id = $id AND removed_at IS NONE ORDER BY id";
const SESSIONS = "SELECT * FROM session WHERE session_id = $id";

/** The messages of a session that are in its file, in their order. */
async function messages(session: string): Promise<string[]> {
  const found = await rows<{ message_uuid: string }>(MESSAGES, session);
  return found.map(({ message_uuid }) => message_uuid);
}

/** Waits until exactly these messages are in the store. */
async function holds(session: string, uuids: readonly string[]): Promise<void> {
  await eventually(async () => expect(await messages(session)).toEqual(uuids));
}

function uuids(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => uuid(from + i));
}

test("a line that Claude writes is a row, with what was said, and an event that says who took it in", async () => {
  const path = pathOf("written");
  writeFileSync(path, jsonl(...chain(2, { from: 100 })));
  await holds("written", uuids(100, 2));
  appendFileSync(path, jsonl(userMessage({ uuid: uuid(102), parent: uuid(101), text: "Grüße aus der Werkstatt 🔧" })));
  await holds("written", uuids(100, 3));
  const [said] = await rows<{ content: string; role: string; parent_state: string }>(
    `SELECT content, role, parent_state FROM message WHERE session_id = $id AND message_uuid = '${uuid(102)}'`,
    "written",
  );
  expect(said).toEqual({ content: "Grüße aus der Werkstatt 🔧", role: "user", parent_state: "resolved" });
  // What was there when the file was first seen is import, and no event.
  expect(await rows<Event>(EVENTS, "written")).toMatchObject([
    { event_type: "message_added", message_uuid: uuid(102), operator: "daemon" },
  ]);
});

test("lines that come in pieces are read when they are whole, and a last one without an end when the file is quiet", async () => {
  const path = pathOf("torn");
  const line = jsonl(userMessage({ uuid: uuid(200), text: "Zahnräder: ⚙️" }));
  const cut = line.indexOf(0xe2) + 1; // inside of a character
  writeFileSync(path, line.subarray(0, cut));
  appendFileSync(path, line.subarray(cut));
  await holds("torn", uuids(200, 1));
  appendFileSync(path, lineOf(assistantMessage({ uuid: uuid(201), parent: uuid(200) })));
  await holds("torn", uuids(200, 2));
  expect(await rows("SELECT * FROM quarantine WHERE session_id = $id", "torn")).toEqual([]);
});

test("a session in new folders and its subagent, deep below it, are found at once", async () => {
  const session = "5e551000-0000-4000-8000-00000000000d";
  const main = pathOf(session, "-never-seen-before");
  writeFileSync(main, jsonl(...chain(2, { from: 300, session })));
  const agent = join(projects, "-never-seen-before", session, "subagents", "workflows", "w1", "agent-a1.jsonl");
  mkdirSync(dirname(agent), { recursive: true });
  writeFileSync(agent, jsonl(userMessage({ uuid: uuid(310), parent: uuid(301), session, agent: "a1" })));
  await holds(session, uuids(300, 2));
  await holds(`${session}/agent-a1`, [uuid(310)]);
  expect(await rows(SESSIONS, `${session}/agent-a1`)).toMatchObject([{ kind: "agent", parent_session: session }]);
  await eventually(async () =>
    expect(await rows("SELECT VALUE parent_state FROM message WHERE session_id = $id", `${session}/agent-a1`)).toEqual([
      "external",
    ]),
  );
});

test("a rewritten file begins a new generation, and the log says what changed", async () => {
  const path = pathOf("rewritten");
  const before = chain(4, { from: 400 });
  writeFileSync(path, jsonl(...before));
  await holds("rewritten", uuids(400, 4));
  const [first, , , last] = before;
  const answer = assistantMessage({ uuid: uuid(401), parent: uuid(400), text: "another answer" });
  writeFileSync(`${path}.tmp`, jsonl(first!, answer, { ...last!, parentUuid: uuid(401) }));
  renameSync(`${path}.tmp`, path);
  await holds("rewritten", [uuid(400), uuid(401), uuid(403)]);
  const events = await rows<Event>(EVENTS, "rewritten");
  expect(events.map(({ event_type, message_uuid }) => [event_type, message_uuid]).sort()).toEqual([
    ["content_updated", uuid(401)],
    ["message_removed", uuid(402)],
    ["parent_repaired", uuid(403)],
  ]);
  expect(await rows(SESSIONS, "rewritten")).toMatchObject([{ generation: 2, state: "live" }]);
});

test("a session that is moved to another project stays the same, and goes on there", async () => {
  const path = pathOf("moved", "-from");
  writeFileSync(path, jsonl(...chain(2, { from: 500 })));
  await holds("moved", uuids(500, 2));
  const there = pathOf("moved", "-to");
  renameSync(path, there);
  appendFileSync(there, jsonl(userMessage({ uuid: uuid(502), parent: uuid(501) })));
  await holds("moved", uuids(500, 3));
  await eventually(async () =>
    expect(await rows(SESSIONS, "moved")).toMatchObject([{ project: "-to", state: "live", generation: 1 }]),
  );
  expect(await rows("SELECT VALUE session_id FROM session WHERE session_id = $id + '@-to'", "moved")).toEqual([]);
});

test("a deleted transcript is gone, and all of it is kept", async () => {
  const path = pathOf("deleted");
  const bytes = jsonl(...chain(3, { from: 600 }));
  writeFileSync(path, bytes);
  await holds("deleted", uuids(600, 3));
  rmSync(path);
  await eventually(async () => expect(await rows(SESSIONS, "deleted")).toMatchObject([{ state: "gone" }]));
  expect(await messages("deleted")).toEqual(uuids(600, 3));
  expect((await riffd(stateDir, ["export", "deleted"])).stdout).toBe(bytes.toString());
});

test("writing goes on for as long as the daemon lives: a burst is one session, in its order, once", async () => {
  const path = pathOf("burst");
  const records = chain(400, { from: 1_000 });
  for (const record of records) appendFileSync(path, jsonl(record));
  await holds("burst", uuids(1_000, 400));
  const { stdout } = await riffd(stateDir, ["export", "burst"]);
  expect(stdout).toBe(readFileSync(path, "utf8"));
});

test("what all of this left is proved, and the daemon ends well", async () => {
  await daemon.settled();
  const proof = await riffd(stateDir, ["verify", "--all"]);
  expect([proof.code, proof.stderr]).toEqual([0, expect.not.stringContaining("Error")]);
  const { code, stderr } = await daemon.stop();
  expect([code, stderr]).toEqual([0, ""]);
});
