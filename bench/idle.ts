// What the daemon takes of the machine when nothing happens, and what it took for the import before that.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Counted, countedOf, type Daemon, withDaemon } from "./daemon.ts";
import { writeManySessions, writeTree } from "./data.ts";
import { withFolder } from "./processes.ts";
import { type BenchOptions, loadNote, median, type Report, rounded } from "./report.ts";

const FILES = 3_000;
const LARGE_SESSIONS = 90;
const LARGE_BYTES = 60e6;

/** What is done only once ends before this: transcripts are settled, the engine has written out its log. */
const REST_MS = 15_000;
const MINUTE_MS = 60_000;
const LOOK_MS = 50;
/** The metrics measure the event loop's delay by timers of so long, and count that in. */
const SAMPLE_MS = 100;

const BUDGET_CPU_PERCENT = 0.5;
const BUDGET_IDLE_MB = 200;
const BUDGET_IMPORT_MB = 350;

const ALLOCATORS = [
  { name: "default", what: "", env: {} },
  { name: "arenas", what: ", MALLOC_ARENA_MAX=2", env: { MALLOC_ARENA_MAX: "2" } },
] as const;

interface Idle {
  readonly cpuPercent: number;
  readonly sleepsPerSecond: number;
  readonly rssMb: number;
}

interface Imported {
  readonly seconds: number;
  readonly peakRssMb: number;
  /** Of the event loop, as the daemon's metrics tell it, less the interval at which they look. */
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
  /** The longest that the daemon took to answer whether it is alive. */
  readonly answerMaxMs: number;
}

interface Round {
  readonly imported: Imported;
  /** In the process that imported, and in the next one. */
  readonly after: Idle;
  readonly fresh: Idle;
}

export async function benchIdle(options: BenchOptions): Promise<Report> {
  if (countedOf(process.pid) === null) throw new Error("This needs /proc, as Linux has it.");
  const load = loadNote();
  const measured = await withFolder(async (dir) => {
    const projects = options.projects ?? writeProjects(join(dir, "projects"));
    const all: { readonly allocator: (typeof ALLOCATORS)[number]; readonly rounds: Round[] }[] = [];
    for (const allocator of ALLOCATORS) {
      if (options.only.length > 0 && !options.only.includes(allocator.name)) continue;
      const rounds: Round[] = [];
      for (let round = 1; round <= options.rounds; round++) {
        options.note(`${allocator.name}: round ${round} of ${options.rounds}`);
        rounds.push(await withFolder((stateDir) => measure({ stateDir, projects, env: allocator.env })));
      }
      all.push({ allocator, rounds });
    }
    return all;
  });
  return reportOf(measured, load);
}

function writeProjects(dir: string): string {
  writeManySessions(dir, FILES - LARGE_SESSIONS);
  writeTree(dir, LARGE_SESSIONS, LARGE_BYTES);
  return dir;
}

async function measure(run: Parameters<typeof withDaemon>[0]): Promise<Round> {
  const { imported, after } = await withDaemon(run, async (daemon) => ({
    imported: await followImport(daemon),
    after: await measureIdle(daemon),
  }));
  const fresh = await withDaemon(run, async (daemon) => {
    await daemon.ready();
    return await measureIdle(daemon);
  });
  return { imported, after, fresh };
}

async function followImport(daemon: Daemon): Promise<Imported> {
  await daemon.answers("/v1/live");
  await daemon.metrics(); // a reading of the delays begins where the one before ended
  const started = performance.now();
  const end = { isReached: false };
  const ready = daemon.ready().finally(() => {
    end.isReached = true;
  });
  let answerMaxMs = 0;
  while (!end.isReached) {
    const asked = performance.now();
    await daemon.get("/v1/live");
    answerMaxMs = Math.max(answerMaxMs, performance.now() - asked);
    await sleep(LOOK_MS);
  }
  await ready;
  const metrics = await daemon.metrics();
  const delayMs = (name: string) => (metrics.get(`nodejs_eventloop_lag_${name}_seconds`) ?? Number.NaN) * 1000;
  return {
    seconds: (performance.now() - started) / 1000,
    peakRssMb: counted(daemon).peakRssMb,
    delayP99Ms: delayMs("p99") - SAMPLE_MS,
    delayMaxMs: delayMs("max") - SAMPLE_MS,
    answerMaxMs,
  };
}

