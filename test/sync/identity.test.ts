// Which file is which session: nothing is overwritten, nothing is merged, whatever files are called and wherever they go.
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { xxh64Hex } from "../../src/core/hash.ts";
import { RiffError } from "../../src/errors.ts";
import { discover } from "../../src/source/discover.ts";
import { localFiles } from "../../src/source/transcript-file.ts";
import type { Files } from "../../src/sync/files.ts";
import { type SessionReport, syncPass } from "../../src/sync/sync.ts";
import type { ModelSession } from "../model/model.ts";
import {
  assistantMessage,
  chain,
  jsonl,
  queueOperation,
  SESSION,
  snapshot,
  summary,
  userMessage,
  uuid,
} from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.create();
});

const OTHER = "5e551000-0000-4000-8000-000000000002";
const PATH = `-a/${SESSION}.jsonl`;

async function sessions(): Promise<Map<string, ModelSession>> {
  return new Map((await dumpStore(bench.store)).map((session) => [session.session_id, session]));
}

async function session(id: string): Promise<ModelSession> {
  const found = (await sessions()).get(id);
  if (found === undefined) throw new Error(`there is no session ${id}`);
  return found;
}

function uuidsOf(found: ModelSession | undefined): string[] | undefined {
  return found?.messages.map(({ message_uuid }) => message_uuid);
}

function uuids(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => uuid(from + i));
}

function eventsOf(found: ModelSession): string[] {
  return found.events.map(({ event_type }) => event_type);
}

function move(from: string, to: string): void {
  mkdirSync(dirname(join(bench.root, to)), { recursive: true });
  renameSync(join(bench.root, from), join(bench.root, to));
}

/** Paths of all checkpoints, below the projects folder, with their sessions. */
async function sources(): Promise<Record<string, string>> {
  const rows = await bench.store.sources("host");
  return Object.fromEntries(rows.map(({ path, session_id }) => [bench.below(path), session_id]));
}

describe("two files with one name", () => {
  test("are two sessions, told apart by their projects, each with its own rows", async () => {
    bench.write(PATH, jsonl(...chain(4)));
    bench.write(`-b/${SESSION}.jsonl`, jsonl(...chain(2, { from: 50 })));
    await bench.sync();
    const found = await sessions();
    expect([...found.keys()]).toEqual([SESSION, `${SESSION}@-b`]);
    expect(uuidsOf(found.get(SESSION))).toEqual(uuids(1, 4));
    expect(uuidsOf(found.get(`${SESSION}@-b`))).toEqual(uuids(50, 2));
    expect(found.get(`${SESSION}@-b`)).toMatchObject({ project: "-b", corruption_score: 0 });
  });

  test("keep their names while both grow, and when the first goes", async () => {
    bench.write(PATH, jsonl(...chain(4)));
    bench.write(`-b/${SESSION}.jsonl`, jsonl(...chain(2, { from: 50 })));
    await bench.sync();
    bench.write(PATH, jsonl(...chain(6)));
    bench.write(`-b/${SESSION}.jsonl`, jsonl(...chain(3, { from: 50 })));
    await bench.sync();
    rmSync(join(bench.root, PATH));
    await bench.sync();
    const found = await sessions();
    expect(uuidsOf(found.get(SESSION))).toEqual(uuids(1, 6));
    expect(found.get(SESSION)).toMatchObject({ state: "gone", generation: 1 });
    expect(uuidsOf(found.get(`${SESSION}@-b`))).toEqual(uuids(50, 3));
    expect(found.get(`${SESSION}@-b`)).toMatchObject({ state: "live", generation: 1 });
  });

  test("in projects of one name below two roots are told apart by their paths", async () => {
    bench.write(`r1/-a/${SESSION}.jsonl`, jsonl(...chain(1)));
    bench.write(`r1/-b/${SESSION}.jsonl`, jsonl(...chain(2)));
    const third = bench.write(`r2/-b/${SESSION}.jsonl`, jsonl(...chain(3)));
    const scan = await discover([join(bench.root, "r2"), join(bench.root, "r1")]);
    const options = { force: false, forceSessions: new Set<string>(), only: null, onReport: () => {} };
    await syncPass(bench.context, localFiles, scan, options);
    expect([...(await sessions()).values()].map((found) => [found.session_id, found.message_count])).toEqual([
      [SESSION, 1],
      [`${SESSION}@-b`, 2],
      [`${SESSION}@-b#${xxh64Hex(Buffer.from(third)).slice(0, 8)}`, 3],
    ]);
  });
});

