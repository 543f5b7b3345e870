// `--force` heals: rows that are not what the archived bytes say are written again, and nothing is logged.
import { rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import type { DbRow } from "../../src/store/rows.ts";
import { run } from "../../src/store/transaction.ts";
import { MAX_CONTENT_CHARS, type Store } from "../../src/sync/store.ts";
import { Model, type Snapshot } from "../model/model.ts";
import { historyArb } from "../support/arbitraries.ts";
import { assistantMessage, chain, type Json, jsonl, summary, userMessage, uuid } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { dyingStore } from "../support/dying-store.ts";
import { another, HEALED_TABLES, vandalise, vandalismArb } from "../support/vandalism.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const FORCE = { force: true };
/** Raise it for a longer search: RIFFD_TEST_SEED=random RIFFD_TEST_RUNS=2000 npx vitest run test/sync/heal.test.ts */
const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 20);

const limitsArb = fc.record({ bytes: fc.integer({ min: 40, max: 1500 }), rows: fc.integer({ min: 1, max: 4 }) });

test("whatever was done to rows, a forced sync makes them what they were, and logs nothing", async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, vandalismArb, limitsArb, async (history, acts, limits) => {
      const { bench, model } = await afterHistory(history);
      const before = await readRows(bench);
      await vandalise(bench, acts);
      bench.stepLimits = limits;
      await bench.sync(FORCE);
      expect(readable(await dumpStore(bench.store))).toEqual(readable(model.sessions()));
      expect(await readRows(bench)).toEqual(before);
      expect((await verifyAll(bench)).problems).toEqual([]);
      await expectNothingToHeal(bench);
    }),
    { numRuns: RUNS },
  );
});

