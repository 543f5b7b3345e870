// The daemon's HTTP server on a Unix socket. Who may ask is who may connect: the user that runs the daemon.
import { chmodSync, lstatSync, renameSync, rmSync, type Stats } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { basename, dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { RiffError, systemCode, toError } from "../errors.ts";
import { Followers, storeNotOpen } from "./followers.ts";
import { CONTROL_LIMITS, type ControlLimits } from "./limits.ts";
import { type Controlled, ROUTES, type WireError } from "./protocol.ts";
import { createRoutes, NOT_FOR_PAGES } from "./routes.ts";
import { createSocketFolder } from "./socket-path.ts";
import { Streams } from "./streams.ts";
import { toWireError } from "./wire.ts";

/** Serves SurrealDB's protocol at `/rpc`, as src/serve's RpcServer. Its owner closes it, before the control server. */
export interface RpcHandler {
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void;
}

export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #streams: Streams;
  readonly #followers: Followers;
  readonly #limits: ControlLimits;
  readonly #rpc: () => RpcHandler | null;
  readonly #sockets = new Set<Socket>();
  #file: Stats | null = null;
  #closed: Promise<void> | null = null;

  private constructor(path: string, controlled: Controlled, rpc: () => RpcHandler | null, limits: ControlLimits) {
    this.path = path;
    this.#rpc = rpc;
    this.#limits = limits;
    this.#streams = new Streams(limits.heartbeatMs);
    this.#followers = new Followers(controlled, limits.pageCommits);
    this.#server = createServer({
      requestTimeout: limits.requestMs,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.headersMs / 2,
    });
    this.#server.maxConnections = limits.connections;
    const { fetch } = createRoutes({ controlled, followers: this.#followers, streams: this.#streams, limits });
    const answer = getRequestListener(fetch, { hostname: "localhost", overrideGlobalObjects: false });
    this.#server.on("request", (request, response) => {
      response.on("finish", () => this.#closeIdle());
      if (isRpc(request)) this.#answerRpc(request, response);
      else void answer(request, response);
    });
    this.#server.on("upgrade", (request, stream, head) => this.#upgrade(request, stream, head));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /**
   * Listens at `path`, in a folder that only this user can enter. The state folder's lock must be held: whatever socket
   * is there is taken for a dead one's. `rpc` is asked at each request; null: it is not served now. Throws
   * RIFF_STATE_UNWRITABLE.
   */
  static async listen(
    path: string,
    controlled: Controlled,
    rpc: () => RpcHandler | null,
    limits: Partial<ControlLimits> = {},
  ): Promise<ControlServer> {
    createSocketFolder(path);
    const server = new ControlServer(path, controlled, rpc, { ...CONTROL_LIMITS, ...limits });
    await server.#listen();
    return server;
  }

  /**
   * Takes no more connections, ends all streams, lets requests in work end within `drainMs`, and removes the socket.
   * Idempotent.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #listen(): Promise<void> {
    // It gets its name when it has its rights and is listening, so there is no moment at which it has less.
    const unnamed = join(dirname(this.path), `${basename(this.path).slice(0, -1)}~`);
    try {
      this.#followers.start();
      removeSocket(unnamed);
      await this.#bind(unnamed);
      chmodSync(unnamed, 0o600);
      this.#file = lstatSync(unnamed);
      removeSocket(this.path);
      renameSync(unnamed, this.path);
    } catch (thrown) {
      this.#followers.close();
      this.#server.close();
      throw thrown instanceof RiffError ? thrown : cannotListen(this.path, toError(thrown));
    }
  }

  #bind(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      // The socket is made before `listen` returns.
      const umask = process.umask(0o077);
      try {
        this.#server.listen(path, () => {
          this.#server.off("error", reject);
          resolve();
        });
      } finally {
        process.umask(umask);
      }
    });
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#removeFile();
    this.#followers.close();
    this.#streams.end();
    this.#closeIdle();
    const late = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, this.#limits.drainMs);
    await closed;
    clearTimeout(late);
  }

  /** Connections that are kept for requests that do not come any more. */
  #closeIdle(): void {
    if (!this.#server.listening) setImmediate(() => this.#server.closeIdleConnections());
  }

  /** Only our own: another daemon may have taken the place. */
  #removeFile(): void {
    const found = lstatSync(this.path, { throwIfNoEntry: false });
    if (found?.ino === this.#file?.ino && found?.dev === this.#file?.dev) rmSync(this.path, { force: true });
  }

  #answerRpc(request: IncomingMessage, response: ServerResponse): void {
    const rpc = this.#rpc();
    if (request.headers.origin !== undefined) end(response, 403, NOT_FOR_PAGES);
    else if (rpc === null) end(response, 503, toWireError(storeNotOpen()));
    else rpc.request(request, response);
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const rpc = this.#rpc();
    if (!isRpc(request)) refuseUpgrade(stream, "404 Not Found");
    else if (request.headers.origin !== undefined) refuseUpgrade(stream, "403 Forbidden");
    else if (rpc === null || this.#closed !== null) refuseUpgrade(stream, "503 Service Unavailable");
    else rpc.upgrade(request, stream, head);
  }
}

function isRpc({ url = "/" }: IncomingMessage): boolean {
  return url.split("?", 1)[0] === ROUTES.rpc;
}

function end(response: ServerResponse, status: number, error: WireError): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ error }));
}

function refuseUpgrade(stream: Duplex, status: string): void {
  stream.on("error", () => {});
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => stream.destroy());
}

/** Removes the socket at a path, and nothing else that may be there. */
function removeSocket(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new RiffError(
      "RIFF_STATE_UNWRITABLE",
      `The control socket cannot be made: ${path} is there, and is no socket.`,
      "Look at what it is, and move it away.",
    );
  }
  rmSync(path);
}

function cannotListen(path: string, error: Error): RiffError {
  const tooLong = systemCode(error) === "EINVAL" || systemCode(error) === "ENAMETOOLONG";
  return new RiffError(
    "RIFF_STATE_UNWRITABLE",
    `Cannot listen at ${path}: ${error.message}`,
    tooLong
      ? "Choose a state folder with a shorter path."
      : "Check the folder's rights and the free space of its disk.",
    error,
  );
}
