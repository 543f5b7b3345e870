/** A SurrealDB server that can go away and come back at the same address, and the daemon's way to it. */

import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type Running, startRiffd } from "./riffd.ts";

export const USER = "daemon";
export const PASSWORD = "only-for-this-test";

export class StoreServer {
  readonly port: number;
  readonly #stateDir: string;
  #running: Running | null = null;

  private constructor(stateDir: string, port: number) {
    this.#stateDir = stateDir;
    this.port = port;
  }

  /** On a port that is free now; it does not run yet. */
  static async create(stateDir: string): Promise<StoreServer> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    return new StoreServer(stateDir, port);
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** What riffd needs to sign in. */
  get env(): Readonly<Record<string, string>> {
    return { SURREALDB_URL: this.url, SURREALDB_USER: USER, SURREALDB_PASS: PASSWORD };
  }

  /** Serves the store as it was left; clients can sign in when this returns. */
  async start(): Promise<void> {
    const listen = ["--listen", `127.0.0.1:${this.port}`];
    const user = ["--user", USER, "--role", "owner", "--level", "root"];
    this.#running = startRiffd(this.#stateDir, ["serve", ...listen, ...user], { env: { RIFFD_SERVE_PASS: PASSWORD } });
    await this.#running.told(/at ws:/);
  }

  /** Ends it as a power failure would. */
  async kill(): Promise<void> {
    this.#running?.child.kill("SIGKILL");
    await this.#running?.ended;
  }

  /** It stays connected, and does nothing any more. */
  freeze(): void {
    this.#running?.child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#running?.child.kill("SIGCONT");
  }
}
