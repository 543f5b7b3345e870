import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { RecordId, type Surreal } from "surrealdb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EmbeddedDatabase } from "../../src/store/embedded-database.ts";
import { SurrealFeed } from "../../src/store/feed.ts";
import type { DbRow } from "../../src/store/rows.ts";
import { applyMigrations, importableSchema, readMigrations } from "../../src/store/schema.ts";
import { SurrealStore } from "../../src/store/surreal-store.ts";
import { run } from "../../src/store/transaction.ts";
import { FEED_START, type FedCommit, type Feed } from "../../src/sync/feed.ts";
import type { Step, Store } from "../../src/sync/store.ts";
import { chain, jsonl } from "../support/builders.ts";
import { verifyAll } from "../support/verifying.ts";
import { emptyDatabase, removeScratch, signedIn, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

/** Raise it for a longer search: RIFFD_TEST_SEED=random RIFFD_TEST_RUNS=500 npx vitest run test/store/feed.test.ts */
const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 12);

const nameOf = ({ session_id, n }: Pick<FedCommit, "session_id" | "n">) => `${session_id} ${n}`;

/** All commits behind a cursor, read `limit` at a time. */
async function readAll(feed: Feed, cursor = FEED_START, limit = 100): Promise<FedCommit[]> {
  const commits: FedCommit[] = [];
  for (let at = cursor; ; at = commits.at(-1)!.cursor) {
    const page = await feed.read(at, limit);
    commits.push(...page);
    if (page.length < limit) return commits;
  }
}

describe("a commit in the feed", () => {
  test("is told as it stands in its session's chain, and the session's commits in their order", async () => {
    const bench = await Workbench.create();
    const path = bench.write("-p/gear.jsonl", jsonl(...chain(3)));
    await bench.sync();
    bench.operator = "ada";
    bench.write("-p/gear.jsonl", jsonl(...chain(5)));
    await bench.sync();
    const [imported, appended] = await readAll(bench.store.feed);
    const [first, second] = await all(bench.store.commits("gear"));
    expect(imported).toEqual({
      cursor: expect.stringMatching(/^1-[0-9a-f]{8}$/),
      session_id: "gear",
      n: 1,
      kind: "import",
      host: "host",
      path,
      generation: 1,
      bytes: jsonl(...chain(3)).length,
      rows: 3,
      first_event: first!.first_event,
      events: 0,
      operator: "test",
      time: first!.time,
    });
    expect(appended).toMatchObject({ n: 2, kind: "append", events: 2, first_event: 1, operator: "ada" });
    expect(appended!.bytes).toBe(second!.to - second!.from);
  });

  test("comes to whoever follows from now on, and nothing from before", async () => {
    const bench = await Workbench.create();
    expect(await bench.store.feed.latest()).toBe(FEED_START);
    bench.write("-p/gear.jsonl", jsonl(...chain(3)));
    await bench.sync();
    const cursor = await bench.store.feed.latest();
    expect(await bench.store.feed.read(cursor, 10)).toEqual([]);
    bench.write("-p/spoke.jsonl", jsonl(...chain(3, { from: 50 })));
    await bench.sync();
    expect((await bench.store.feed.read(cursor, 10)).map(nameOf)).toEqual(["spoke 1"]);
  });

  test("that is missing is told as damage", async () => {
    const bench = await Workbench.create();
    bench.write("-p/gear.jsonl", jsonl(...chain(3)));
    await bench.sync();
    await bench.store.feed.latest();
    await run(bench.store.db, "OPTION IMPORT; DELETE commit");
    await expect(bench.store.feed.read(FEED_START, 1)).rejects.toMatchObject({
      code: "RIFF_STORE_DAMAGED",
      message: "Place 1 of the feed is that of commit 1 of session gear, which is not there.",
    });
  });
});

