// The jobs that are measured within a process: riffd's import, the engine's own speed, and rows that an append moves.
// Started by processes.ts with the name of a job, its input as JSON, and the file for its result.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { NodeEngine } from "@surrealdb/node";
import type { EmbeddedTarget } from "../src/config/store-target.ts";
import type { Step } from "../src/sync/store.ts";
import { openStore, run, SurrealStore, syncCommand } from "./riffd.ts";
import { callsOf, createSingly, Recorder, runCalls, type SessionLoad } from "./workload.ts";

export interface ImportResult {
  /** From the open store to the end of the pass. */
  readonly passMs: number;
  /** Of all threads in that time, the engine's included. */
  readonly cpuMs: number;
  readonly commits: number;
  readonly messages: number;
  readonly rows: number;
  /** How long no commit was in flight, one, two … */
  readonly inFlightMs: readonly number[];
  /** The part of the pass after the last file was read: verdicts on parents in other files. */
  readonly settleMs: number;
}

/** Imports a projects folder into a new store. With `record`, the rows that were written are kept in that file. */
async function importTree(input: { projects: string; stateDir: string; record?: string }): Promise<ImportResult> {
  const { sources, summaries, commit } = SurrealStore.prototype;
  const recorder = input.record === undefined ? null : new Recorder();
  const inFlightMs: number[] = [];
  const counted = { commits: 0, messages: 0, rows: 0 };
  let inFlight = 0;
  let started = 0;
  let changed = 0;
  let lastRead = 0;
  let ended = 0;
  let cpuBefore = process.cpuUsage();
  let cpuMs = 0;
  const move = (by: number) => {
    const now = performance.now();
    inFlightMs[inFlight] = (inFlightMs[inFlight] ?? 0) + now - changed;
    inFlight += by;
    changed = now;
  };
  // The pass begins with reading the checkpoints, and what it did is read when it has ended.
  SurrealStore.prototype.sources = function (host) {
    if (started === 0) {
      cpuBefore = process.cpuUsage();
      started = changed = performance.now();
    }
    return sources.call(this, host);
  };
  SurrealStore.prototype.summaries = function () {
    move(0);
    ended = performance.now();
    cpuMs = cpuSince(cpuBefore);
    return summaries.call(this);
  };
  SurrealStore.prototype.commit = async function (step: Step) {
    recorder?.add(step);
    counted.commits++;
    counted.messages += step.messages.length;
    counted.rows += step.messages.length + step.records.length;
    move(1);
    try {
      return await commit.call(this, step);
    } finally {
      move(-1);
      if (step.commit.kind === "import") lastRead = performance.now();
    }
  };
  await sync([], true, input);
  if (recorder !== null) writeFileSync(input.record!, serialize([...recorder.loads.values()]));
  return { ...counted, cpuMs, passMs: ended - started, settleMs: ended - lastRead, inFlightMs };
}

/** CPU time of all threads since `before`, in milliseconds. */
function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Runs `riffd sync` in this process. */
async function sync(sessions: readonly string[], all: boolean, input: { projects: string; stateDir: string }) {
  process.env.RIFFD_STATE_DIR = input.stateDir;
  const options = {
    all,
    force: false,
    dryRun: false,
    operator: "bench",
    projects: [input.projects],
    json: true,
    quiet: false,
  };
  const silent = { line: () => {}, note: () => {} };
  const code = await syncCommand(sessions, options, silent, new AbortController().signal);
  if (code !== 0) throw new Error(`riffd sync ended with ${code}`);
}

export interface EngineInput {
  readonly record: string;
  readonly stateDir: string;
  readonly batchRows: number;
  readonly inFlight: number;
}

export interface WriteResult {
  readonly ms: number;
  readonly cpuMs: number;
  readonly messages: number;
}

