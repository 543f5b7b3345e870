// A SurrealDB server in another process, which is riffd itself, and databases on it.
import type { RemoteTarget } from "../../src/config/store-target.ts";
import { NAMESPACE } from "../../src/config/store-target.ts";
import { type Patience, RemoteDatabase, type RemoteEvents } from "../../src/store/remote-database.ts";
import { applyMigrations, readMigrations } from "../../src/store/schema.ts";
import { type Running, startRiffd } from "./riffd.ts";

export const USER = "tester";
export const PASSWORD = "only for this test";

/** Short, so that what never comes is noticed soon; long enough for a machine that is busy. */
const TEST_PATIENCE: Patience = { first: 20_000, away: 40_000, connect: 10_000, call: 20_000 };

const SILENT: RemoteEvents = { away: () => {}, back: () => {} };

export class TestServer {
  readonly port: number;
  readonly running: Running;
  #databases = 0;

  private constructor(running: Running, port: number) {
    this.running = running;
    this.port = port;
  }

  /** Serves a new store below `stateDir` on a free port of the loopback. */
  static async start(stateDir: string, args: readonly string[] = []): Promise<TestServer> {
    const running = startRiffd(
      stateDir,
      ["serve", "--listen", "127.0.0.1:0", "--user", USER, "--role", "owner", "--level", "root", ...args],
      { env: { RIFFD_SERVE_PASS: PASSWORD } },
    );
    const told = await running.told(/at ws:\/\/127\.0\.0\.1:(\d+)/);
    return new TestServer(running, Number(told[1]));
  }

  /** The way to a database, as the owner of the server; it need not exist. */
  target(database: string, port = this.port): RemoteTarget {
    return {
      kind: "remote",
      url: `ws://127.0.0.1:${port}`,
      credentials: { username: USER, password: PASSWORD },
      level: "root",
      namespace: NAMESPACE,
      database,
    };
  }

  /** A new database with riffd's schema. */
  async newDatabase(): Promise<string> {
    const name = `test${++this.#databases}`;
    const database = await this.open(name);
    await applyMigrations(database, readMigrations());
    await database.close();
    return name;
  }

  /** A connection to one of its databases. */
  open(
    database: string,
    { port = this.port, patience = TEST_PATIENCE, events = SILENT, signal = new AbortController().signal } = {},
  ): Promise<RemoteDatabase> {
    return RemoteDatabase.open(this.target(database, port), events, signal, patience);
  }
}
