// The daemon as a process of its own, asked as anybody would ask it: HTTP and SurrealDB's SDK over its control socket.
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Surreal } from "surrealdb";
import WebSocket from "ws";
import { type Launched, launchCli } from "./processes.ts";

/** Between two looks at whether it answers. */
const LOOK_MS = 5;

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export class Daemon {
  readonly pid: number;
  readonly #launched: Launched;
  readonly #socketPath: string;

  constructor(launched: Launched, stateDir: string) {
    this.#launched = launched;
    this.pid = launched.pid;
    this.#socketPath = join(stateDir, "riffd.sock");
  }

  /** Resolves when this path is answered with 200, with the milliseconds since the process was started. */
  async answers(path: string): Promise<number> {
    for (;;) {
      const answer = await this.get(path).catch(() => null);
      if (answer?.status === 200) return performance.now() - this.#launched.startedAt;
      if (this.#launched.hasEnded()) throw new Error(`the daemon has ended:\n${this.#launched.output()}`);
      await sleep(LOOK_MS);
    }
  }

  /** Resolves when it has caught up, with the milliseconds since the process was started. */
  ready(): Promise<number> {
    return this.answers("/v1/ready");
  }

  get(path: string): Promise<Answer> {
    return this.#ask("GET", path);
  }

  /** What Prometheus would be told: values by their names, with their labels. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const { text } = await this.get("/metrics");
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      samples.map((line) => {
        const end = line.lastIndexOf(" ");
        return [line.slice(0, end), Number(line.slice(end + 1))];
      }),
    );
  }

  /** A client of its store, by SurrealDB's own SDK. Call it once the store is open. */
  async client(): Promise<Surreal> {
    const createConnection = () => connect(this.#socketPath);
    class Socket extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol, { createConnection });
      }
    }
    const surreal = new Surreal({ websocketImpl: Socket as unknown as typeof globalThis.WebSocket });
    await surreal.connect("ws://localhost/rpc");
    await surreal.use({ namespace: "nabi", database: "conversations" });
    return surreal;
  }

  /** Resolves when it has drained and ended. */
  async stop(): Promise<void> {
    await this.#ask("POST", "/v1/stop");
    await this.#launched.ended;
  }

  #ask(method: string, path: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socketPath, method, path, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.on("error", reject);
      });
      asked.on("error", reject).end();
    });
  }
}

export interface DaemonRun {
  readonly stateDir: string;
  readonly projects: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Another command that it runs under, such as a tracer. */
  readonly under?: readonly string[];
}

/** Runs `use` with `riffd start`, which is stopped afterwards. */
export async function withDaemon<T>(run: DaemonRun, use: (daemon: Daemon) => Promise<T>): Promise<T> {
  const { stateDir, projects, env = {}, under = [] } = run;
  const args = ["start", "--projects", projects, "--log-level", "warn"];
  const launched = launchCli(stateDir, args, env, under);
  const daemon = new Daemon(launched, stateDir);
  try {
    const result = await use(daemon);
    await daemon.stop();
    return result;
  } finally {
    launched.kill();
  }
}

/** What the system has counted of a process so far. */
export interface Counted {
  readonly cpuMs: number;
  readonly rssMb: number;
  readonly peakRssMb: number;
  /** How often one of its threads had nothing to do and went to sleep. */
  readonly sleeps: number;
}

/** Linux counts in hundredths of a second whatever its clock. */
const TICK_MS = 10;

/** null: this system does not tell (Linux does). */
export function countedOf(pid: number): Counted | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return {
      cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
      rssMb: fieldOf(status, "VmRSS") / 1024,
      peakRssMb: fieldOf(status, "VmHWM") / 1024,
      sleeps: sleepsOf(pid),
    };
  } catch {
    return null;
  }
}

function sleepsOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const counts = threads.map((thread) =>
    fieldOf(readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8"), "voluntary_ctxt_switches"),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function fieldOf(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1]);
}