/** Writes recorded rows in plain transactions; everything is built before the clock starts. */
async function writeRecorded(input: EngineInput): Promise<WriteResult> {
  const sessions = readLoads(input.record).map((load) => callsOf(load, input.batchRows));
  const { store } = await openStore(targetIn(input.stateDir), input);
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  await runCalls(store.db, sessions, input.inFlight);
  const ms = performance.now() - started;
  const cpuMs = cpuSince(cpuBefore);
  const [[counted]] = await run<[{ count: number }[]]>(store.db, "SELECT count() FROM message GROUP ALL");
  return { ms, cpuMs, messages: counted?.count ?? 0 };
}

/** Writes recorded messages with one CREATE each. */
async function createOneByOne(input: { record: string; stateDir: string; count: number }): Promise<WriteResult> {
  const loads = readLoads(input.record);
  const { store } = await openStore(targetIn(input.stateDir), input);
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  const messages = await createSingly(store.db, loads, input.count);
  return { ms: performance.now() - started, cpuMs: cpuSince(cpuBefore), messages };
}

function readLoads(file: string): SessionLoad[] {
  return deserialize(readFileSync(file)) as SessionLoad[];
}

export interface MovedRows {
  readonly queries: number;
  /** Rows that the store gave back. */
  readonly read: number;
  /** Rows that were sent to the store to be written. */
  readonly written: number;
}

/** Runs `riffd sync` and counts the rows that go over the engine's wire. */
async function countRows(input: {
  sessions: readonly string[];
  projects: string;
  stateDir: string;
}): Promise<MovedRows> {
  const moved = { queries: 0, read: 0, written: 0 };
  const { send } = NodeEngine.prototype;
  NodeEngine.prototype.send = async function (this: NodeEngine, request) {
    const response = await send.call(this, request);
    if (request.method === "query") {
      moved.queries++;
      moved.written += sentRows(request.params?.[1]);
      moved.read += receivedRows(response);
    }
    return response;
  } as typeof send;
  await sync(input.sessions, false, input);
  return moved;
}

/** Rows among a query's parameters: objects, and objects in lists. Ids, texts and numbers are none. */
function sentRows(parameters: unknown): number {
  if (!isRow(parameters)) return 0;
  return Object.values(parameters).reduce<number>((sum, value) => {
    if (Array.isArray(value)) return sum + value.filter(isRow).length;
    return sum + (isRow(value) ? 1 : 0);
  }, 0);
}

function isRow(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Values in a query's responses; lists count as what they hold. */
function receivedRows(responses: unknown): number {
  if (!Array.isArray(responses)) return 0;
  return responses.reduce<number>((sum, response: { result?: unknown }) => sum + valuesIn(response.result), 0);
}

function valuesIn(result: unknown): number {
  if (result === null || result === undefined) return 0;
  return Array.isArray(result) ? result.reduce<number>((sum, item) => sum + valuesIn(item), 0) : 1;
}

/** How many rows each table has. */
async function countTables(input: { stateDir: string }): Promise<Record<string, number>> {
  const { store } = await openStore(targetIn(input.stateDir), input);
  const [{ tables }] = await run<[{ tables: Record<string, string> }]>(store.db, "INFO FOR DB");
  const counts: Record<string, number> = {};
  for (const table of Object.keys(tables)) {
    const [rows] = await run<[{ count: number }[]]>(store.db, `SELECT count() FROM ${table} GROUP ALL`);
    counts[table] = rows[0]?.count ?? 0;
  }
  return counts;
}

function targetIn(stateDir: string): EmbeddedTarget {
  return { kind: "embedded", dir: join(stateDir, "store") };
}

const JOBS: Readonly<Record<string, (input: never) => Promise<unknown>>> = {
  import: importTree,
  engine: writeRecorded,
  creates: createOneByOne,
  "count-rows": countRows,
  "count-tables": countTables,
};

const [job = "", input = "{}", resultFile = ""] = process.argv.slice(2);
const work = JOBS[job];
if (work === undefined) throw new Error(`There is no job ${job}.`);
writeFileSync(resultFile, JSON.stringify(await work(JSON.parse(input) as never)));
process.exit(0); // the engine's threads would keep the process alive
