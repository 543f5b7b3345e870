// The daemon's HTTP server on a Unix socket. Who may ask is who may connect: the user that runs the daemon.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { RiffError, toError } from "../errors.ts";
import { Followers, storeNotOpen } from "./followers.ts";
import { CONTROL_LIMITS, type ControlLimits } from "./limits.ts";
import { NamedSocket } from "./named-socket.ts";
import { isDaemonRunning } from "./probe.ts";
import { type Controlled, ROUTES, type WireError } from "./protocol.ts";
import { createRoutes, NOT_FOR_PAGES } from "./routes.ts";
import { Streams } from "./streams.ts";
import { toWireError } from "./wire.ts";

/** Serves SurrealDB's protocol at `/rpc`, as src/serve's RpcServer. Its owner closes it, before the control server. */
export interface RpcHandler {
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void;
}

/** Told of the socket's name, which whoever cleans up may remove. */
export interface NameEvents {
  /** It listens there again. */
  restored(): void;
  /** Nobody finds it, and it cannot be helped now; told once until it can. */
  lost(error: Error): void;
}

export class ControlServer {
  readonly path: string;
  readonly #answer: ReturnType<typeof getRequestListener>;
  readonly #events: NameEvents;
  readonly #streams: Streams;
  readonly #followers: Followers;
  readonly #limits: ControlLimits;
  readonly #rpc: () => RpcHandler | null;
  readonly #sockets = new Set<Socket>();
  /** The one that has the name, and those that had it and still have connections. */
  readonly #servers = new Set<Server>();
  #named: NamedSocket | null = null;
  #watch: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;
  #isLost = false;
  #closed: Promise<void> | null = null;

  private constructor(
    path: string,
    controlled: Controlled,
    rpc: () => RpcHandler | null,
    limits: ControlLimits,
    events: NameEvents,
  ) {
    this.path = path;
    this.#rpc = rpc;
    this.#events = events;
    this.#limits = limits;
    this.#streams = new Streams(limits.heartbeatMs);
    this.#followers = new Followers(controlled, limits.pageCommits);
    const { fetch } = createRoutes({ controlled, followers: this.#followers, streams: this.#streams, limits });
    this.#answer = getRequestListener(fetch, { hostname: "localhost", overrideGlobalObjects: false });
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
    events: NameEvents = { restored: () => {}, lost: () => {} },
  ): Promise<ControlServer> {
    const server = new ControlServer(path, controlled, rpc, { ...CONTROL_LIMITS, ...limits }, events);
    await server.#listen();
    server.#followers.start();
    server.#watch = setInterval(() => server.#look(), server.#limits.nameMs);
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
    const server = this.#newServer();
    this.#named = await NamedSocket.listen(server, this.path);
    this.#servers.add(server);
  }

  #newServer(): Server {
    const { requestMs: requestTimeout, headersMs: headersTimeout, connections } = this.#limits;
    const server = createServer({ requestTimeout, headersTimeout, connectionsCheckingInterval: headersTimeout / 2 });
    server.maxConnections = connections;
    server.on("request", (request, response) => {
      response.on("finish", () => closeIdle(server));
      if (isRpc(request)) this.#answerRpc(request, response);
      else void this.#answer(request, response);
    });
    server.on("upgrade", (request, stream, head) => this.#upgrade(request, stream, head));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    return server;
  }

  /** Listens anew where the socket has lost its name: nobody would find the daemon any more. */
  #look(): void {
    if (this.#looking !== null || this.#named?.isInPlace) return;
    this.#looking = this.#restore().finally(() => {
      this.#looking = null;
    });
  }

  async #restore(): Promise<void> {
    try {
      if (await isDaemonRunning(this.path)) throw takenByAnother(this.path);
      const before = [...this.#servers];
      await this.#listen();
      for (const server of before) void this.#end(server);
      this.#isLost = false;
      this.#events.restored();
    } catch (thrown) {
      if (!this.#isLost) this.#events.lost(toError(thrown));
      this.#isLost = true;
    }
  }

  async #close(): Promise<void> {
    clearInterval(this.#watch);
    await this.#looking;
    const closed = Promise.all([...this.#servers].map((server) => this.#end(server)));
    this.#named?.remove();
    this.#followers.close();
    this.#streams.end();
    const late = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, this.#limits.drainMs);
    await closed;
    clearTimeout(late);
  }

  /** It takes no more connections; resolves when it has none. */
  async #end(server: Server): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    closeIdle(server);
    await closed;
    this.#servers.delete(server);
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

/** Connections that are kept for requests that do not come any more. */
function closeIdle(server: Server): void {
  if (!server.listening) setImmediate(() => server.closeIdleConnections());
}

function takenByAnother(path: string): RiffError {
  return new RiffError(
    "RIFF_STATE_UNWRITABLE",
    `Another process listens at ${path}.`,
    "Give each daemon a socket of its own with `socket` or RIFFD_SOCKET.",
  );
}