describe("a cursor", () => {
  test("that is none of this store is refused", async () => {
    const bench = await Workbench.create();
    bench.write("-p/gear.jsonl", jsonl(...chain(3)));
    await bench.sync();
    const cursor = await bench.store.feed.latest();
    const other = await Workbench.create();
    other.write("-p/spoke.jsonl", jsonl(...chain(3)));
    await other.sync();
    const foreign = await other.store.feed.latest();
    expect([cursor, foreign].map((text) => text.slice(0, 2))).toEqual(["1-", "1-"]);
    for (const text of ["", "1", "x", "-1", "01-00000000", cursor.replace("1-", "2-"), `${cursor} `, foreign]) {
      await expect(bench.store.feed.read(text, 1)).rejects.toMatchObject({ code: "RIFF_USAGE" });
    }
    expect(await bench.store.feed.read(cursor, 1)).toEqual([]);
  });
});

describe("a user who may only read", () => {
  test("sees the commits that others have given places, and gives none", async () => {
    const shared = await emptyDatabase();
    await applyMigrations(new EmbeddedDatabase(shared.db, shared.database), readMigrations());
    const bench = Workbench.on(shared);
    bench.write("-p/gear.jsonl", jsonl(...chain(3)));
    await bench.sync();
    const theirs = new SurrealFeed(new EmbeddedDatabase(await signedIn(shared, "VIEWER"), "test"));
    expect(await theirs.latest()).toBe(FEED_START);
    expect(await theirs.read(FEED_START, 10)).toEqual([]);
    const cursor = await bench.store.feed.latest();
    expect((await theirs.read(FEED_START, 10)).map(nameOf)).toEqual(["gear 1"]);
    expect(await theirs.latest()).toBe(cursor);
  });
});

describe("the feed of a store that is older than it", () => {
  test("has the commits that were made before, once, however often the schema is imported", async () => {
    const bench = await Workbench.create();
    bench.stepLimits = { bytes: 100_000, rows: 2 };
    for (const name of ["gear", "spoke"]) bench.write(`-p/${name}.jsonl`, jsonl(...chain(9)));
    await bench.sync();

    const { db, database } = await emptyDatabase();
    const old = Workbench.over(new EmbeddedDatabase(db, database), bench.root);
    const before = readMigrations().filter(({ version }) => version < 4);
    await applyMigrations(old.store.database, before);
    for (const table of ["session", "source", "message", "commit", "repair_event", "source_segment"]) {
      const [rows] = await run<[DbRow[]]>(bench.store.db, `SELECT * FROM ${table}`);
      await run(db, "OPTION IMPORT; INSERT INTO $table $rows", { table: new RecordId(table, 1).table, rows });
    }
    await applyMigrations(old.store.database, readMigrations());
    expect((await verifyAll({ store: old.store, heads: bench.heads, context: bench.context })).problems).toEqual([]);
    const [first] = await old.store.feed.read(FEED_START, 1);
    await run(db, importableSchema(readMigrations()));
    old.write("-p/gear.jsonl", jsonl(...chain(11)));
    await old.sync();
    const fed = await readAll(old.store.feed, first!.cursor);
    expect([first!, ...fed].map(nameOf)).toEqual([
      ...["gear", "spoke"].flatMap((name) => [1, 2, 3, 4, 5].map((n) => `${name} ${n}`)),
      "gear 6",
    ]);
    expect((await verifyAll(old)).problems).toEqual([]);
  });
});