describe("a file that moved", () => {
  test("goes on in its session: no row is written again, no event is logged", async () => {
    bench.write(PATH, jsonl(...chain(5)));
    await bench.sync();
    const before = await session(SESSION);
    move(PATH, `-b/${SESSION}.jsonl`);
    const reports = await bench.sync();
    expect(reports.get(SESSION)?.status).toBe("moved");
    expect(await session(SESSION)).toEqual({ ...before, project: "-b" });
    expect(await sources()).toEqual({ [`-b/${SESSION}.jsonl`]: SESSION });
  });

  test("and grew on the way goes on in its session; what was added is a change", async () => {
    bench.write(PATH, jsonl(...chain(5)));
    await bench.sync();
    rmSync(join(bench.root, PATH));
    bench.write(`-b/${SESSION}.jsonl`, jsonl(...chain(7)));
    await bench.sync();
    const found = await session(SESSION);
    expect(uuidsOf(found)).toEqual(uuids(1, 7));
    expect(found).toMatchObject({ generation: 1, project: "-b" });
    expect(eventsOf(found)).toEqual(["message_added", "message_added"]);
    expect(await sources()).toEqual({ [`-b/${SESSION}.jsonl`]: SESSION });
  });

  test("and holds other bytes now is a new generation of its session; the old rows are kept as vanished", async () => {
    bench.write(PATH, jsonl(...chain(5)));
    await bench.sync();
    rmSync(join(bench.root, PATH));
    bench.write(`-b/${SESSION}.jsonl`, jsonl(...chain(3), ...chain(2, { from: 50 })));
    await bench.sync();
    const found = await session(SESSION);
    expect(uuidsOf(found)).toEqual([...uuids(1, 3), ...uuids(50, 2)]);
    expect(found).toMatchObject({ generation: 2, project: "-b", state: "live" });
    expect(found.removed.map(({ message_uuid }) => message_uuid)).toEqual(uuids(4, 2));
    expect([...(await sessions()).keys()]).toEqual([SESSION]);
  });

  test("to where a session of its name already is leaves that one alone, and is gone itself", async () => {
    bench.write(PATH, jsonl(...chain(5)));
    bench.write(`-b/${SESSION}.jsonl`, jsonl(...chain(2, { from: 50 })));
    await bench.sync();
    move(PATH, `-b/${SESSION}.jsonl`);
    await bench.sync();
    const found = await sessions();
    expect(uuidsOf(found.get(SESSION))).toEqual(uuids(1, 5));
    expect(found.get(SESSION)?.state).toBe("gone");
    expect(uuidsOf(found.get(`${SESSION}@-b`))).toEqual(uuids(1, 5));
    expect(found.get(`${SESSION}@-b`)).toMatchObject({ state: "live", generation: 2 });
  });

  test("takes its subagents with it", async () => {
    bench.write(PATH, jsonl(...chain(2)));
    bench.write(`-a/${SESSION}/subagents/agent-a1.jsonl`, jsonl(...chain(3, { from: 50 })));
    await bench.sync();
    move(PATH, `-b/${SESSION}.jsonl`);
    move(`-a/${SESSION}`, `-b/${SESSION}`);
    await bench.sync();
    const found = await sessions();
    expect([...found.keys()]).toEqual([SESSION, `${SESSION}/agent-a1`]);
    expect([...found.values()].map(({ project, state, generation }) => [project, state, generation])).toEqual([
      ["-b", "live", 1],
      ["-b", "live", 1],
    ]);
  });
});

