// From the append of a line to its message being there for a foreign client: SurrealDB's SDK over the daemon's socket,
// which asks for the message by its uuid again and again.
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Surreal } from "surrealdb";
import { type Daemon, withDaemon } from "./daemon.ts";
import { userLine, writeSession, writeTree } from "./data.ts";
import { runCli, withFolder } from "./processes.ts";
import { Random } from "./random.ts";
import { type BenchOptions, loadNote, median, percentile, type Report, rounded } from "./report.ts";

/** riffd's default. */
const DEBOUNCE_MS = 100;
const BUDGET_P50_MS = DEBOUNCE_MS + 30;
const BUDGET_P99_MS = DEBOUNCE_MS + 150;

/** What each session has when it begins to be measured. */
const SESSION_BYTES = 100_000;
const LINE_CHARS = 2_000;
/** After the daemon is ready: what it does then is not measured. */
const REST_MS = 2_000;
/** Between two looks for lines that are not there yet: the resolution. No line is there before the debounce. */
const LOOK_MS = 5;
const LOOK = "SELECT VALUE message_uuid FROM message WHERE message_uuid IN $uuids";
/** A line that is not there after this was lost. */
const LOST_MS = 60_000;

interface Case {
  readonly name: string;
  readonly what: string;
  /** Sessions that are written to at a time. */
  readonly live: number;
  /** Mean time between two lines of a session; each waits between half of it and one and a half. */
  readonly gapMs: number;
  readonly lines: number;
  /** Of the transcripts that are imported meanwhile; the lines end with the import. */
  readonly importBytes?: number;
}

const CASES: readonly Case[] = [
  { name: "1", what: "1 session live", live: 1, gapMs: 500, lines: 100 },
  { name: "20", what: "20 sessions live", live: 20, gapMs: 2_000, lines: 400 },
  { name: "100", what: "100 sessions live", live: 100, gapMs: 4_000, lines: 1_000 },
  {
    name: "import",
    what: "20 live, an import of 100 MB goes on",
    live: 20,
    gapMs: 2_000,
    lines: Number.POSITIVE_INFINITY,
    importBytes: 100e6,
  },
];

interface Measured {
  readonly lines: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export async function benchLatency(options: BenchOptions): Promise<Report> {
  const load = loadNote();
  const measured: { one: Case; rounds: Measured[] }[] = [];
  for (const one of CASES.filter(({ name }) => options.only.length === 0 || options.only.includes(name))) {
    const rounds: Measured[] = [];
    for (let round = 1; round <= options.rounds; round++) {
      options.note(`${one.what}, round ${round} of ${options.rounds}`);
      rounds.push(await withFolder((dir) => measure(dir, one, round)));
    }
    measured.push({ one, rounds });
  }
  return reportOf(measured, load);
}

async function measure(dir: string, one: Case, seed: number): Promise<Measured> {
  const projects = join(dir, "projects");
  const stateDir = join(dir, "state");
  const random = new Random(seed);
  const sessions = Array.from({ length: one.live }, (_, i) => new LiveSession(projects, i, random));
  await runCli(stateDir, ["sync", "--all", "--projects", projects]);
  if (one.importBytes !== undefined) writeTree(projects, 90, one.importBytes, seed);
  return withDaemon({ stateDir, projects }, async (daemon) => {
    const isImporting = one.importBytes !== undefined;
    if (isImporting) await daemon.answers("/v1/live");
    else {
      await daemon.ready();
      await sleep(REST_MS);
    }
    const client = await clientOf(daemon);
    const watch = new Watch(client);
    const over = new AbortController();
    if (isImporting) void daemon.ready().then(() => over.abort());
    const started = performance.now();
    await writeLines(sessions, one, { watch, random, signal: over.signal });
    const seconds = (performance.now() - started) / 1000;
    const latencies = await watch.all();
    await client.close();
    for (const session of sessions) session.close();
    return summarize(latencies, seconds);
  });
}

/** The store is served when it is open, which the socket is before. */
async function clientOf(daemon: Daemon): Promise<Surreal> {
  for (;;) {
    const { text } = await daemon.get("/v1/status");
    if ((JSON.parse(text) as { store: { state: string } }).store.state === "open") return await daemon.client();
    await sleep(20);
  }
}

/** A transcript that is written to as Claude Code does: through a handle that stays open, a line at a time. */
class LiveSession {
  readonly #sessionId: string;
  readonly #handle: number;
  readonly #random: Random;
  #parent: string;

  constructor(projects: string, i: number, random: Random) {
    this.#random = random;
    this.#sessionId = random.uuid();
    const path = join(projects, `-home-dev-live-${i % 10}`, `${this.#sessionId}.jsonl`);
    this.#parent = writeSession(path, { sessionId: this.#sessionId, bytes: SESSION_BYTES }, random);
    this.#handle = openSync(path, "a");
  }

