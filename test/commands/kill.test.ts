// kill -9, a hundred times: whatever moment it hits, the next run goes on, and in the end nothing is missing or doubled.
import { appendFileSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openStore } from "../../src/store/open.ts";
import type { ModelSession } from "../model/model.ts";
import { assistantMessage, chain, type Json, jsonl, lineOf, SESSION, userMessage, uuid } from "../support/builders.ts";
import { pick, random, seed } from "../support/chance.ts";
import { dumpStore } from "../support/dump.ts";
import { killRunning, riffd, startRiffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const KILLS = 100;
/** Runs that ended before their kill came do not count, but are not made for ever. */
const MAX_RUNS = 200;

/** A session's file as the test goes on writing it. */
class Written {
  readonly path: string;
  #from: number;
  #count = 0;
  readonly #text: string;

  constructor(path: string, number: number, records: number, text: string) {
    this.path = path;
    this.#from = number * 1_000_000;
    this.#text = text;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, this.#next(records));
    this.rest();
  }

  #next(records: number): Buffer {
    const values: Json[] = [];
    for (let i = 0; i < records; i++) {
      const n = this.#from + this.#count++;
      const place = { uuid: uuid(n), parent: n === this.#from ? null : uuid(n - 1) };
      const text = `${n} ${this.#text}`;
      values.push(i % 2 === 0 ? userMessage({ ...place, text }) : assistantMessage({ ...place, text }));
    }
    return jsonl(...values);
  }

  append(records: number): void {
    appendFileSync(this.path, this.#next(records));
    this.rest();
  }

  /** Half a record, which a later append tears for good. */
  tear(): void {
    const record = lineOf(userMessage({ uuid: uuid(this.#from + this.#count), text: "torn" }));
    appendFileSync(this.path, record.subarray(0, 40 + pick(record.length - 60)));
    this.rest();
  }

  /** Another text in one record somewhere, and so another generation. */
  rewrite(): void {
    const lines = readFileSync(this.path, "latin1").split("\n");
    const at = pick(lines.length);
    writeFileSync(
      this.path,
      lines.with(at, lines[at]!.replace(/"content":"\d+ /, `"content":"${pick(1e6)} `)).join("\n"),
      "latin1",
    );
    this.rest();
  }

  shrink(): void {
    const bytes = readFileSync(this.path);
    writeFileSync(this.path, bytes.subarray(0, bytes.lastIndexOf(0x0a, Math.floor(bytes.length * 0.9)) + 1));
    this.rest();
  }

  /** Last written an hour ago, or just now. */
  rest(quiet = true): void {
    const at = Date.now() / 1000 - (quiet ? 3600 + pick(1000) : 0);
    utimesSync(this.path, at, at);
  }
}

test(`survives ${KILLS} kills at random moments without losing or doubling anything (seed ${seed})`, async () => {
  const projects = scratchFolder();
  const paragraph = "The tide comes in twice a day and so do we. ".repeat(50);
  const files = [1, 2, 5, 20, 60, 150, 400, 700].map(
    (records, i) => new Written(join(projects, `-p${i % 3}/5e55100${i}.jsonl`), i + 1, records, "short"),
  );
  files.push(new Written(join(projects, `-p0/5e551000/subagents/agent-a1.jsonl`), 20, 30, "an agent's"));
  const big = new Written(join(projects, `-p1/${SESSION}.jsonl`), 30, 1800, paragraph);
  files.push(big);
  writeFileSync(join(projects, "-p2/empty.jsonl"), "");
  writeFileSync(
    join(projects, "-p2/broken.jsonl"),
    jsonl(...chain(5, { from: 40_000_000, parent: uuid(7) }), "{torn", "\0\0"),
  );
  const sync = ["sync", "--all", "--json", "--projects", projects];

  const started = performance.now();
  expect(await riffd(scratchFolder(), sync)).toMatchObject({ code: 0, stderr: "" });
  const whole = performance.now() - started;

  const state = scratchFolder();
  let kills = 0;
  let completed = 0;
  let expected = whole; // how long a run takes that nobody kills
  while (kills < KILLS && kills + completed < MAX_RUNS) {
    const begun = performance.now();
    const running = startRiffd(state, sync);
    const timer = setTimeout(() => running.child.kill("SIGKILL"), random() * expected);
    const { code, signal, stderr } = await running.ended;
    clearTimeout(timer);
    if (signal === "SIGKILL") kills++;
    else {
      completed++;
      expect([code, stderr]).toEqual([0, ""]);
      expected = performance.now() - begun;
    }
    const file = random() < 0.2 ? big : files[pick(files.length)]!;
    if (file === big) expected = whole;
    const what = pick(10);
    if (what < 5) file.append(1 + pick(40));
    else if (what === 5) file.tear();
    else if (what < 8) file.rewrite();
    else if (what === 8) file.shrink();
    else file.rest(false);
  }
  expect(kills).toBe(KILLS);

  for (const file of files) file.rest();
  const last = await riffd(state, sync);
  expect([last.code, last.stderr]).toEqual([0, ""]);
  const clean = scratchFolder();
  expect((await riffd(clean, sync)).code).toBe(0);

  // The chains, the log and the bytes prove each other, in the store as well as against the files.
  const proof = await riffd(state, ["verify", "--all", "--json"]);
  expect([proof.code, proof.stderr]).toEqual([0, ""]);

  const [killed, once] = await Promise.all(
    [state, clean].map((stateDir) => openStore({ kind: "embedded", dir: join(stateDir, "store") }, { stateDir })),
  );
  const found = await dumpStore(killed!.store);
  expect(found.map(withoutHistory)).toEqual((await dumpStore(once!.store)).map(withoutHistory));
  for (const { path } of files) {
    const session = found.find((one) => one.archived.equals(readFileSync(path)));
    expect([path, session !== undefined]).toEqual([path, true]);
  }
  const [rows, events] = await killed!.store.db
    .query<[{ count: number }[], { id: number; session: string; n: number }[]]>(
      `SELECT count() FROM message GROUP ALL;
       SELECT VALUE [session_id, record::id(id)[1]] FROM repair_event`,
    )
    .collect();
  const live = found.reduce((sum, session) => sum + session.message_count + session.removed.length, 0);
  expect(rows[0]?.count).toBe(live);
  expect(events.length).toBe(found.reduce((sum, session) => sum + session.events.length, 0));
}, 180_000);

/** What must be equal, however the files came to be as they are. */
function withoutHistory({ events: _, removed: __, generation: ___, archived, ...session }: ModelSession) {
  return { ...session, archived: archived.toString("latin1") };
}
