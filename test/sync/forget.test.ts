import { mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { forgetIn, survey } from "../../src/sync/forget.ts";
import { MAX_CONTENT_CHARS } from "../../src/sync/store.ts";
import { assistantMessage, chain, type Json, jsonl, lineOf, summary, userMessage, uuid } from "../support/builders.ts";
import { dumpSession, dumpStore } from "../support/dump.ts";
import { placesOf } from "../support/secrets.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const SECRET = "hunter2-hunter2";
const FILE = "-p/gear.jsonl";
/** The message that is to go stands in the middle. */
const HISTORY: Json[] = chain(9).map((message, i) =>
  i === 4 ? userMessage({ uuid: uuid(5), parent: uuid(4), text: `the key is ${SECRET}` }) : message,
);

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.create();
});

/** Forgets messages in every session that may hold them, as the command does. */
async function forgetMessages(...uuids: string[]): Promise<void> {
  for (const one of uuids) {
    const order = { messages: new Set([one]), reason: "a leaked key" };
    for (const id of await bench.store.sessionsWithMessage(one)) await forgetIn(bench.context, id, order);
  }
}

async function forgetSessions(...ids: string[]): Promise<void> {
  for (const id of ids) await forgetIn(bench.context, id, { messages: null, reason: "a wish" });
}

async function expectGone(): Promise<void> {
  expect(await placesOf(bench, SECRET)).toEqual([]);
  expect((await verifyAll(bench)).problems).toEqual([]);
}

async function exported(id = "gear"): Promise<Buffer> {
  return (await dumpSession(bench.store, id)).archived;
}

/** What must not change: all that a dump tells but the bytes. */
async function structure() {
  return (await dumpStore(bench.store)).map(({ archived: _, ...rest }) => rest);
}

