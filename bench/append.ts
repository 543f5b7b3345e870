// What one appended line costs, by the size of its session: bytes of the transcript that are read, rows that go to and
// from the store, and time. Counted outside riffd. All of it must be flat.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { userLine, writeSession } from "./data.ts";
import { runCli, runWorker, withFolder } from "./processes.ts";
import { Random } from "./random.ts";
import { type BenchOptions, median, type Report } from "./report.ts";
import { canTrace, NO_TRACER, traceCli } from "./trace.ts";
import type { MovedRows } from "./worker.ts";

const SIZES_MB = [1, 10, 100];
const LARGE_SIZES_MB = [500];

/** What an append may read of its transcript. */
const BUDGET_BYTES = 64 * 1024;

interface Measured {
  readonly mb: number;
  readonly bytesRead: number | null;
  readonly opens: number | null;
  readonly storeBytesRead: number | null;
  readonly rows: MovedRows;
  readonly rowsAdded: number;
  readonly wallMs: number;
  readonly unchangedMs: number;
}

export async function benchAppend(options: BenchOptions): Promise<Report> {
  const sizes = [...SIZES_MB, ...(options.large ? LARGE_SIZES_MB : [])].filter(
    (mb) => options.only.length === 0 || options.only.includes(String(mb)),
  );
  const traced = await canTrace();
  const measured: Measured[] = [];
  for (const mb of sizes) {
    options.note(`a session of ${mb} MB`);
    measured.push(await withFolder((dir) => measure(dir, mb, options.rounds, traced)));
  }
  return reportOf(measured, traced);
}

async function measure(dir: string, mb: number, rounds: number, traced: boolean): Promise<Measured> {
  const random = new Random(mb);
  const sessionId = random.uuid();
  const projects = join(dir, "projects");
  const stateDir = join(dir, "state");
  const path = join(projects, "-home-dev-project", `${sessionId}.jsonl`);
  let parent = writeSession(path, { sessionId, bytes: mb * 1e6 }, random);
  const appendLine = () => {
    const uuid = random.uuid();
    appendFileSync(path, `${userLine(sessionId, uuid, parent, "one more line")}\n`);
    parent = uuid;
  };
  const args = ["sync", sessionId, "--projects", projects, "--json"];
  await runCli(stateDir, ["sync", "--all", "--projects", projects]);

  // Also lets the engine write out what its log holds: opening the store costs the same from here on.
  const unchangedMs: number[] = [];
  for (let i = 0; i < rounds; i++) unchangedMs.push((await runCli(stateDir, args)).usage.wallMs);
  const wallMs: number[] = [];
  for (let i = 0; i < rounds; i++) {
    appendLine();
    const { usage, lines } = await runCli(stateDir, args);
    if (lines[0]?.status !== "appended") throw new Error(`The append was not seen: ${JSON.stringify(lines[0])}`);
    wallMs.push(usage.wallMs);
  }
  let access = null;
  if (traced) {
    appendLine();
    access = await traceCli(stateDir, args, { transcript: /\.jsonl$/, store: /\/store\// });
  }
  const before = await countTables(stateDir);
  appendLine();
  const rows = await runWorker<MovedRows>("count-rows", { sessions: [sessionId], projects, stateDir });
  const after = await countTables(stateDir);
  return {
    mb,
    bytesRead: access?.transcript.bytesRead ?? null,
    opens: access?.transcript.opens ?? null,
    storeBytesRead: access?.store.bytesRead ?? null,
    rows,
    rowsAdded: after - before,
    wallMs: median(wallMs),
    unchangedMs: median(unchangedMs),
  };
}

/** Rows of all tables. */
async function countTables(stateDir: string): Promise<number> {
  const counts = await runWorker<Record<string, number>>("count-tables", { stateDir });
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function reportOf(measured: readonly Measured[], traced: boolean): Report {
  const costs = measured.map((one) => [one.bytesRead, one.opens, one.rows.read, one.rows.written].join(" "));
  const withinBudget = measured.every((one) => one.bytesRead === null || one.bytesRead <= BUDGET_BYTES);
  const result = {
    budget_bytes: BUDGET_BYTES,
    within_budget: traced ? withinBudget : null,
    same_at_every_size: new Set(costs).size <= 1,
    sizes: measured.map((one) => ({
      mb: one.mb,
      bytes_read: one.bytesRead,
      opens: one.opens,
      rows_read: one.rows.read,
      rows_written: one.rows.written,
      rows_added: one.rowsAdded,
      queries: one.rows.queries,
      store_bytes_read: one.storeBytesRead,
      wall_ms: Math.round(one.wallMs),
      unchanged_ms: Math.round(one.unchangedMs),
    })),
  };
  return {
    tables: [
      {
        title: "one appended line, `riffd sync <id>`",
        columns: [
          "session",
          "bytes read",
          "opens",
          "rows read",
          "rows written",
          "rows added",
          "queries",
          "store KB read",
          "wall ms",
          "unchanged ms",
        ],
        rows: measured.map((one) => [
          `${one.mb} MB`,
          one.bytesRead ?? "?",
          one.opens ?? "?",
          one.rows.read,
          one.rows.written,
          one.rowsAdded,
          one.rows.queries,
          one.storeBytesRead === null ? "?" : Math.round(one.storeBytesRead / 1024),
          one.wallMs,
          one.unchangedMs,
        ]),
      },
    ],
    notes: [
      traced ? `budget: ≤ ${BUDGET_BYTES} bytes, at every size the same: ${result.same_at_every_size}` : NO_TRACER,
      "store KB read: all that the engine reads of its own files, opening it included",
    ],
    result,
  };
}