test("a healing that dies before or after any commit is completed by the next", async () => {
  const deathArb = fc.record({ writes: fc.integer({ min: 0, max: 8 }), done: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(
      historyArb,
      vandalismArb,
      limitsArb,
      fc.array(deathArb, { minLength: 1, maxLength: 3 }),
      async (history, acts, limits, deaths) => {
        const { bench, model } = await afterHistory(history);
        await vandalise(bench, acts);
        bench.stepLimits = limits;
        for (const death of deaths) {
          bench.faults = dyingStore(death);
          await bench.sync(FORCE).catch((error: Error) => expect(error.message).toBe("died"));
        }
        bench.faults = (store) => store;
        await bench.sync(FORCE);
        expect(readable(await dumpStore(bench.store))).toEqual(readable(model.sessions()));
        expect((await verifyAll(bench)).problems).toEqual([]);
      },
    ),
    { numRuns: Math.ceil(RUNS / 2) },
  );
});

test("each column of each table that follows from what is archived is healed", async () => {
  const bench = await damagedBench();
  const events = await run(bench.store.db, "SELECT * FROM repair_event");
  for (const table of [...HEALED_TABLES, "source"]) {
    const [rows] = await run<[DbRow[]]>(bench.store.db, `SELECT * FROM ${table}`);
    const [row] = rows
      .filter(({ removed_at }) => removed_at === undefined) // what vanished keeps the verdict it had
      .sort((a, b) => Object.keys(b).length - Object.keys(a).length);
    for (const [column, value] of Object.entries(row!)) {
      if (column === "id" || UNPROVED.has(`${table}.${column}`)) continue;
      await alter(bench, `UPDATE $id SET ${column} = $value`, { id: row!.id, value: another(column, value) });
      await bench.sync(FORCE);
      const [now] = await run<[DbRow]>(bench.store.db, "SELECT * FROM ONLY $id", { id: row!.id });
      if (!MOVES_ON.has(`${table}.${column}`)) expect({ column, value: now[column] }).toEqual({ column, value });
    }
    expect((await verifyAll(bench)).problems).toEqual([]);
  }
  expect(await run(bench.store.db, "SELECT * FROM repair_event")).toEqual(events);
});

/** Of a checkpoint: which file and session it is of, what was seen of the file, and what the next look goes by. */
const UNPROVED = new Set(
  [
    ...["host", "path", "session_id"],
    ...["dev", "ino", "size", "mtime_ns", "ctime_ns", "baseline", "verified_size", "verified_at"],
    ...["verdicts_due", "superseded", "prior_incomplete", "visible_end", "settled", "complete"],
  ].map((column) => `source.${column}`),
);
/** Columns that follow the chain of commits, which a healing makes longer. */
const MOVES_ON = new Set(["session.chain", "session.head", "session.last_updated"]);

/** A session that was rewritten, has a torn line, a phantom, a long text, and an agent with a parent elsewhere. */
async function damagedBench(): Promise<Workbench> {
  const bench = await Workbench.create();
  const first = chain(3);
  const long = assistantMessage({ uuid: uuid(7), parent: uuid(3), text: "cog ".repeat(MAX_CONTENT_CHARS / 2) });
  const orphan = userMessage({ uuid: uuid(8), parent: uuid(99) });
  bench.write("-p/gear.jsonl", jsonl(...first, userMessage({ uuid: uuid(4), parent: uuid(3) })));
  bench.write("-p/gear/subagents/agent-a1.jsonl", jsonl(userMessage({ uuid: uuid(30), parent: uuid(3), agent: "a1" })));
  await bench.sync();
  bench.write("-p/gear.jsonl", jsonl(...first, summary({ leaf: uuid(3) }), '{"torn', long, orphan));
  await bench.sync();
  return bench;
}

describe("by hand", () => {
  test("deleting the message rows of a session ends well", async () => {
    const bench = await oneFile(chain(6));
    const before = await readRows(bench);
    await alter(bench, "DELETE message");
    const report = (await bench.sync(FORCE)).get("gear");
    expect(report).toMatchObject({ status: "healed", healedRows: 6, events: { message_added: 0 } });
    expect(await readRows(bench)).toEqual(before);
    expect(await lastCommit(bench)).toMatchObject({ n: 2, kind: "healed", rows: 6, events: 0 });
    await expectHealthy(bench);
  });

  test("deleting the session's row, and all rows of it, ends well", async () => {
    const bench = await damagedBench();
    const before = await readRows(bench);
    await alter(bench, "DELETE session; DELETE message; DELETE record; DELETE quarantine; DELETE content_part");
    await bench.sync(FORCE);
    expect(await readRows(bench)).toEqual(before);
    await expectHealthy(bench);
  });

  test("deleting the session's row is told with what to do, when its file has grown", async () => {
    const bench = await oneFile(chain(4));
    await alter(bench, "DELETE session");
    bench.write("-p/gear.jsonl", jsonl(...chain(5)));
    await expect(bench.sync()).rejects.toThrow("but not its session gear");
    const report = (await bench.sync(FORCE)).get("gear");
    expect(report).toMatchObject({ status: "appended", healedRows: 1, events: { message_added: 1 } });
    await expectHealthy(bench);
  });

  test("deleting the checkpoint does not make the file another session", async () => {
    const bench = await oneFile(chain(4));
    const before = await readRows(bench);
    await alter(bench, "DELETE source");
    await expect(bench.sync()).rejects.toThrow("but not the checkpoint of its file");
    expect((await bench.sync(FORCE)).get("gear")).toMatchObject({ status: "healed", healedRows: 1 });
    expect(await readRows(bench)).toEqual(before);
    await expectHealthy(bench);
    bench.write("-p/gear.jsonl", jsonl(...chain(5)));
    expect((await bench.sync()).get("gear")).toMatchObject({ status: "appended", events: { message_added: 1 } });
  });

  test("deleting both the session's row and the checkpoint leaves enough to make them again", async () => {
    const bench = await damagedBench();
    const before = await readRows(bench);
    await alter(bench, "DELETE session; DELETE source");
    await bench.sync(FORCE);
    expect(await readRows(bench)).toEqual(before);
    await expectHealthy(bench);
  });
});

describe("a forced sync", () => {
  test("heals a session whose file is gone, from its archive", async () => {
    const bench = await oneFile(chain(6));
    rmSync(join(bench.root, "-p/gear.jsonl"));
    await alter(bench, "DELETE message; UPDATE source SET fingerprint = 'x'");
    const told: string[] = [];
    await bench.sync({ ...FORCE, onReport: ({ status }) => told.push(status) });
    expect(told).toEqual(["healed", "gone"]);
    await expectHealthy(bench);
    await alter(bench, "DELETE message");
    expect((await bench.sync(FORCE)).get("gear")).toMatchObject({ status: "healed", healedRows: 6 });
    await expectHealthy(bench);
  });

  test("logs what is new in the file, and nothing of what it heals", async () => {
    const bench = await oneFile(chain(6));
    await alter(bench, "DELETE message; UPDATE session SET message_count = 1, session_hash = 'x'");
    bench.write("-p/gear.jsonl", jsonl(...chain(8)));
    expect((await bench.sync(FORCE)).get("gear")).toMatchObject({
      status: "appended",
      healedRows: 7,
      events: { message_added: 2 },
    });
    await expectHealthy(bench);
  });

  test("heals the row of a message that has vanished, and removes that of one that is back", async () => {
    const bench = await oneFile(chain(6));
    bench.write("-p/gear.jsonl", jsonl(...chain(6).filter((_, i) => i !== 1 && i !== 3)));
    await bench.sync();
    const [[back]] = await run<[DbRow[]]>(
      bench.store.db,
      "SELECT * FROM message WHERE removed_at AND message_uuid = $u",
      {
        u: uuid(2),
      },
    );
    bench.write("-p/gear.jsonl", jsonl(...chain(6).filter((_, i) => i !== 3)));
    await bench.sync();
    const before = await readAll(bench);
    await alter(bench, "UPDATE message SET content = 'x' WHERE removed_at; INSERT INTO message $back", { back });
    expect((await bench.sync(FORCE)).get("gear")).toMatchObject({ status: "healed", healedRows: 2 });
    expect((await readAll(bench))[1]).toEqual(before[1]);
    await expectHealthy(bench);
  });

  test("removes any number of rows that are too many", async () => {
    const bench = await oneFile(chain(3));
    const before = await readRows(bench);
    await alter(
      bench,
      `LET $row = (SELECT * OMIT id FROM ONLY message:['gear', 1, 0]);
       FOR $i IN 1..700 { CREATE type::record('message', ['gear', 1, $i + 0.5]) CONTENT $row RETURN NONE };
       FOR $i IN 1..700 { CREATE type::record('message', ['gear', 9, $i]) CONTENT $row RETURN NONE };`,
    );
    expect((await bench.sync(FORCE)).get("gear")).toMatchObject({ status: "healed", healedRows: 1398 });
    expect(await readRows(bench)).toEqual(before);
    await expectHealthy(bench);
  });

  test("heals what an interrupted import has left, once it is complete", async () => {
    const bench = await Workbench.create();
    bench.stepLimits = { bytes: 1024, rows: 2 };
    bench.write("-p/gear.jsonl", jsonl(...chain(12)));
    bench.faults = dyingStore({ writes: 2, done: true });
    await expect(bench.sync()).rejects.toThrow("died");
    bench.faults = (store) => store;
    const inTheWay = `message:['gear', 1, ${jsonl(...chain(9)).length}]`;
    await alter(
      bench,
      `UPDATE message SET content = 'x'; UPDATE session SET message_count = 99, chain = 1;
       CREATE ${inTheWay} CONTENT (SELECT * OMIT id FROM ONLY message:['gear', 1, 0])`,
    );
    const report = (await bench.sync(FORCE)).get("gear")!;
    expect(report).toMatchObject({ status: "imported", session: { message_count: 12 } });
    expect(report.healedRows).toBeGreaterThan(2);
    await expectHealthy(bench);
  });

  for (const damage of [
    "DELETE unresolved",
    "UPDATE unresolved SET state = 'pending'",
    "UPDATE message SET parent_state = 'pending', is_orphaned = false WHERE is_orphaned",
    "UPDATE session SET faults = [], fault_count = 0, cut_off_count = 0, corruption_score = 0",
    "DELETE message",
    "DELETE session",
  ]) {
    test(`keeps a verdict that was made when the file was quiet, after ${damage}`, async () => {
      const orphan = userMessage({ uuid: uuid(8), parent: uuid(99) });
      const bench = await oneFile([...chain(2), orphan]);
      bench.write("-p/gear.jsonl", jsonl(...chain(2), orphan, ...chain(1, { from: 20 })), false);
      await bench.sync();
      const before = await dumpStore(bench.store);
      expect(before).toMatchObject([{ orphan_count: 1, events: [{}] }]);
      await alter(bench, damage);
      await bench.sync(FORCE);
      expect(await dumpStore(bench.store)).toEqual(before);
    });
  }

  test("heals sessions on which the store is behind, without being asked to", async () => {
    const bench = await oneFile(chain(4));
    await alter(bench, "DELETE session");
    await bench.sync({ forceSessions: new Set(["gear"]) });
    await expectHealthy(bench);
  });

  for (const damage of [
    "UPDATE commit:['gear', 1] SET operator = 'other'",
    "DELETE commit:['gear', 1]",
    "UPDATE repair_event SET reason = 'other'",
    "DELETE repair_event",
    "UPDATE source_segment:['gear', 1, 0] SET data = <bytes>'x'",
    "DELETE source_segment",
  ]) {
    test(`tells that it cannot heal, and writes nothing, after ${damage}`, async () => {
      const bench = await oneFile(chain(4));
      bench.write("-p/gear.jsonl", jsonl(...chain(5)));
      await bench.sync();
      await alter(bench, `OPTION IMPORT; ${damage}; DELETE message`);
      const before = await readAll(bench);
      await expect(bench.sync(FORCE)).rejects.toMatchObject({ code: "RIFF_STORE_DAMAGED" });
      expect(await readAll(bench)).toEqual(before);
    });
  }
});

test("the hash mismatch loop is none: an edit is logged once, however often it is forced", async () => {
  const bench = await oneFile(chain(4));
  const edited = chain(4).map((message, i) => (i === 2 ? { ...message, message: { content: "edited" } } : message));
  bench.write("-p/gear.jsonl", jsonl(...edited));
  expect((await bench.sync()).get("gear")).toMatchObject({ status: "rewritten" });
  for (let i = 0; i < 3; i++) await expectNothingToHeal(bench);

  const respelled = edited.map((message) =>
    JSON.stringify(Object.fromEntries(Object.entries(message).reverse()), null, 1),
  );
  bench.write("-p/gear.jsonl", jsonl(...respelled.map((text) => text.replaceAll("\n", " "))));
  expect((await bench.sync(FORCE)).get("gear")).toMatchObject({ status: "rewritten" });
  for (let i = 0; i < 3; i++) await expectNothingToHeal(bench);
  expect((await dumpStore(bench.store))[0]!.events.map(({ event_type }) => event_type)).toEqual(["content_updated"]);
});

test("a sync that is not forced does none of it", async () => {
  const bench = await oneFile(chain(4));
  const asked: (string | symbol)[] = [];
  bench.faults = (store) =>
    new Proxy<Store>(store, {
      get(target, name) {
        asked.push(name);
        const value = target[name as keyof Store];
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  bench.write("-p/gear.jsonl", jsonl(...chain(5)));
  await bench.sync();
  expect(asked).toContain("commit");
  for (const name of ["commits", "events", "rowsBetween", "strayRows", "storedUnresolved", "readArchive"]) {
    expect(asked).not.toContain(name);
  }
});

async function oneFile(values: readonly Json[]): Promise<Workbench> {
  const bench = await Workbench.create();
  bench.write("-p/gear.jsonl", jsonl(...values));
  await bench.sync();
  return bench;
}

async function expectHealthy(bench: Workbench): Promise<void> {
  expect((await verifyAll(bench)).problems).toEqual([]);
  await expectNothingToHeal(bench);
}

async function lastCommit(bench: Workbench): Promise<DbRow> {
  const [rows] = await run<[DbRow[]]>(bench.store.db, "SELECT * FROM commit ORDER BY n DESC LIMIT 1");
  return rows[0]!;
}

/** A history whose last look finds all files quiet, so that every verdict follows from what is there. */
async function afterHistory(history: readonly Snapshot[]) {
  const bench = await Workbench.create();
  const model = new Model();
  const last = history.at(-1)!.map((look) => ({ ...look, quiet: true }));
  for (const snapshot of [...history, last]) {
    bench.lay(snapshot);
    await bench.sync();
    model.see(snapshot);
  }
  return { bench, model };
}

async function alter(bench: Workbench, text: string, parameters: Record<string, unknown> = {}): Promise<void> {
  await run(bench.store.db, text, parameters);
}

/** A second forced sync changes no row, but for when checkpoints were last looked at. */
async function expectNothingToHeal(bench: Workbench): Promise<void> {
  const before = await readAll(bench);
  const reports = await bench.sync(FORCE);
  expect([...reports.values()].filter(({ status }) => status !== "unchanged")).toEqual([]);
  expect(await readAll(bench)).toEqual(before);
}

function readAll(bench: Workbench): Promise<DbRow[][]> {
  return run<DbRow[][]>(
    bench.store.db,
    `SELECT * FROM session; SELECT * FROM message; SELECT * FROM record; SELECT * FROM quarantine;
     SELECT * FROM unresolved; SELECT * FROM content_part; SELECT * FROM commit; SELECT * FROM repair_event;
     SELECT * FROM source_segment; SELECT * OMIT verified_at FROM source`,
  );
}

/** All that follows from bytes and events: without what counts commits, and what only a lost row told. */
function readRows(bench: Workbench): Promise<DbRow[][]> {
  return run<DbRow[][]>(
    bench.store.db,
    `SELECT * OMIT chain, head, last_updated FROM session; SELECT * FROM message WHERE removed_at IS NONE;
     SELECT * OMIT parent_state, is_orphaned, corruption_score FROM message WHERE removed_at IS NOT NONE;
     SELECT * FROM record; SELECT * OMIT created_at FROM quarantine; SELECT * FROM unresolved; SELECT * FROM content_part;
     SELECT * FROM repair_event; SELECT * FROM source_segment; SELECT id, session_id, archived, parsed FROM source`,
  );
}

/** Bytes as text, so that a difference can be read. */
function readable(sessions: ReturnType<Model["sessions"]>) {
  return sessions.map((session) => ({ ...session, archived: session.archived.toString("latin1") }));
}
