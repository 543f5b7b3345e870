// This very riffd as child processes: commands that are run to their end, and the daemon.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ControlClient } from "../control/client.ts";
import { type ErrorCode, EXIT_CODES, RiffError } from "../errors.ts";
import type { Scratch } from "./scratch.ts";

/** Beside this folder, built or not. */
const CLI = fileURLToPath(import.meta.url).replace(/demo[/\\]programs(\.\w+)$/, "cli$1");
/** Has the daemon end with the demo, however that ends: the pipe to its stdin is closed then. */
const END_WITH_PARENT = `data:text/javascript,${encodeURIComponent(
  'process.stdin.on("end", () => process.kill(process.pid, "SIGKILL")).resume();',
)}`;
const LOOK_MS = 25;
/** Far longer than anything takes. */
const PATIENCE_MS = 60_000;
/** Characters of a log's last line, where a process has not said why it ended. */
const MAX_TOLD = 300;
const LOOK_AT_LOG = "Run it with --keep, and look at daemon.log in the folder that it names.";

export interface Daemon {
  readonly child: ChildProcess;
  readonly client: ControlClient;
  /** Aborted when the process has ended; its reason tells how. */
  readonly ended: AbortSignal;
}

export class Programs {
  readonly #scratch: Scratch;
  readonly #signal: AbortSignal;
  readonly #children = new Set<ChildProcess>();

  /** Once `signal` is aborted, whatever is waited for throws. */
  constructor(scratch: Scratch, signal: AbortSignal) {
    this.#scratch = scratch;
    this.#signal = signal;
  }

  /** What `riffd …args` prints. Throws a RiffError where its exit code is none of `expected`. */
  async run(args: readonly string[], expected: readonly number[] = [0]): Promise<string> {
    const child = this.#spawn([CLI, ...args], ["ignore", "pipe", "pipe"]);
    let stdout = "";
    let stderr = "";
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const [code] = (await once(child, "close", { signal: this.#signal })) as [number | null];
    if (code !== null && expected.includes(code)) return stdout;
    throw failed(`The demo's riffd ${args[0]}`, code, stderr);
  }

  /** Starts the daemon; it is ready when this returns. Throws what keeps it from starting. */
  async startDaemon(): Promise<Daemon> {
    const log = openSync(this.#scratch.log, "a");
    const child = this.#spawn(["--import", END_WITH_PARENT, CLI, "start"], ["pipe", log, log]);
    closeSync(log);
    const ended = new AbortController();
    child.on("error", (error) => ended.abort(error));
    child.on("close", (code) =>
      ended.abort(failed("The demo's daemon", code, readFileSync(this.#scratch.log, "utf8"))),
    );
    const daemon = { child, client: new ControlClient(this.#scratch.socket), ended: ended.signal };
    await this.until(daemon, "its daemon was ready", async (client) => (await client.readiness()).ready);
    return daemon;
  }

  /** Ends it as a crash does; it has gone when this returns. */
  async kill({ child, ended }: Daemon): Promise<void> {
    child.kill("SIGKILL");
    await hasEnded(ended);
  }

  /** Has it end as `riffd stop` does. Returns its exit code once it has gone. */
  async stop({ client, child, ended }: Daemon): Promise<number | null> {
    await client.stop();
    await hasEnded(ended, this.#signal);
    return child.exitCode;
  }

  /** Asks the daemon again and again, also while it does not answer. Throws what it ended with, and RIFF_DAEMON_UNRESPONSIVE. */
  async until(daemon: Daemon, what: string, holds: (client: ControlClient) => Promise<boolean>): Promise<void> {
    const signal = AbortSignal.any([this.#signal, daemon.ended]);
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await holds(daemon.client).catch(unlessAway))) {
      signal.throwIfAborted();
      if (performance.now() > deadline) throw tooLong(what);
      await sleep(LOOK_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  /** Ends all of them at once. May be called again, and from a listener for `exit`. */
  killAll(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }

  /** The same, and waits until they have gone. */
  async close(): Promise<void> {
    const gone = [...this.#children].map((child) => once(child, "close"));
    this.killAll();
    await Promise.all(gone);
  }

  #spawn(args: readonly string[], stdio: (number | "pipe" | "ignore")[]): ChildProcess {
    this.#signal.throwIfAborted();
    // A process group of its own: Ctrl-C on the terminal is for the demo, which ends its children itself.
    const options = { cwd: this.#scratch.folder, env: this.#scratch.env, stdio, detached: true };
    const child = spawn(process.execPath, [...process.execArgv, ...args], options);
    this.#children.add(child);
    child.on("close", () => this.#children.delete(child));
    return child;
  }
}

async function hasEnded(ended: AbortSignal, signal?: AbortSignal): Promise<void> {
  if (!ended.aborted) await once(ended, "abort", signal === undefined ? {} : { signal });
}

/** What is asked of a daemon that does not answer does not hold. */
function unlessAway(thrown: unknown): false {
  if (thrown instanceof RiffError && thrown.code.startsWith("RIFF_DAEMON_")) return false;
  throw thrown;
}

/** With the code that its exit code stands for, and what it said of itself. */
function failed(who: string, exitCode: number | null, said: string): RiffError {
  const codes = Object.keys(EXIT_CODES) as ErrorCode[];
  const code = codes.find((name) => EXIT_CODES[name] === exitCode) ?? "RIFF_DAEMON_UNRESPONSIVE";
  const [, told, hint] = /^Error: ([\s\S]*?)\nTry: ([\s\S]*)$/m.exec(said.trimEnd()) ?? [];
  const message = told ?? said.trimEnd().split("\n").at(-1)!.slice(0, MAX_TOLD);
  return new RiffError(code, `${who} ended with ${exitCode ?? "a signal"}: ${message}`, hint ?? LOOK_AT_LOG);
}

function tooLong(what: string): RiffError {
  return new RiffError(
    "RIFF_DAEMON_UNRESPONSIVE",
    `The demo has waited ${PATIENCE_MS / 1000} s, but it never came to it that ${what}.`,
    LOOK_AT_LOG,
  );
}