describe("for any order in which commits are made, fail, and are read", () => {
  /** A step that was written once, and is written again under other names. */
  let template: Step;

  beforeAll(async () => {
    const bench = await Workbench.create();
    bench.write("-p/gear.jsonl", jsonl(...chain(1)));
    bench.faults = (store) =>
      new Proxy<Store>(store, {
        get(target, name) {
          const value = target[name as keyof Store];
          if (typeof value !== "function") return value;
          if (name !== "commit") return value.bind(target);
          return (step: Step) => {
            template = step;
            return target.commit(step);
          };
        },
      });
    await bench.sync();
  });

  /** Commit `n` of a session, and nothing else; one that `fails` is rolled back after all its rows are written. */
  function stepOf(session_id: string, n: number, fails: boolean): Step {
    const tombstone = {
      generation: 1,
      offset: 0,
      length: -1,
      kind: "nothing" as "piece",
      digest: "",
      message_uuid: null,
    };
    return {
      ...template,
      source: null,
      messages: [],
      segments: [],
      session: { ...template.session, session_id, chain: n },
      commit: { ...template.commit, n, step_id: randomUUID() },
      tombstones: fails ? [{ ...tombstone, scope: "message" }] : [],
    };
  }

  const writerArb = fc.record({
    session: fc.nat({ max: 3 }),
    /** Whether each of its commits fails. */
    commits: fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
  });
  const followerArb = fc.record({
    fromNow: fc.boolean(),
    /** How many it reads at a time, in turn. */
    limits: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
    /** How often it forgets the page it read last, and reads it again. */
    forgets: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
  });

  test("each follower sees every commit exactly once, in one order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(writerArb, { minLength: 1, maxLength: 5 }),
        fc.array(followerArb, { minLength: 1, maxLength: 4 }),
        async (writers, followers) => {
          const { store } = await Workbench.create();
          const connect = connectionsTo(store);
          const written = new Set<string>();
          let writing = writers.length;

          const write = async ({ session, commits }: (typeof writers)[number]) => {
            const mine = new SurrealStore(await connect());
            for (const fails of commits) {
              const id = `s${session}`;
              const n = ((await mine.findSession(id))?.chain ?? 0) + 1;
              const outcome = await mine.commit(stepOf(id, n, fails)).catch(() => "failed");
              expect(fails ? ["failed", "lost-race"] : ["committed", "lost-race"]).toContain(outcome);
              if (outcome === "committed") written.add(nameOf({ session_id: id, n }));
            }
            writing--;
          };

          const follow = async ({ fromNow, limits, forgets }: (typeof followers)[number]) => {
            let feed: Feed = new SurrealFeed(await connect());
            const before = new Set(written);
            let cursor = fromNow ? await feed.latest() : FEED_START;
            const known = written.size;
            const seen: string[] = [];
            for (let turn = 0; ; turn++) {
              const wasWriting = writing > 0;
              const limit = limits[turn % limits.length]!;
              const page = await feed.read(cursor, limit);
              expect(page.length).toBeLessThanOrEqual(limit);
              if (page.length < limit && !wasWriting)
                return { fromNow, before, known, seen: [...seen, ...page.map(nameOf)] };
              if (forgets[turn % forgets.length] && turn % 2 === 0) feed = new SurrealFeed(await connect());
              else {
                seen.push(...page.map(nameOf));
                cursor = page.at(-1)?.cursor ?? cursor;
              }
            }
          };

          const [told] = await Promise.all([Promise.all(followers.map(follow)), Promise.all(writers.map(write))]);
          const order = (await readAll(store.feed)).map(nameOf);
          expect([...order].sort()).toEqual([...written].sort());
          expect(new Set(order).size).toBe(order.length);
          for (const { fromNow, before, known, seen } of told) {
            expect(seen).toEqual(fromNow ? order.slice(order.length - seen.length) : order);
            if (!fromNow) continue;
            // A commit is noted here a moment after it is made: one of each writer may be in between.
            expect(seen.filter((name) => before.has(name))).toEqual([]);
            expect(order.length - seen.length).toBeLessThanOrEqual(known + writers.length);
          }
        },
      ),
      { numRuns: RUNS },
    );
  });
});

/** Sessions of their own in a store's database. */
function connectionsTo(store: SurrealStore): () => Promise<EmbeddedDatabase> {
  return async () => {
    const session = (await store.db.forkSession()) as Surreal;
    return new EmbeddedDatabase(session, store.location);
  };
}

async function all<T>(pages: AsyncIterable<T[]>): Promise<T[]> {
  const rows: T[] = [];
  for await (const page of pages) rows.push(...page);
  return rows;
}
