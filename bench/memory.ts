// Peak memory of imports that are hard on it, each in a process of its own.
import { join } from "node:path";
import { writeChain, writeDeepLine, writeLongLine, writeSession, writeTree } from "./data.ts";
import { runCli, type Usage, withFolder } from "./processes.ts";
import { Random } from "./random.ts";
import type { BenchOptions, Report } from "./report.ts";

const BUDGET_MB = 350;
const LONG_LINE_BUDGET_MB = 600;

const SESSION_ID = "5e551011-0000-4000-8000-000000000001";

interface Case {
  readonly name: string;
  readonly what: string;
  readonly budgetMb: number;
  /** Writes the transcripts below `projects`. */
  readonly write: (projects: string, session: string) => void;
}

const CASES: readonly Case[] = [
  {
    name: "session",
    what: "one session of 200 MB",
    budgetMb: BUDGET_MB,
    write: (_, session) => writeSession(session, { sessionId: SESSION_ID, bytes: 200e6 }, new Random(6)),
  },
  {
    name: "long-ascii",
    what: "a line of 64 MB, ASCII",
    budgetMb: LONG_LINE_BUDGET_MB,
    write: (_, session) => writeLongLine(session, SESSION_ID, "ascii", 64e6),
  },
  {
    name: "long-unicode",
    what: "a line of 60 MB, emoji mixed in",
    budgetMb: LONG_LINE_BUDGET_MB,
    write: (_, session) => writeLongLine(session, SESSION_ID, "unicode", 60e6),
  },
  {
    name: "chain",
    what: "a chain of 1,000,000 small records",
    budgetMb: BUDGET_MB,
    write: (_, session) => writeChain(session, SESSION_ID, 1_000_000),
  },
  {
    name: "tree",
    what: "90 sessions of 60 MB in all",
    budgetMb: BUDGET_MB,
    write: (projects) => writeTree(projects, 90, 60e6),
  },
  {
    name: "deep",
    what: "a line nested 10,000 deep",
    budgetMb: BUDGET_MB,
    write: (_, session) => writeDeepLine(session, SESSION_ID, 10_000),
  },
];

interface Measured {
  readonly one: Case;
  readonly usage: Usage;
  readonly messages: number;
}

export async function benchMemory(options: BenchOptions): Promise<Report> {
  const given: readonly Case[] =
    options.projects === null
      ? CASES
      : [...CASES, { name: "projects", what: options.projects, budgetMb: BUDGET_MB, write: () => {} }];
  const measured: Measured[] = [];
  for (const one of given.filter(({ name }) => options.only.length === 0 || options.only.includes(name))) {
    options.note(one.what);
    measured.push(await withFolder((dir) => measure(one, dir, options.projects)));
  }
  return reportOf(measured);
}

async function measure(one: Case, dir: string, given: string | null): Promise<Measured> {
  const projects = one.name === "projects" && given !== null ? given : join(dir, "projects");
  one.write(projects, join(projects, "-home-dev-project", `${SESSION_ID}.jsonl`));
  const { usage, lines } = await runCli(join(dir, "state"), ["sync", "--all", "--projects", projects, "--json"]);
  const summary = lines.at(-1);
  return { one, usage, messages: Number(summary?.messages) };
}

function reportOf(measured: readonly Measured[]): Report {
  return {
    tables: [
      {
        title: "peak memory of an import",
        columns: ["", "peak MB", "budget MB", "", "messages", "s", "CPU s"],
        rows: measured.map(({ one, usage, messages }) => [
          one.what,
          Math.round(usage.peakRssMb),
          one.budgetMb,
          usage.peakRssMb <= one.budgetMb ? "✓" : "✗",
          messages,
          usage.wallMs / 1000,
          usage.cpuMs / 1000,
        ]),
      },
    ],
    notes: [],
    result: {
      cases: measured.map(({ one, usage, messages }) => ({
        name: one.name,
        peak_rss_mb: Math.round(usage.peakRssMb),
        budget_mb: one.budgetMb,
        within_budget: usage.peakRssMb <= one.budgetMb,
        messages,
        wall_ms: Math.round(usage.wallMs),
        cpu_ms: Math.round(usage.cpuMs),
      })),
    },
  };
}