describe("a file that was deleted", () => {
  test("leaves its session as it was, and says that it is gone, once", async () => {
    bench.write(PATH, jsonl(...chain(5)));
    await bench.sync();
    const before = await session(SESSION);
    rmSync(join(bench.root, PATH));
    expect((await bench.sync()).get(SESSION)?.status).toBe("gone");
    expect(await session(SESSION)).toEqual({ ...before, state: "gone" });
    expect((await bench.sync()).size).toBe(0);
  });

  test("and is there again with the same bytes is back in its session", async () => {
    bench.write(PATH, jsonl(...chain(5)));
    await bench.sync();
    const before = await session(SESSION);
    rmSync(join(bench.root, PATH));
    await bench.sync();
    bench.write(PATH, jsonl(...chain(5)));
    await bench.sync();
    expect(await session(SESSION)).toEqual(before);
  });

  test("and was made anew with other bytes is a new generation of its session", async () => {
    bench.write(PATH, jsonl(...chain(5)));
    await bench.sync();
    rmSync(join(bench.root, PATH));
    await bench.sync();
    bench.write(PATH, jsonl(...chain(2, { from: 50 })));
    await bench.sync();
    const found = await session(SESSION);
    expect(found).toMatchObject({ state: "live", generation: 2 });
    expect(uuidsOf(found)).toEqual(uuids(50, 2));
    expect(found.removed).toHaveLength(5);
  });

  test("with the whole folder of its project is gone like any other", async () => {
    bench.write(PATH, jsonl(...chain(2)));
    bench.write(`-b/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50, session: OTHER })));
    await bench.sync();
    rmSync(join(bench.root, "-a"), { recursive: true });
    await bench.sync();
    expect([...(await sessions()).values()].map(({ session_id, state }) => [session_id, state])).toEqual([
      [SESSION, "gone"],
      [OTHER, "live"],
    ]);
  });
});

describe("subagents", () => {
  const agent = (from: number, claim: string | null, count = 2) =>
    jsonl(
      ...chain(count, { from }).map((record) => ({
        ...record,
        agentId: "a1",
        isSidechain: true,
        sessionId: claim ?? undefined,
      })),
    );

  test("with one id in two sessions are two sessions", async () => {
    bench.write(`-a/${SESSION}/subagents/agent-a1.jsonl`, agent(1, SESSION));
    bench.write(`-a/${OTHER}/subagents/agent-a1.jsonl`, agent(50, OTHER));
    await bench.sync();
    const found = await sessions();
    expect([...found.keys()]).toEqual([`${SESSION}/agent-a1`, `${OTHER}/agent-a1`]);
    expect(uuidsOf(found.get(`${OTHER}/agent-a1`))).toEqual(uuids(50, 2));
  });

  test("beside the sessions belong to the session that their records claim", async () => {
    bench.write(PATH, jsonl(...chain(2)));
    bench.write("-a/agent-a1.jsonl", jsonl(summary({ leaf: uuid(1) }), agent(50, SESSION).subarray(0, -1)));
    bench.write("-a/agent-a2.jsonl", agent(60, null));
    await bench.sync();
    const found = await sessions();
    expect([...found.keys()]).toEqual([SESSION, `${SESSION}/agent-a1`, "agent-a2"]);
    expect((await bench.store.findSession(`${SESSION}/agent-a1`))?.parent_session).toBe(SESSION);
    expect((await bench.store.findSession("agent-a2"))?.parent_session).toBeNull();
    expect(found.get("agent-a2")?.kind).toBe("agent");
  });

  test("in the old place and in the new with one id are two sessions", async () => {
    bench.write(`-a/${SESSION}/subagents/agent-a1.jsonl`, agent(1, SESSION));
    bench.write("-a/agent-a1.jsonl", agent(50, SESSION));
    await bench.sync();
    const lengths = [...(await sessions()).values()].map((one) => [one.session_id, uuidsOf(one)?.[0]]);
    expect(lengths).toEqual([
      [`${SESSION}/agent-a1`, uuid(1)],
      [`${SESSION}/agent-a1@-a`, uuid(50)],
    ]);
  });

  test("of workflows belong to their session, and a journal is no transcript", async () => {
    bench.write(`-a/${SESSION}/subagents/workflows/wf_1/agent-a1.jsonl`, agent(1, SESSION));
    bench.write(
      `-a/${SESSION}/subagents/workflows/wf_1/journal.jsonl`,
      jsonl({ type: "started", key: "k", agentId: "a1" }),
    );
    await bench.sync();
    expect([...(await sessions()).keys()]).toEqual([`${SESSION}/agent-a1`]);
  });

  test("that compact their session point into it, which is no damage; without it that is a note", async () => {
    const compact = `-a/${SESSION}/subagents/agent-acompact-4d5e6f.jsonl`;
    bench.write(compact, jsonl(userMessage({ uuid: uuid(50) }), userMessage({ uuid: uuid(51), parent: uuid(2) })));
    await bench.sync();
    const alone = await session(`${SESSION}/agent-acompact-4d5e6f`);
    expect(alone.faults).toMatchObject([{ kind: "phantom", cut_off: 0, note: true }]);
    expect(alone.corruption_score).toBe(0);
    bench.write(PATH, jsonl(...chain(4)));
    await bench.sync();
    const together = await session(`${SESSION}/agent-acompact-4d5e6f`);
    expect(together.faults).toEqual([]);
    expect(together.messages[1]).toMatchObject({ parent_state: "external", found_in: SESSION, is_orphaned: false });
  });
});

describe("forks", () => {
  test("that share uuids keep all their messages, each in its own session", async () => {
    const fork = [...chain(4, { session: OTHER }), ...chain(2, { from: 5, parent: uuid(2), session: OTHER })];
    bench.write(PATH, jsonl(...chain(6)));
    bench.write(`-a/${OTHER}.jsonl`, jsonl(...fork));
    await bench.sync();
    const found = await sessions();
    expect(uuidsOf(found.get(SESSION))).toEqual(uuids(1, 6));
    expect(uuidsOf(found.get(OTHER))).toEqual(uuids(1, 6));
    expect(found.get(OTHER)?.messages[4]?.parent_uuid).toBe(uuid(2));
    expect([...found.values()].map((one) => one.corruption_score)).toEqual([0, 0]);
    expect(found.get(SESSION)?.session_hash).not.toBe(found.get(OTHER)?.session_hash);
  });

  test("are not touched when the file goes that they were made from", async () => {
    bench.write(PATH, jsonl(...chain(4)));
    bench.write(`-a/${OTHER}.jsonl`, jsonl(...chain(2, { from: 5, parent: uuid(4), session: OTHER })));
    await bench.sync();
    const before = await session(OTHER);
    expect(before.messages[0]).toMatchObject({ parent_state: "external", found_in: SESSION });
    rmSync(join(bench.root, PATH));
    await bench.sync();
    expect(await session(OTHER)).toEqual(before);
  });
});

describe("files with little in them", () => {
  test("of 0 bytes are sessions without messages, and grow by change", async () => {
    bench.write(PATH, Buffer.alloc(0));
    await bench.sync();
    expect(await session(SESSION)).toMatchObject({
      message_count: 0,
      record_count: 0,
      corruption_score: 0,
      faults: [],
    });
    bench.write(PATH, jsonl(...chain(2)));
    await bench.sync();
    const grown = await session(SESSION);
    expect(uuidsOf(grown)).toEqual(uuids(1, 2));
    expect(eventsOf(grown)).toEqual(["message_added", "message_added"]);
    expect(grown.generation).toBe(1);
  });

  test("that hold side records only are sessions without messages", async () => {
    bench.write(
      PATH,
      jsonl(summary({ leaf: uuid(1) }), queueOperation({ content: "hi" }), snapshot({ message: uuid(2) })),
    );
    await bench.sync();
    const found = await session(SESSION);
    expect(found).toMatchObject({ message_count: 0, record_count: 3, corruption_score: 0, thread_count: 0 });
    expect(found.records.map(({ record_type }) => record_type)).toEqual([
      "summary",
      "queue-operation",
      "file-history-snapshot",
    ]);
  });

  test("that hold nothing readable are sessions of one piece", async () => {
    bench.write(PATH, Buffer.alloc(4096));
    await bench.sync();
    expect(await session(SESSION)).toMatchObject({
      message_count: 0,
      corruption_score: 1,
      pieces: [{ reason: "nul" }],
    });
  });
});

describe("a file that cannot be read", () => {
  const failing = (path: string, files: Files = localFiles): Files => ({
    findFacts: (asked) => files.findFacts(asked),
    open: (asked) =>
      asked === path
        ? Promise.reject(new RiffError("RIFF_FILE_UNREADABLE", `Cannot read ${path}: EACCES`, "Check its rights."))
        : files.open(asked),
  });

  /** One pass; reports by session. `between` happens after the files were found and before they are read. */
  async function pass(files: Files, between: () => void = () => {}): Promise<Map<string, SessionReport>> {
    const reports = new Map<string, SessionReport>();
    const scan = await discover([bench.root]);
    between();
    await syncPass(bench.context, files, scan, {
      force: false,
      forceSessions: new Set(),
      only: null,
      onReport: (report) => reports.set(report.sessionId, report),
    });
    return reports;
  }

  test("is reported, does not stop the others, and is read when it can be", async () => {
    const bad = bench.write(PATH, jsonl(...chain(4)));
    bench.write(`-a/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50, session: OTHER })));
    const reports = await pass(failing(bad));
    expect(reports.get(SESSION)).toMatchObject({ status: "failed", error: { code: "RIFF_FILE_UNREADABLE" } });
    expect(reports.get(OTHER)?.status).not.toBe("failed");
    expect([...(await sessions()).keys()]).toEqual([OTHER]);
    await pass(localFiles);
    expect(uuidsOf(await session(SESSION))).toEqual(uuids(1, 4));
  });

  test("leaves what was read of it before as it was", async () => {
    const bad = bench.write(PATH, jsonl(...chain(4)));
    await pass(localFiles);
    const before = await session(SESSION);
    bench.write(PATH, jsonl(...chain(5)));
    expect((await pass(failing(bad))).get(SESSION)?.status).toBe("failed");
    expect(await session(SESSION)).toEqual(before);
  });

  test("lets no verdict fall that it could overturn: parents that it may hold stay pending", async () => {
    const bad = bench.write(PATH, jsonl(...chain(4)));
    bench.write(`-a/${OTHER}.jsonl`, jsonl(assistantMessage({ uuid: uuid(50), parent: uuid(4), session: OTHER })));
    await pass(failing(bad));
    expect((await session(OTHER)).messages[0]).toMatchObject({ parent_state: "pending", is_orphaned: false });
    await pass(localFiles);
    expect((await session(OTHER)).messages[0]).toMatchObject({ parent_state: "external", found_in: SESSION });
  });

  test("because it went between being found and being read stops nobody", async () => {
    const bad = bench.write(PATH, jsonl(...chain(4)));
    bench.write(`-a/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50, session: OTHER })));
    const reports = await pass(localFiles, () => rmSync(bad));
    expect(reports.get(SESSION)).toMatchObject({ status: "failed", error: { code: "RIFF_FILE_UNREADABLE" } });
    expect([...(await sessions()).keys()]).toEqual([OTHER]);
    expect([...(await pass(localFiles)).values()].map(({ status }) => status)).toEqual(["unchanged"]);
  });

  test("because a folder stands in its place stops nobody", async () => {
    const bad = bench.write(PATH, jsonl(...chain(4)));
    bench.write(`-a/${OTHER}.jsonl`, jsonl(...chain(2, { from: 50, session: OTHER })));
    await pass(localFiles);
    const before = await session(SESSION);
    const reports = await pass(localFiles, () => {
      rmSync(bad);
      mkdirSync(bad);
    });
    expect(reports.get(SESSION)).toMatchObject({ status: "failed", error: { code: "RIFF_FILE_UNREADABLE" } });
    expect(await session(SESSION)).toEqual(before);
  });
});
