// How fast riffd imports, beside the engine's own speed with the same rows and beside one CREATE for each message.
// Everything is measured in one run, in turn, so that a busy machine slows all of it alike.
import { cpus } from "node:os";
import { join } from "node:path";
import { transcriptBytes, writeTree } from "./data.ts";
import { runCli, runWorker, type Usage, withFolder } from "./processes.ts";
import { type BenchOptions, median, type Report, rounded, type Table } from "./report.ts";
import type { EngineInput, ImportResult, WriteResult } from "./worker.ts";

const SESSIONS = 90;
const BYTES = 60_000_000;
const BATCH_ROWS = [250, 500, 1000] as const;
const IN_FLIGHT = [1, 2, 4] as const;
/** So many single CREATEs tell the rate. */
const CREATES = 2_000;

/** Below these the budget is missed. */
const BUDGET = { ratio_to_engine: 0.8, ratio_to_single_creates: 8, peak_rss_mb: 350 } as const;

interface Cell {
  readonly batchRows: number;
  readonly inFlight: number;
  readonly ms: number[];
  readonly cpuMs: number[];
}

export async function benchImport(options: BenchOptions): Promise<Report> {
  return withFolder(async (dir) => {
    const projects = options.projects ?? writeTree(join(dir, "projects"), SESSIONS, BYTES).projects;
    const record = join(dir, "rows");
    const { bytes, files } = transcriptBytes(projects);
    options.note(`${files} transcripts, ${rounded(bytes / 1e6, 1)} MB`);
    const { messages } = await withFolder((stateDir) =>
      runWorker<ImportResult>("import", { projects, stateDir, record }),
    );

    // Every alternative writes into a store of its own.
    const passes: ImportResult[] = [];
    const whole: Usage[] = [];
    const creates: number[] = [];
    const grid: Cell[] = BATCH_ROWS.flatMap((batchRows) =>
      IN_FLIGHT.map((inFlight) => ({ batchRows, inFlight, ms: [], cpuMs: [] })),
    );
    for (let round = 1; round <= options.rounds; round++) {
      options.note(`round ${round} of ${options.rounds}`);
      whole.push((await withFolder((stateDir) => runCli(stateDir, ["sync", "--all", "--projects", projects]))).usage);
      for (const [i, cell] of grid.entries()) {
        // riffd's own turns come between the engine's, one before each row of the grid.
        if (i % IN_FLIGHT.length === 0) {
          passes.push(await withFolder((stateDir) => runWorker<ImportResult>("import", { projects, stateDir })));
        }
        const { batchRows, inFlight } = cell;
        const written = await withFolder((stateDir) =>
          runWorker<WriteResult>("engine", { record, stateDir, batchRows, inFlight } satisfies EngineInput),
        );
        if (written.messages !== messages) throw new Error(`${written.messages} of ${messages} messages were written`);
        cell.ms.push(written.ms);
        cell.cpuMs.push(written.cpuMs);
      }
      const single = await withFolder((stateDir) =>
        runWorker<WriteResult>("creates", { record, stateDir, count: CREATES }),
      );
      creates.push((1000 * single.messages) / single.ms);
    }
    return reportOf({ bytes, files, messages, passes, whole, grid, creates });
  });
}

interface Measured {
  readonly bytes: number;
  readonly files: number;
  readonly messages: number;
  readonly passes: readonly ImportResult[];
  readonly whole: readonly Usage[];
  readonly grid: readonly Cell[];
  readonly creates: readonly number[];
}

function reportOf(measured: Measured): Report {
  const result = resultOf(measured);
  const inFlight = result.commits_in_flight_ms;
  return {
    tables: [tableOf(measured)],
    notes: [
      `riffd at ${result.ratio_to_engine} of the engine's own speed (budget ≥ ${BUDGET.ratio_to_engine}; ` +
        `by CPU time ${result.cpu_ratio_to_engine}), ` +
        `${result.ratio_to_single_creates} × one CREATE a message (budget ≥ ${BUDGET.ratio_to_single_creates})`,
      `peak memory ${result.peak_rss_mb} MB (budget ≤ ${BUDGET.peak_rss_mb})`,
      `commits in flight: none for ${inFlight.none} ms, one for ${inFlight.one} ms, two for ${inFlight.two} ms; ` +
        `verdicts at the end ${result.settle_ms} ms`,
    ],
    result,
  };
}

