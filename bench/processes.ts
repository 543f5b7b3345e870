// Child processes of the benchmarks. Every alternative runs in a process of its own: the engine's lock and memory live
// as long as the process. No child outlives its deadline, nor this process.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
const WORKER = fileURLToPath(new URL("./worker.ts", import.meta.url));

/** No single run takes longer on a machine that is fit for measuring. */
const DEADLINE_MS = 30 * 60 * 1000;

const children = new Set<ChildProcess>();
const folders = new Set<string>();

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

/** Runs `use` with a new folder below the system's temporary one, and removes it afterwards. */
export async function withFolder<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "riffd-bench-"));
  folders.add(dir);
  try {
    return await use(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
    folders.delete(dir);
  }
}

/** What the system says of a process that has ended. */
export interface Usage {
  readonly wallMs: number;
  readonly peakRssMb: number;
  readonly cpuMs: number;
}

export interface CliRun {
  readonly usage: Usage;
  /** Objects of `--json`, one a line. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
}

/** Loaded into the measured process: writes what it has used when it ends, and changes nothing else. */
const USAGE_HOOK = `data:text/javascript,${encodeURIComponent(
  `import { writeFileSync } from "node:fs";
   process.on("exit", () => writeFileSync(process.env.BENCH_USAGE, JSON.stringify(process.resourceUsage())));`,
)}`;

/** Runs `riffd …` with a state folder. Throws if it fails. */
export async function runCli(
  stateDir: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliRun> {
  return withFolder(async (dir) => {
    const usageFile = join(dir, "usage.json");
    const started = performance.now();
    const { stdout } = await run(process.execPath, ["--import", USAGE_HOOK, CLI, ...args], {
      ...environment(stateDir),
      ...env,
      BENCH_USAGE: usageFile,
    });
    const wallMs = performance.now() - started;
    const usage = JSON.parse(readFileSync(usageFile, "utf8")) as NodeJS.ResourceUsage;
    return {
      usage: {
        wallMs,
        peakRssMb: usage.maxRSS / 1024,
        cpuMs: (usage.userCPUTime + usage.systemCPUTime) / 1000,
      },
      lines: parseLines(stdout),
    };
  });
}

function parseLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Runs Node.js alone. Returns how many milliseconds it took. */
export async function runNode(args: readonly string[]): Promise<number> {
  const started = performance.now();
  await run(process.execPath, args, process.env);
  return performance.now() - started;
}

/** Runs `riffd …` under another command, such as a tracer. */
export async function runCliUnder(
  command: readonly string[],
  stateDir: string,
  args: readonly string[],
): Promise<void> {
  const [program, ...before] = command;
  await run(program!, [...before, process.execPath, CLI, ...args], environment(stateDir));
}

/** A process that goes on by itself. */
export interface Launched {
  readonly pid: number;
  /** By `performance.now()`. */
  readonly startedAt: number;
  /** Resolves when it has ended, however. */
  readonly ended: Promise<void>;
  hasEnded(): boolean;
  /** All that it has said. */
  output(): string;
  /** Ends it at once. */
  kill(): void;
}

/** Starts `riffd …`, also under another command, such as a tracer. */
export function launchCli(
  stateDir: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  under: readonly string[] = [],
): Launched {
  const [program, ...before] = [...under, process.execPath];
  const startedAt = performance.now();
  const child = spawn(program!, [...before, CLI, ...args], {
    env: { ...environment(stateDir), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      children.delete(child);
      resolve();
    });
  });
  return {
    pid: child.pid!,
    startedAt,
    ended,
    hasEnded: () => !children.has(child),
    output: () => output,
    kill: () => child.kill("SIGKILL"),
  };
}

/** Runs a job of worker.ts in a process of its own, and returns its result. */
export async function runWorker<Result>(job: string, input: object): Promise<Result> {
  return withFolder(async (dir) => {
    const resultFile = join(dir, "result.json");
    const loader = import.meta.resolve("tsx");
    await run(process.execPath, ["--import", loader, WORKER, job, JSON.stringify(input), resultFile], environment(dir));
    return JSON.parse(readFileSync(resultFile, "utf8")) as Result;
  });
}

export interface Server {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  stop(): Promise<void>;
}

/** Serves a new store below `stateDir` on a free port of the loopback, with `riffd serve`. */
export async function serve(stateDir: string): Promise<Server> {
  const [user, password] = ["bench", "only for this benchmark"];
  const child = spawn(process.execPath, [CLI, "serve", "--listen", "127.0.0.1:0", "--user", user], {
    env: { ...environment(stateDir), RIFFD_SERVE_PASS: password },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.add(child);
  const ended = once(child, "close");
  let told = "";
  for await (const chunk of child.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    told += chunk;
    if (/at ws:\/\/127\.0\.0\.1:\d+/.test(told)) break;
  }
  const port = Number(told.match(/at ws:\/\/127\.0\.0\.1:(\d+)/)?.[1]);
  return {
    port,
    user,
    password,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      children.delete(child);
    },
  };
}

/** Whether a command can be run here. */
export async function hasCommand(command: string, ...args: string[]): Promise<boolean> {
  try {
    await run(command, args, process.env);
    return true;
  } catch {
    return false;
  }
}

/** Only the state folder decides where the store is; the rest of the caller's configuration is left out. */
function environment(stateDir: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(RIFFD_|SURREAL|CLAUDE_|NODE_OPTIONS)/.test(name));
  return { ...Object.fromEntries(kept), RIFFD_STATE_DIR: stateDir };
}

async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ stdout: string }> {
  const child = spawn(command, args, {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: DEADLINE_MS,
    killSignal: "SIGKILL",
  });
  children.add(child);
  try {
    const [stdout, stderr, outcome] = await Promise.all([
      readAll(child.stdout),
      readAll(child.stderr),
      new Promise<string | null>((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code, signal) => resolve(code === 0 ? null : `${signal ?? `exit code ${code}`}`));
      }),
    ]);
    if (outcome !== null) throw new Error(`${[command, ...args].join(" ")} ended with ${outcome}\n${stderr}`);
    return { stdout };
  } finally {
    child.kill("SIGKILL");
    children.delete(child);
  }
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
