// The daemon is killed 50 times at random moments while several transcripts are written to, moved and rewritten. In the
// end the store is what the model makes of the files, and all of it is proved.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { sha256Hex } from "../../src/core/hash.ts";
import { openStore } from "../../src/store/open.ts";
import { Model, type ModelSession } from "../model/model.ts";
import { assistantMessage, type Json, jsonl, lineOf, queueOperation, userMessage, uuid } from "../support/builders.ts";
import { pick, random, seed } from "../support/chance.ts";
import { hasCorpus, someTranscripts } from "../support/corpus.ts";
import { dumpStore } from "../support/dump.ts";
import { LiveDaemon } from "../support/live-daemon.ts";
import { linesOfFile, Replay } from "../support/replay.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const KILLS = 50;
/** On a machine that is so busy that this is not enough for all of them, they come sooner. */
const KILLS_MS = 40_000;
const ENV = { RIFFD_SETTLE_S: "1", RIFFD_DEBOUNCE_MS: "20" };
const TEXTS = ["Gut.", "Die Zähne greifen wieder: ⚙️⚙️ 🔧", "日本語の歯車。".repeat(30), "ok ".repeat(4_000)];

/** A conversation of `count` records, with what Claude puts in between, and now and then something that is no record. */
function conversation(number: number, count: number): Buffer {
  const values: (Json | string)[] = [];
  const first = number * 1_000_000;
  for (let n = first; n < first + count; n++) {
    const place = {
      uuid: uuid(n),
      parent: n === first ? null : uuid(n - 1),
      text: `${n} ${TEXTS[pick(TEXTS.length)]}`,
    };
    values.push(n % 2 === 0 ? userMessage(place) : assistantMessage(place));
    if (random() < 0.1) values.push(queueOperation({ content: "später" }));
    if (random() < 0.02) values.push('{"type":"user","uuid":"torn for go');
  }
  return jsonl(...values);
}

/** Where real transcripts are at hand, some are among those that are written. */
const REAL = hasCorpus ? someTranscripts(4) : [];

test(`${KILLS} kills at random moments, while Claude writes, leave what was written, once (seed ${seed})`, async () => {
  const projects = scratchFolder();
  const stateDir = scratchFolder();
  const options = { pauseMs: 120, random };
  const replay = (path: string, bytes: Buffer) => new Replay(join(projects, path), linesOfFile(bytes), options);
  const unfinished = lineOf(userMessage({ uuid: uuid(60_000_000), text: "the end is mis" })).subarray(0, -30);
  const agent = userMessage({ uuid: uuid(50_000_000), parent: uuid(1_000_003), session: "first", agent: "a1" });
  const replays = [
    replay("-p0/first.jsonl", conversation(1, 250)),
    replay("-p0/second.jsonl", conversation(2, 120)),
    replay("-p1/third.jsonl", conversation(3, 200)),
    replay("-p1/unfinished.jsonl", Buffer.concat([conversation(4, 60), unfinished])),
    replay("-p2/deep/subagents/agent-a2.jsonl", conversation(6, 40)),
    replay("-p0/first/subagents/agent-a1.jsonl", jsonl(agent)),
    ...REAL.map((path) => replay(`-real/${basename(path)}`, readFileSync(path))),
  ];
  const still = { path: join(projects, "-p1/still.jsonl"), moves: 0, rewrites: 0 };
  writeFileSync(still.path, conversation(7, 150));

  const started = performance.now();
  const other = await LiveDaemon.start(scratchFolder(), projects, { env: ENV });
  const usual = performance.now() - started;
  await other.kill();

  const begun = performance.now();
  for (let kill = 1; kill <= KILLS; kill++) {
    const daemon = LiveDaemon.launch(stateDir, projects, { env: ENV });
    const writing = Promise.all(replays.map((one) => one.play(kill / (KILLS + 1))));
    if (kill % 10 === 0) await daemon.ready(); // of some it is sure that they hit a daemon that has caught up
    const share = (begun + KILLS_MS - performance.now()) / (KILLS - kill + 1);
    await Promise.race([pause(random() * Math.max(100, Math.min(1.2 * usual, 2 * share))), daemon.running.ended]);
    if (kill > 10 && kill % 5 === 3) rewrite(still); // it has been imported by then
    if (kill % 10 === 5) move(still, projects);
    daemon.running.child.kill("SIGKILL");
    const { signal, stdout, stderr } = await daemon.running.ended;
    expect([signal, stderr, stdout.match(/"level":"(error|fatal)".*/)]).toEqual(["SIGKILL", "", null]);
    await writing;
  }

  const last = await LiveDaemon.start(stateDir, projects, { env: ENV });
  await Promise.all(replays.map((one) => one.play(1)));
  const paths = [...replays.map(({ path }) => path), still.path];
  const size = paths.reduce((sum, path) => sum + readFileSync(path).length, 0);
  await last.until(({ pipeline, store }) => pipeline.live.length === 0 && store.archive_bytes === size);
  expect(await last.stop()).toMatchObject({ code: 0, stderr: "" });
  for (const one of replays) one.close();

  const proof = await riffd(stateDir, ["verify", "--all", "--json"]);
  expect([proof.code, proof.stderr]).toEqual([0, ""]);

  const model = new Model();
  model.see(paths.map((path) => ({ path: relative(projects, path), bytes: readFileSync(path), quiet: true })));
  const { store } = await openStore({ kind: "embedded", dir: join(stateDir, "store") }, { stateDir });
  const found = await dumpStore(store);
  expect(found.map(withoutHistory)).toEqual(model.sessions().map(withoutHistory));
  for (const { events, session_id } of found) {
    const added = events.filter(({ event_type }) => event_type === "message_added").map((event) => event.message_uuid);
    expect([session_id, new Set(added).size]).toEqual([session_id, added.length]);
  }
  const { events, generation } = found.find(({ session_id }) => session_id === "still")!;
  expect(generation).toBeGreaterThan(1);
  expect(generation).toBeLessThanOrEqual(1 + still.rewrites); // of some only the last was seen
  expect(events.filter(({ event_type }) => event_type === "content_updated")).toHaveLength(still.rewrites);
}, 240_000);

interface Still {
  path: string;
  moves: number;
  rewrites: number;
}

/** One record of the file says something else. */
function rewrite(still: Still): void {
  const text = readFileSync(still.path, "utf8");
  const at = `"content":"${7_000_000 + 2 * still.rewrites++} `;
  writeFileSync(`${still.path}.tmp`, text.replace(at, `${at}indeed, `));
  renameSync(`${still.path}.tmp`, still.path);
}

function move(still: Still, projects: string): void {
  const to = join(projects, `-p${++still.moves % 3}`, "still.jsonl");
  renameSync(still.path, to);
  still.path = to;
}

/** What must be equal, however the files came to be as they are. */
function withoutHistory({ events: _, removed: __, generation: ___, archived, ...session }: ModelSession) {
  return { ...session, archived: sha256Hex(archived) };
}
