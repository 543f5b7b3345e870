/** riffd as people run it: real processes of the built program, each with a state folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const children = new Set<ChildProcess>();

/** How a process ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has written to stdout so far. */
  stdout(): string;
  /** Waits until a line on stdout or stderr is like this. Rejects when it ends before. */
  told(pattern: RegExp): Promise<RegExpMatchArray>;
}

export interface RunOptions {
  /** The user it runs as, for those who may become another. */
  readonly uid?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** The folder it runs in. */
  readonly cwd?: string;
}

/** Starts `riffd …args` with its state and store below `stateDir`. */
export function startRiffd(stateDir: string, args: readonly string[], options: RunOptions = {}): Running {
  return start([join(DIST, "cli.js"), ...args], stateDir, options);
}

/** Runs `riffd …args` to its end. */
export function riffd(stateDir: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return startRiffd(stateDir, args, options).ended;
}

/**
 * Starts a process that opens the store below `stateDir` as riffd does, runs `body` with `opened` (an `OpenStore`), and
 * prints `ready`. It keeps the store open until its stdin ends or it is killed.
 */
export function startWithStore(stateDir: string, body: string): Running {
  const script = `
    const { openStore } = await import(${JSON.stringify(join(DIST, "store/open.js"))});
    const opened = await openStore(
      { kind: "embedded", dir: ${JSON.stringify(join(stateDir, "store"))} },
      { stateDir: ${JSON.stringify(stateDir)} },
    );
    ${body}
    process.stdout.write("ready\\n");
    process.stdin.on("end", () => process.exit(0)).resume();`;
  return start(["--input-type=module", "-e", script], stateDir, {});
}

/** Starts a process that runs `body`; `load("runtime/signals.js")` gives it that module of the built program. */
export function startScript(stateDir: string, body: string, options: RunOptions = {}): Running {
  return start(scriptArgs(body), stateDir, options);
}

/** What Node.js takes to run such a body. */
export function scriptArgs(body: string): string[] {
  return ["--input-type=module", "-e", `const load = (path) => import(${JSON.stringify(DIST)} + path);\n${body}`];
}

/** Starts Node.js with `args`, with the state of riffd below `stateDir`. */
export function startNode(args: readonly string[], stateDir: string, options: RunOptions = {}): Running {
  return start(args, stateDir, options);
}

/** What a query gives, asked by a process of its own, which has gone when this returns. */
export async function query<T>(stateDir: string, text: string): Promise<T> {
  const running = startWithStore(
    stateDir,
    `const [rows] = await opened.store.db.query(${JSON.stringify(text)}).collect();
     process.stdout.write(JSON.stringify(rows) + "\\n");`,
  );
  running.child.stdin?.end();
  const { code, stdout, stderr } = await running.ended;
  if (code !== 0) throw new Error(`the query failed: ${stderr}`);
  return JSON.parse(stdout.split("\n")[0]!) as T;
}

/** Ends whatever a test left running; for `afterAll`. */
export function killRunning(): void {
  for (const child of children) child.kill("SIGKILL");
}

/** Every commit that this machine has noted for the store: one line each. */
export function notedCommits(stateDir: string): string[] {
  if (!existsSync(stateDir)) return [];
  return readdirSync(stateDir)
    .filter((name) => name.startsWith("heads-"))
    .flatMap((name) => readFileSync(join(stateDir, name), "utf8").split("\n").filter(Boolean));
}

function start(args: readonly string[], stateDir: string, { uid, env, cwd }: RunOptions): Running {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, RIFFD_STATE_DIR: stateDir, XDG_CONFIG_HOME: stateDir, ...env },
    stdio: "pipe",
    ...(uid === undefined ? {} : { uid }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  children.add(child);
  let stdout = "";
  let stderr = "";
  const output = new EventEmitter();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    output.emit("more");
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    output.emit("more");
  });
  const told = (pattern: RegExp) =>
    new Promise<RegExpMatchArray>((resolve, reject) => {
      const look = () => {
        const match = stdout.match(pattern) ?? stderr.match(pattern);
        if (match === null) return;
        output.off("more", look);
        resolve(match);
      };
      output.on("more", look);
      look();
      child.on("close", (code) => reject(new Error(`it ended with ${code} and never said ${pattern}: ${stderr}`)));
    });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      children.delete(child);
      resolve({ code, signal, stdout, stderr });
    });
  });
  return { child, ended, stdout: () => stdout, told };
}