describe("a message that was forgotten", () => {
  test("leaves its place, its links and its digest, and nothing of what it said", async () => {
    bench.write(FILE, jsonl(...HISTORY));
    await bench.sync();
    const before = await structure();
    await forgetMessages(uuid(5));
    await expectGone();
    expect(await structure()).toEqual(before);
    const file = jsonl(...HISTORY)
      .toString()
      .split("\n");
    const left = (await exported()).toString().split("\n");
    expect(left.map((line) => line.length)).toEqual(file.map((line) => line.length));
    expect(left.filter((line, i) => line !== file[i])).toHaveLength(1);
    expect(JSON.parse(left[4]!)).toMatchObject({ uuid: uuid(5), parentUuid: uuid(4), forgotten: true });
    expect((await verifyAll(bench)).notes).toEqual([
      expect.stringMatching(/^1 of its messages forgotten by test at 2.*: a leaked key$/),
    ]);
  });

  test("twice is forgotten once: the second time nothing is written", async () => {
    bench.write(FILE, jsonl(...HISTORY));
    await bench.sync();
    await forgetMessages(uuid(5));
    const heads = await bench.store.chainHeads();
    expect(await survey(bench.store, "gear", { messages: new Set([uuid(5)]), reason: "" })).toBeNull();
    await forgetMessages(uuid(5));
    expect(await bench.store.chainHeads()).toEqual(heads);
  });

  test("stays so when its file grows line by line behind it, compressed with the bytes before", async () => {
    bench.write(FILE, jsonl(...HISTORY.slice(0, 6)));
    await bench.sync();
    await forgetMessages(uuid(5));
    for (const length of [7, 8, 9]) {
      bench.write(FILE, jsonl(...HISTORY.slice(0, length)));
      const reports = await bench.sync();
      expect(reports.get("gear")?.status).toBe("appended");
    }
    await expectGone();
    expect((await dumpSession(bench.store, "gear")).generation).toBe(1);
  });

  test("is destroyed in segments whose neighbours were compressed with it", async () => {
    for (const length of [3, 5, 6, 7, 8, 9]) {
      bench.write(FILE, jsonl(...HISTORY.slice(0, length)));
      await bench.sync();
    }
    await forgetMessages(uuid(5));
    await expectGone();
    bench.write(FILE, jsonl(...chain(12).with(4, HISTORY[4]!)));
    await bench.sync();
    await expectGone();
  });

  test("is destroyed in all generations, also where they share segments, and in what vanished", async () => {
    bench.stepLimits = { bytes: 700, rows: 50 };
    bench.write(FILE, jsonl(...HISTORY));
    await bench.sync();
    bench.write(FILE, jsonl(...HISTORY.slice(0, 8), userMessage({ uuid: uuid(70), parent: uuid(8) })));
    await bench.sync();
    bench.write(FILE, jsonl(...HISTORY.slice(0, 4), userMessage({ uuid: uuid(70), parent: uuid(4) })));
    await bench.sync();
    const before = await structure();
    await forgetMessages(uuid(5));
    await expectGone();
    expect(await structure()).toEqual(before);
  });

  test("is left out when the file is rewritten with it, and logs no change of its content", async () => {
    bench.stepLimits = { bytes: 700, rows: 50 };
    bench.write(FILE, jsonl(...HISTORY));
    await bench.sync();
    await forgetMessages(uuid(5));
    const other = userMessage({ uuid: uuid(5), parent: uuid(4), text: `it was ${SECRET}, once` });
    bench.write(FILE, jsonl(...HISTORY.with(4, other)));
    expect((await bench.sync()).get("gear")).toMatchObject({ status: "rewritten" });
    await expectGone();
    expect((await dumpSession(bench.store, "gear")).events).toEqual([]);
    bench.write(FILE, jsonl(...HISTORY.slice(2)));
    await bench.sync();
    await expectGone();
  });

  test("is left out of another file, and of one that comes later", async () => {
    bench.write(FILE, jsonl(...HISTORY));
    bench.write("-p/fork.jsonl", jsonl(...HISTORY.slice(0, 6)));
    await bench.sync();
    await forgetMessages(uuid(5));
    await expectGone();
    bench.write("-q/later.jsonl", jsonl(...HISTORY.slice(3)));
    bench.write("-q/torn.jsonl", Buffer.concat([jsonl(HISTORY[0]!), Buffer.from('{"torn'), lineOf(HISTORY[4]!)]));
    await bench.sync();
    await expectGone();
    expect((await dumpSession(bench.store, "later")).message_count).toBe(6);
  });

  test("is destroyed when its line becomes whole after its beginning was archived", async () => {
    bench.write(FILE, jsonl(...HISTORY));
    await bench.sync();
    await forgetMessages(uuid(5));
    const whole = jsonl(...HISTORY.slice(0, 5));
    bench.write("-p/slow.jsonl", whole.subarray(0, whole.length - 40));
    await bench.sync();
    expect((await dumpSession(bench.store, "slow")).pieces).toMatchObject([{ reason: "unfinished" }]);
    bench.write("-p/slow.jsonl", jsonl(...HISTORY.slice(0, 6)));
    await bench.sync();
    await expectGone();
    expect((await dumpSession(bench.store, "slow")).message_count).toBe(6);
  });

  test("that is longer than a step goes, and what stands in parts goes with it", async () => {
    const long = userMessage({ uuid: uuid(5), parent: uuid(4), text: `${SECRET} `.repeat(MAX_CONTENT_CHARS / 12) });
    bench.write(FILE, jsonl(...HISTORY.with(4, long)));
    bench.write("-p/fork.jsonl", jsonl(...HISTORY.with(4, long).slice(0, 6)));
    await bench.sync();
    expect((await bench.store.content({ content: "", content_hash: null })).length).toBe(0);
    await forgetMessages(uuid(5));
    await expectGone();
    bench.write("-p/again.jsonl", jsonl(...HISTORY.with(4, long)));
    await bench.sync();
    await expectGone();
  });

  test("no longer gives the session its title or its folder", async () => {
    const titled = { ...HISTORY[4]!, customTitle: SECRET, cwd: `/home/${SECRET}` };
    bench.write(FILE, jsonl(titled, ...HISTORY.slice(5)));
    await bench.sync();
    expect(await bench.store.findSession("gear")).toMatchObject({ title: SECRET, cwd: `/home/${SECRET}` });
    await forgetMessages(uuid(5));
    await expectGone();
    expect(await bench.store.findSession("gear")).toMatchObject({ title: null, cwd: "/home/ada/engine" });
  });
});

