// From the start of the daemon to its being ready over transcripts that have not changed, of which none may be opened.
import { join } from "node:path";
import { countedOf, withDaemon } from "./daemon.ts";
import { writeManySessions } from "./data.ts";
import { runCli, runNode, withFolder } from "./processes.ts";
import { type BenchOptions, loadNote, median, type Report, rounded } from "./report.ts";
import { canTrace, type FileAccess, NO_TRACER, traceStart } from "./trace.ts";

const FILES = [1_000, 10_000];
const BUDGET_FILES = 10_000;
const BUDGET_MS = 2_000;

interface Measured {
  readonly files: number;
  readonly readyMs: number;
  readonly aliveMs: number;
  /** null: this system does not tell. */
  readonly cpuMs: number | null;
  readonly syncMs: number;
  readonly nodeMs: number;
  readonly traced: Record<"transcripts" | "system" | "rest", FileAccess> | null;
}

export async function benchStart(options: BenchOptions): Promise<Report> {
  const load = loadNote();
  const isTraced = await canTrace();
  const measured: Measured[] = [];
  for (const files of FILES.filter((count) => options.only.length === 0 || options.only.includes(String(count))))
    measured.push(await withFolder((dir) => measure(dir, files, isTraced, options)));
  return reportOf(measured, isTraced, load);
}

async function measure(dir: string, files: number, isTraced: boolean, options: BenchOptions): Promise<Measured> {
  const projects = join(dir, "projects");
  const stateDir = join(dir, "state");
  writeManySessions(projects, files);
  const args = ["sync", "--all", "--projects", projects];
  options.note(`importing ${files} transcripts`);
  await runCli(stateDir, args);
  await runCli(stateDir, args); // the engine writes out what its log holds: opening the store costs the same from here on
  const alive: number[] = [];
  const ready: number[] = [];
  const cpu: number[] = [];
  const sync: number[] = [];
  const node: number[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    options.note(`round ${round} of ${options.rounds}`);
    await withDaemon({ stateDir, projects }, async (daemon) => {
      alive.push(await daemon.answers("/v1/live"));
      ready.push(await daemon.ready());
      cpu.push(countedOf(daemon.pid)?.cpuMs ?? Number.NaN);
    });
    sync.push((await runCli(stateDir, args)).usage.wallMs);
    node.push(await runNode(["-e", "0"]));
  }
  const traced = isTraced
    ? await traceStart({ stateDir, projects }, { transcripts: /\.jsonl$/, system: /^\/(proc|sys)\//, rest: /./ })
    : null;
  return {
    files,
    readyMs: median(ready),
    aliveMs: median(alive),
    cpuMs: cpu.some(Number.isNaN) ? null : median(cpu),
    syncMs: median(sync),
    nodeMs: median(node),
    traced,
  };
}

function reportOf(measured: readonly Measured[], isTraced: boolean, load: string): Report {
  const sizes = measured.map(({ files, readyMs, aliveMs, cpuMs, syncMs, nodeMs, traced }) => ({
    files,
    ready_ms: Math.round(readyMs),
    ready_of_budget: rounded(readyMs / BUDGET_MS),
    answers_ms: Math.round(aliveMs),
    cpu_ms: cpuMs,
    sync_all_ms: Math.round(syncMs),
    node_ms: Math.round(nodeMs),
    transcripts_opened: traced?.transcripts.opens ?? null,
    other_files_opened: traced?.rest.opens ?? null,
  }));
  const budgeted = sizes.filter(({ files }) => files === BUDGET_FILES);
  return {
    tables: [
      {
        title: "start over unchanged transcripts, ms",
        columns: [
          "files",
          "ready",
          "ready / budget",
          "CPU",
          "socket answers",
          "sync --all",
          "node -e 0",
          "transcripts opened",
          "other files opened",
        ],
        rows: sizes.map((one) => [
          one.files,
          one.ready_ms,
          one.ready_of_budget,
          one.cpu_ms ?? "?",
          one.answers_ms,
          one.sync_all_ms,
          one.node_ms,
          one.transcripts_opened ?? "?",
          one.other_files_opened ?? "?",
        ]),
      },
    ],
    notes: [
      `budget: ready in ≤ ${BUDGET_MS} ms with ${BUDGET_FILES.toLocaleString("en-US")} files, none of them opened`,
      ...(isTraced ? [] : [NO_TRACER]),
      load,
    ],
    result: {
      budget_ms: BUDGET_MS,
      within_budget: budgeted.every(
        ({ ready_ms, transcripts_opened }) => ready_ms <= BUDGET_MS && (transcripts_opened ?? 0) === 0,
      ),
      sizes,
    },
  };
}
