// Runs the tests on several versions of Node.js, each installed by npm into a folder that is kept for the next time.
//   npm run test:matrix                               all tests on 20, 22 and 24
//   npm run test:matrix -- --node 22 --node 24 test/commands      what vitest is to run, on these
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const REPOSITORY = fileURLToPath(new URL("../", import.meta.url));
const MAJORS = ["20", "22", "24"];

interface Result {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly { readonly status: string; readonly name: string }[];
}

const { values, positionals } = parseArgs({
  options: {
    node: { type: "string", multiple: true, default: MAJORS },
    folder: { type: "string", default: join(tmpdir(), "riffd-test-matrix") },
    project: { type: "string", multiple: true, default: [] },
  },
  allowPositionals: true,
});

execFileSync("npm", ["run", "build", "--silent"], { cwd: REPOSITORY, stdio: "inherit" });
let failed = false;
for (const major of values.node) {
  const folder = join(values.folder, major);
  mkdirSync(folder, { recursive: true });
  const node = nodeOf(major, folder);
  const version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
  const report = join(folder, "result.json");
  writeFileSync(report, "");
  const started = performance.now();
  await run(node, report);
  failed = !tell(version, report, performance.now() - started) || failed;
}
process.exitCode = failed ? 1 : 0;

/** The path of a Node.js of this major version, which is installed into `folder` if there is none. */
function nodeOf(major: string, folder: string): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const node = join(folder, "node_modules", name, "bin", "node");
  if (!existsSync(node)) {
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true }));
    const options = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"];
    execFileSync("npm", ["install", ...options, `${name}@${major}`], { cwd: folder, stdio: "inherit" });
  }
  return node;
}

/** Runs vitest, and every process that the tests start, by this Node.js. */
function run(node: string, report: string): Promise<void> {
  const projects = values.project.flatMap((name) => ["--project", name]);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const vitest = join(REPOSITORY, "node_modules/vitest/vitest.mjs");
  const child = spawn(node, [vitest, "run", ...projects, ...reporters, ...positionals], {
    cwd: REPOSITORY,
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
    stdio: "inherit",
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => resolve());
  });
}

/** Prints a line of the table; returns whether all went well. A run that died has no report. */
function tell(version: string, report: string, ms: number): boolean {
  const text = readFileSync(report, "utf8");
  const result = text === "" ? null : (JSON.parse(text) as Result);
  const counts =
    result === null
      ? "vitest ended without a result"
      : `${result.numPassedTests} passed, ${result.numFailedTests} failed, ${result.numPendingTests} skipped`;
  const good = result?.success === true;
  process.stdout.write(`${good ? "✓" : "✗"} Node.js ${version}: ${counts} · ${(ms / 1000).toFixed(0)} s\n`);
  const files = result?.testResults.filter(({ status }) => status === "failed") ?? [];
  for (const { name } of files) process.stdout.write(`  ${name}\n`);
  return good;
}