describe("a session that was forgotten", () => {
  test("leaves its structure, and nothing that was said or could not be read", async () => {
    bench.write(
      FILE,
      Buffer.concat([
        jsonl(...HISTORY, summary({ leaf: uuid(9), text: SECRET }), `{"torn ${SECRET}`),
        Buffer.from(`{"open ${SECRET}`),
      ]),
    );
    await bench.sync();
    const before = await structure();
    await forgetSessions("gear");
    await expectGone();
    expect(await structure()).toEqual(before);
    expect(await placesOf(bench, "prompt 1")).toEqual([]);
    expect(await bench.store.findSession("gear")).toMatchObject({ title: null, cwd: null });
    expect((await verifyAll(bench)).notes).toEqual([
      expect.stringMatching(/^the whole session forgotten by test at 2.*: a wish$/),
    ]);
  });

  test("is not read any more: not when its file grows, is rewritten, moves or comes back", async () => {
    bench.write(FILE, jsonl(...HISTORY));
    bench.write("-p/gear/subagents/agent-a1.jsonl", jsonl(userMessage({ uuid: uuid(90), text: SECRET })));
    await bench.sync();
    await forgetSessions("gear", "gear/agent-a1");
    const before = await structure();
    const again = async (statuses: Record<string, string>) => {
      const reports = await bench.sync({ force: true });
      expect(Object.fromEntries([...reports].map(([id, { status }]) => [id, status]))).toEqual(statuses);
      await expectGone();
    };
    bench.write(FILE, jsonl(...HISTORY, userMessage({ uuid: uuid(91), parent: uuid(9), text: SECRET })));
    bench.write("-p/gear/subagents/agent-b2.jsonl", jsonl(userMessage({ uuid: uuid(92), text: SECRET })));
    await again({ gear: "forgotten", "gear/agent-a1": "forgotten", "gear/agent-b2": "forgotten" });
    expect(await structure()).toEqual(before);
    mkdirSync(dirname(join(bench.root, "-q/gear.jsonl")));
    renameSync(join(bench.root, FILE), join(bench.root, "-q/gear.jsonl"));
    rmSync(join(bench.root, "-p/gear"), { recursive: true });
    expect((await bench.sync()).get("gear")?.status).toBe("gone");
    await again({ gear: "forgotten" });
    bench.write(FILE, jsonl(...HISTORY));
    rmSync(join(bench.root, "-q/gear.jsonl"));
    await again({ gear: "forgotten" });
    expect((await bench.store.findSession("gear"))?.state).toBe("gone");
  });

  test("does not keep the verdicts of its project waiting", async () => {
    bench.write(FILE, jsonl(...HISTORY));
    await bench.sync();
    await forgetSessions("gear");
    bench.write("-p/gear/subagents/agent-b2.jsonl", jsonl(userMessage({ uuid: uuid(92) })));
    bench.write(
      "-p/torn.jsonl",
      jsonl(...chain(2, { from: 200 }), assistantMessage({ uuid: uuid(93), parent: uuid(94) })),
    );
    await bench.sync();
    expect((await dumpSession(bench.store, "torn")).faults).toMatchObject([{ kind: "phantom", cut_off: 1 }]);
  });

  test("is forgotten in commits of bounded size, each of which leaves a store that verifies", async () => {
    bench.write(FILE, jsonl(...chain(1200)));
    await bench.sync();
    bench.write(FILE, jsonl(...chain(1201)));
    await bench.sync();
    const stop = new AbortController();
    let commits = 0;
    const context = {
      ...bench.context,
      signal: stop.signal,
      heads: {
        advance: (id: string, chainNumber: number, head: string) => {
          bench.heads.set(id, { chain: chainNumber, head });
          if (++commits === 2) stop.abort();
        },
      },
    };
    await expect(forgetIn(context, "gear", { messages: null, reason: "a wish" })).rejects.toThrow("Interrupted");
    expect((await verifyAll(bench)).problems).toEqual([]);
    expect(await placesOf(bench, "prompt 1199")).not.toEqual([]);
    expect((await bench.sync()).get("gear")?.status).toBe("forgotten");
    const rest = await forgetIn(bench.context, "gear", { messages: null, reason: "a wish" });
    expect(rest).toMatchObject({ messages: 701 });
    expect((await verifyAll(bench)).problems).toEqual([]);
    expect(await placesOf(bench, "prompt 1199")).toEqual([]);
  });

  test("takes with it a line whose end never came", async () => {
    bench.write(FILE, jsonl(...HISTORY));
    await bench.sync();
    bench.stepLimits = { bytes: 200, rows: 1 };
    bench.write(FILE, jsonl(...HISTORY, userMessage({ uuid: uuid(91), text: `${SECRET} ${"x".repeat(2000)}` })));
    let commits = 0;
    bench.faults = (store) =>
      new Proxy(store, {
        get(target, name) {
          const value = target[name as keyof typeof store] as unknown;
          if (name === "commit" && ++commits > 4) return () => Promise.reject(new Error("died"));
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    await expect(bench.sync()).rejects.toThrow("died");
    bench.faults = (store) => store;
    await forgetSessions("gear");
    await expectGone();
    expect(await forgetIn(bench.context, "gear", { messages: null, reason: "a wish" })).toBeNull();
  });
});
