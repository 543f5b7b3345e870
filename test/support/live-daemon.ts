/** `riffd start` as people run it: the built program over a state folder and a projects folder, and those who look at it. */
import { connect } from "node:net";
import { join } from "node:path";
import { Surreal } from "surrealdb";
import { vi } from "vitest";
import WebSocket from "ws";
import { DATABASE, NAMESPACE } from "../../src/config/store-target.ts";
import { ControlClient } from "../../src/control/client.ts";
import { ask, wholeText } from "../../src/control/exchange.ts";
import { type DaemonStatus, ROUTES } from "../../src/control/protocol.ts";
import { type Ended, type Running, riffd, startRiffd } from "./riffd.ts";

/** For a machine that is busy. */
const PATIENT = { timeout: 60_000, interval: 20 };

export interface DaemonOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A line of the log. */
export interface LogLine extends Readonly<Record<string, unknown>> {
  readonly level: string;
  readonly msg: string;
}

/** What a path of its socket answers. */
export interface Answered {
  readonly status: number;
  readonly text: string;
}

export class LiveDaemon {
  readonly stateDir: string;
  readonly socket: string;
  readonly running: Running;
  readonly client: ControlClient;
  readonly #clients: Surreal[] = [];

  private constructor(stateDir: string, running: Running) {
    this.stateDir = stateDir;
    this.socket = join(stateDir, "riffd.sock");
    this.running = running;
    this.client = new ControlClient(this.socket);
  }

  /** Starts the process, and waits for nothing. */
  static launch(stateDir: string, projects: string, { args = [], env = {} }: DaemonOptions = {}): LiveDaemon {
    return LiveDaemon.bare(stateDir, ["--projects", projects, ...args], env);
  }

  /** The same with nothing said of where its projects are. */
  static bare(stateDir: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): LiveDaemon {
    return new LiveDaemon(stateDir, startRiffd(stateDir, ["start", "--log-format", "json", ...args], { env }));
  }

  /** Starts it; it is ready when this returns. */
  static async start(stateDir: string, projects: string, options: DaemonOptions = {}): Promise<LiveDaemon> {
    const daemon = LiveDaemon.launch(stateDir, projects, options);
    await daemon.ready();
    return daemon;
  }

  get pid(): number {
    return this.running.child.pid!;
  }

  /** Waits until it says that it is ready. Rejects when it ends before. */
  async ready(): Promise<void> {
    await this.#orEnded(
      eventually(async () => {
        const { ready, reasons } = await this.client.readiness();
        if (!ready) throw new Error(`it is not ready: ${reasons.join(" ")}`);
      }),
    );
  }

  status(): Promise<DaemonStatus> {
    return this.client.status();
  }

  /** Waits for a status that is like this, and returns it. Rejects when the daemon ends before. */
  until(condition: (status: DaemonStatus) => boolean): Promise<DaemonStatus> {
    return this.#orEnded(
      eventually(async () => {
        const status = await this.status();
        if (!condition(status)) throw new Error(`its status stayed ${JSON.stringify(status)}`);
        return status;
      }),
    );
  }

  /** Waits until all that it knows of is in the store, and is settled. */
  settled(): Promise<DaemonStatus> {
    return this.until(({ pipeline }) => pipeline.state === "live" && pipeline.live.length === 0);
  }

  /** Its metrics by name and labels, as `riffd_backlog_files{state="queued"}`. */
  async metrics(): Promise<Map<string, number>> {
    const { text } = await this.get(ROUTES.metrics);
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      samples.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  async get(path: string): Promise<Answered> {
    const answer = await ask({ socketPath: this.socket, method: "GET", path, silenceMs: 20_000 });
    return { status: answer.status, text: await wholeText(answer) };
  }

  /** A foreign client: the official SDK over a WebSocket to the socket's `/rpc`. `stop` and `kill` close it. */
  async foreign(): Promise<Surreal> {
    const { socket } = this;
    class SocketOnFile extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol, { createConnection: () => connect(socket) });
      }
    }
    const client = new Surreal({ websocketImpl: SocketOnFile as unknown as typeof globalThis.WebSocket });
    this.#clients.push(client);
    await client.connect("ws://localhost/rpc", { namespace: NAMESPACE, database: DATABASE, reconnect: false });
    return client;
  }

  /** What it has logged so far. */
  log(): LogLine[] {
    const lines = this.running.stdout().split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as LogLine);
  }

  /** The lines of its log that say so. */
  said(pattern: RegExp): LogLine[] {
    return this.log().filter(({ msg }) => pattern.test(msg));
  }

  /** Waits until its log says so. */
  async says(pattern: RegExp): Promise<LogLine> {
    return await this.#orEnded(
      eventually(() => {
        const line = this.said(pattern)[0];
        if (line === undefined) throw new Error(`it never said ${pattern}: ${this.running.stdout()}`);
        return line;
      }),
    );
  }

  /** Ends it as systemd does, and waits for its end. */
  async stop(): Promise<Ended> {
    await this.closeClients();
    this.running.child.kill("SIGTERM");
    return this.running.ended;
  }

  /** Ends it in a way that it does not notice. */
  async kill(): Promise<void> {
    this.running.child.kill("SIGKILL");
    await this.running.ended;
    await this.closeClients();
  }

  async closeClients(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client.close().catch(() => {}); // the daemon may have gone
  }

  #orEnded<T>(wanted: Promise<T>): Promise<T> {
    const ended = this.running.ended.then(({ code, signal, stdout, stderr }) => {
      throw new Error(`the daemon ended with ${code ?? signal}: ${stdout}${stderr}`);
    });
    return Promise.race([wanted, ended]);
  }
}

/** What `riffd query` gives for one statement, with a daemon or without. */
export async function asked<T>(stateDir: string, text: string, env: Readonly<Record<string, string>> = {}): Promise<T> {
  const { code, stdout, stderr } = await riffd(stateDir, ["query", text, "--json"], { env });
  if (code !== 0) throw new Error(`the query failed: ${stderr}`);
  const [answer] = JSON.parse(stdout) as [{ result: T }];
  return answer.result;
}

/** Waits, for long on a machine that is busy, until the condition no longer throws, and returns what it gives. */
export function eventually<T>(condition: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(condition, PATIENT);
}