  /** Returns the new message's uuid. */
  append(): string {
    const uuid = this.#random.uuid();
    writeSync(this.#handle, `${userLine(this.#sessionId, uuid, this.#parent, "word ".repeat(LINE_CHARS / 5))}\n`);
    this.#parent = uuid;
    return uuid;
  }

  close(): void {
    closeSync(this.#handle);
  }
}

/** Each session writes at its own pace, until there are enough lines or `signal` is aborted. */
async function writeLines(
  sessions: readonly LiveSession[],
  { gapMs, lines }: Case,
  { watch, random, signal }: { watch: Watch; random: Random; signal: AbortSignal },
): Promise<void> {
  let written = 0;
  const write = async (session: LiveSession) => {
    await sleep(random.int(gapMs));
    while (written < lines && !signal.aborted) {
      written++;
      watch.expect(session.append());
      await sleep(gapMs / 2 + random.int(gapMs));
    }
  };
  await Promise.all(sessions.map(write));
}

/** Asks for messages until they are there, all of them with one query, and notes how long each took. */
class Watch {
  readonly #client: Surreal;
  /** When the line of each message was written. */
  readonly #waiting = new Map<string, number>();
  readonly #latencies: number[] = [];
  readonly #looking: Promise<void>;
  #isOver = false;

  constructor(client: Surreal) {
    this.#client = client;
    this.#looking = this.#look();
    this.#looking.catch(() => {}); // whoever waits for all is told
  }

  /** A line with this message was written just now. */
  expect(uuid: string): void {
    this.#waiting.set(uuid, performance.now());
  }

  /** Resolves when all are there, with the milliseconds that each took. */
  async all(): Promise<readonly number[]> {
    this.#isOver = true;
    await this.#looking;
    return this.#latencies;
  }

  async #look(): Promise<void> {
    while (!this.#isOver || this.#waiting.size > 0) {
      await sleep(LOOK_MS);
      const now = performance.now();
      const due = [...this.#waiting].filter(([, since]) => now - since >= DEBOUNCE_MS);
      if (due.length === 0) continue;
      const [found] = await this.#client.query<[string[]]>(LOOK, { uuids: due.map(([uuid]) => uuid) }).collect();
      for (const uuid of found) {
        this.#latencies.push(performance.now() - this.#waiting.get(uuid)!);
        this.#waiting.delete(uuid);
      }
      const lost = due.filter(([uuid, since]) => this.#waiting.has(uuid) && now - since > LOST_MS);
      if (lost.length > 0) throw new Error(`${lost.length} lines were not there after ${LOST_MS / 1000} s`);
    }
  }
}

function summarize(latencies: readonly number[], seconds: number): Measured {
  return {
    lines: latencies.length,
    perSecond: latencies.length / seconds,
    p50: percentile(latencies, 0.5),
    p95: percentile(latencies, 0.95),
    p99: percentile(latencies, 0.99),
    max: Math.max(...latencies),
  };
}

function reportOf(measured: readonly { one: Case; rounds: readonly Measured[] }[], load: string): Report {
  const cases = measured.map(({ one, rounds }) => {
    const middle = (name: keyof Measured) => median(rounds.map((round) => round[name]));
    return {
      name: one.name,
      what: one.what,
      lines: middle("lines"),
      lines_per_second: rounded(middle("perSecond"), 1),
      p50_ms: rounded(middle("p50"), 1),
      p95_ms: rounded(middle("p95"), 1),
      p99_ms: rounded(middle("p99"), 1),
      max_ms: rounded(middle("max"), 1),
      p50_of_budget: rounded(middle("p50") / BUDGET_P50_MS),
      p99_of_budget: rounded(middle("p99") / BUDGET_P99_MS),
    };
  });
  return {
    tables: [
      {
        title: "append → visible to a foreign client, ms",
        columns: ["", "lines", "lines/s", "p50", "p95", "p99", "max", "p50 / budget", "p99 / budget"],
        rows: cases.map((one) => [
          one.what,
          one.lines,
          one.lines_per_second,
          one.p50_ms,
          one.p95_ms,
          one.p99_ms,
          one.max_ms,
          one.p50_of_budget,
          one.p99_of_budget,
        ]),
      },
    ],
    notes: [
      `budget: p50 ≤ ${BUDGET_P50_MS} ms, p99 ≤ ${BUDGET_P99_MS} ms (debounce ${DEBOUNCE_MS} ms) with 20 sessions live`,
      `includes the client's round trip; it looks every ${LOOK_MS} ms, for all lines with one query`,
      load,
    ],
    result: {
      debounce_ms: DEBOUNCE_MS,
      budget_p50_ms: BUDGET_P50_MS,
      budget_p99_ms: BUDGET_P99_MS,
      within_budget: cases
        .filter(({ name }) => name === "20")
        .every((one) => one.p50_of_budget <= 1 && one.p99_of_budget <= 1),
      cases,
    },
  };
}
