// What a command costs before it does anything, beside Node.js with an empty program.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { withFolder } from "./processes.ts";
import { type BenchOptions, median, type Report, rounded } from "./report.ts";

const CLI = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
/** A start is short, and the machine's moods are not. */
const RUNS_A_ROUND = 7;

const CASES: readonly { readonly name: string; readonly args: readonly string[] }[] = [
  { name: "node -e 0", args: ["-e", "0"] },
  { name: "riffd --version", args: [CLI, "--version"] },
  { name: "riffd status", args: [CLI, "status"] },
  { name: "riffd stop", args: [CLI, "stop"] },
  { name: "riffd completion bash", args: [CLI, "completion", "bash"] },
  { name: "riffd complete sessions", args: [CLI, "complete", "sessions", ""] },
];

export async function benchStartup({ rounds }: BenchOptions): Promise<Report> {
  const times = await withFolder(async (dir) =>
    measure(rounds * RUNS_A_ROUND, { ...process.env, RIFFD_STATE_DIR: dir }),
  );
  const [empty] = times;
  const rows = times.map(({ name, ms }) => ({ name, ms: rounded(ms, 1), over_node_ms: rounded(ms - empty!.ms, 1) }));
  return {
    tables: [
      {
        title: `start-up, without a daemon (median of ${rounds * RUNS_A_ROUND} runs)`,
        columns: ["command", "ms", "more than node"],
        rows: rows.map(({ name, ms, over_node_ms }) => [name, ms, over_node_ms]),
      },
    ],
    notes: ["what they may load is held by test/startup.test.ts"],
    result: { runs: rounds * RUNS_A_ROUND, cases: rows },
  };
}

/** One after the other in turn, so that all of them have the same weather. */
function measure(runs: number, env: NodeJS.ProcessEnv): { name: string; ms: number }[] {
  const times = CASES.map(({ name }) => ({ name, all: [] as number[] }));
  for (let i = 0; i < runs; i++) {
    for (const [n, { args }] of CASES.entries()) {
      const started = performance.now();
      spawnSync(process.execPath, args, { env, stdio: "ignore" });
      times[n]!.all.push(performance.now() - started);
    }
  }
  return times.map(({ name, all }) => ({ name, ms: median(all) }));
}
