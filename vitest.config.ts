import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** What every project of tests has. */
const test = {
  // The embedded engine holds its lock until the process ends, so test files get processes, not threads.
  pool: "forks" as const,
  testTimeout: 120_000,
  hookTimeout: 60_000,
  setupFiles: ["test/support/seed.ts"],
};

/** The core: what reads, diffs, commits and proves. It runs twice: in one process with its store, and across a network. */
const CORE = ["test/sync/**/*.test.ts", "test/verify/**/*.test.ts", "test/damage.test.ts", "test/corpus.test.ts"];

export default defineConfig({
  test: {
    // Much of what is tested waits for processes and connections.
    maxWorkers: Math.max(2, availableParallelism()),
    projects: [
      { test: { ...test, name: "embedded", include: ["test/**/*.test.ts"] } },
      {
        test: {
          ...test,
          name: "network",
          include: CORE,
          env: { RIFFD_TEST_STORE: "websocket", RIFFD_TEST_RUNS: process.env.RIFFD_TEST_RUNS ?? "12" },
        },
      },
    ],
  },
});