async function measureIdle(daemon: Daemon): Promise<Idle> {
  await sleep(REST_MS);
  const before = counted(daemon);
  await sleep(MINUTE_MS);
  const after = counted(daemon);
  return {
    cpuPercent: (100 * (after.cpuMs - before.cpuMs)) / MINUTE_MS,
    sleepsPerSecond: (1000 * (after.sleeps - before.sleeps)) / MINUTE_MS,
    rssMb: after.rssMb,
  };
}

function counted({ pid }: Daemon): Counted {
  const found = countedOf(pid);
  if (found === null) throw new Error("the daemon has ended");
  return found;
}

function reportOf(
  measured: readonly { readonly allocator: (typeof ALLOCATORS)[number]; readonly rounds: readonly Round[] }[],
  load: string,
): Report {
  const cases = measured.map(({ allocator, rounds }) => {
    const middle = (value: (round: Round) => number, digits = 0) => rounded(median(rounds.map(value)), digits);
    const idle = (when: "fresh" | "after") => ({
      cpu_percent: middle((round) => round[when].cpuPercent, 2),
      sleeps_per_second: middle((round) => round[when].sleepsPerSecond, 1),
      rss_mb: middle((round) => round[when].rssMb),
    });
    return {
      name: allocator.name,
      what: allocator.what,
      fresh: idle("fresh"),
      after_import: idle("after"),
      import: {
        seconds: middle(({ imported }) => imported.seconds, 1),
        peak_rss_mb: middle(({ imported }) => imported.peakRssMb),
        event_loop_delay_p99_ms: middle(({ imported }) => imported.delayP99Ms),
        event_loop_delay_max_ms: middle(({ imported }) => imported.delayMaxMs),
        answer_max_ms: middle(({ imported }) => imported.answerMaxMs),
      },
    };
  });
  const idles = cases.flatMap(({ what, fresh, after_import }) => [
    { what: `after a start${what}`, ...fresh },
    { what: `after the import in the same process${what}`, ...after_import },
  ]);
  return {
    tables: [
      {
        title: `idle for a minute, ${FILES.toLocaleString("en-US")} files watched`,
        columns: ["", "CPU % of a core", "/ budget", "RSS MB", "/ budget", "sleeps/s"],
        rows: idles.map((one) => [
          one.what,
          one.cpu_percent,
          one.cpu_percent / BUDGET_CPU_PERCENT,
          one.rss_mb,
          one.rss_mb / BUDGET_IDLE_MB,
          one.sleeps_per_second,
        ]),
      },
      {
        title: "the import before that",
        columns: ["", "s", "peak RSS MB", "/ budget", "event loop delayed p99 ms", "max ms", "slowest answer ms"],
        rows: cases.map(({ what, import: one }) => [
          `${FILES.toLocaleString("en-US")} files${what}`,
          one.seconds,
          one.peak_rss_mb,
          one.peak_rss_mb / BUDGET_IMPORT_MB,
          one.event_loop_delay_p99_ms,
          one.event_loop_delay_max_ms,
          one.answer_max_ms,
        ]),
      },
    ],
    notes: [
      `budget: CPU < ${BUDGET_CPU_PERCENT} %, RSS ≤ ${BUDGET_IDLE_MB} MB idle and ≤ ${BUDGET_IMPORT_MB} MB during an import`,
      load,
    ],
    result: {
      files: FILES,
      budget_cpu_percent: BUDGET_CPU_PERCENT,
      budget_idle_mb: BUDGET_IDLE_MB,
      budget_import_mb: BUDGET_IMPORT_MB,
      within_budget: cases.every(
        ({ fresh, after_import, import: { peak_rss_mb } }) =>
          peak_rss_mb <= BUDGET_IMPORT_MB &&
          [fresh, after_import].every(
            ({ cpu_percent, rss_mb }) => cpu_percent < BUDGET_CPU_PERCENT && rss_mb <= BUDGET_IDLE_MB,
          ),
      ),
      cases,
    },
  };
}