function fastestOf(grid: readonly Cell[]): Cell {
  return grid.reduce((best, cell) => (median(cell.ms) < median(best.ms) ? cell : best));
}

function resultOf({ bytes, files, messages, passes, whole, grid, creates }: Measured) {
  const rate = (ms: number) => (1000 * messages) / ms;
  const passMs = median(passes.map((pass) => pass.passMs));
  const passCpuMs = median(passes.map((pass) => pass.cpuMs));
  const fastest = fastestOf(grid);
  const inFlightMs = (n: number) => Math.round(median(passes.map((pass) => pass.inFlightMs[n] ?? 0)));
  return {
    ratio_to_engine: rounded(median(fastest.ms) / passMs),
    cpu_ratio_to_engine: rounded(median(fastest.cpuMs) / passCpuMs),
    ratio_to_single_creates: rounded(rate(passMs) / median(creates), 1),
    peak_rss_mb: Math.round(Math.max(...whole.map((usage) => usage.peakRssMb))),
    messages_per_s: Math.round(rate(passMs)),
    mb_per_s: rounded(bytes / 1000 / passMs, 1),
    pass_ms: Math.round(passMs),
    pass_cpu_ms: Math.round(passCpuMs),
    settle_ms: Math.round(median(passes.map((pass) => pass.settleMs))),
    commits_in_flight_ms: { none: inFlightMs(0), one: inFlightMs(1), two: inFlightMs(2) },
    process_ms: Math.round(median(whole.map((usage) => usage.wallMs))),
    process_cpu_ms: Math.round(median(whole.map((usage) => usage.cpuMs))),
    engine: {
      messages_per_s: Math.round(rate(median(fastest.ms))),
      batch_rows: fastest.batchRows,
      in_flight: fastest.inFlight,
      ms: Math.round(median(fastest.ms)),
      cpu_ms: Math.round(median(fastest.cpuMs)),
    },
    grid: grid.map(({ batchRows, inFlight, ms }) => ({
      batch_rows: batchRows,
      in_flight: inFlight,
      ms: ms.map(Math.round),
      messages_per_s: Math.round(rate(median(ms))),
    })),
    single_creates_per_s: Math.round(median(creates)),
    passes_ms: passes.map((pass) => Math.round(pass.passMs)),
    data: { files, bytes, messages, commits: passes[0]?.commits ?? 0 },
    budget: BUDGET,
    machine: { cores: cpus().length, cpu: cpus()[0]?.model ?? "", node: process.version },
  };
}

function tableOf({ bytes, messages, passes, whole, grid, creates }: Measured): Table {
  const passMs = median(passes.map((pass) => pass.passMs));
  const row = (what: string, ms: number, cpuMs: number) => [
    what,
    ms,
    cpuMs,
    Math.round((1000 * messages) / ms),
    rounded(bytes / 1000 / ms, 1),
    (ms / passMs).toFixed(2),
  ];
  return {
    title: "import",
    columns: ["", "ms", "CPU ms", "messages/s", "MB/s", "riffd is at"],
    rows: [
      row("riffd, within the process", passMs, median(passes.map((pass) => pass.cpuMs))),
      row("riffd, whole process", median(whole.map(({ wallMs }) => wallMs)), median(whole.map(({ cpuMs }) => cpuMs))),
      ...grid.map(({ batchRows, inFlight, ms, cpuMs }) =>
        row(`engine, ${batchRows} rows × ${inFlight}`, median(ms), median(cpuMs)),
      ),
      ["one CREATE a message", "–", "–", Math.round(median(creates)), "–", "–"],
    ],
  };
}
