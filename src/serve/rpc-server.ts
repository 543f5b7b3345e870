// Serves the engine to any number of clients, over WebSockets and HTTP. It has no address of its own: whoever owns the
// HTTP server, on TCP or on a Unix socket, hands it requests and upgrades.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocketServer } from "ws";
import type { RpcPeer } from "../store/rpc-engine.ts";
import { Connection } from "./connection.ts";
import { cborFormat, decode, encode, encodeMap, jsonFormat } from "./format.ts";
import { answer, pathOf } from "./http.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { isAllowedOrigin } from "./origin.ts";
import { SigninPace } from "./signin-pace.ts";
import { WebSocketLink } from "./websocket.ts";

export interface RpcServerOptions {
  /**
   * `required`: nothing is allowed before signin. `open`: whoever connects is the owner, which is right for a socket
   * that only the store's owner can reach, and nowhere else.
   */
  readonly signin: "required" | "open";
  /** Web pages that may connect, beside those from this machine. */
  readonly allowedOrigins?: readonly string[];
  readonly limits?: Partial<Limits>;
}

export class RpcServer {
  readonly #peer: RpcPeer;
  readonly #signin: boolean;
  readonly #allowedOrigins: ReadonlySet<string>;
  readonly #limits: Limits;
  readonly #version: string;
  readonly #pace = new SigninPace();
  readonly #upgrades: WebSocketServer;
  readonly #links = new Set<WebSocketLink>();
  readonly #requests = new Set<Promise<void>>();
  #stopping = false;

  private constructor(peer: RpcPeer, version: string, { signin, allowedOrigins = [], limits }: RpcServerOptions) {
    this.#peer = peer;
    this.#version = version;
    this.#signin = signin === "required";
    this.#allowedOrigins = new Set(allowedOrigins);
    this.#limits = { ...LIMITS, ...limits };
    this.#upgrades = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: this.#limits.messageBytes,
      handleProtocols: (offered) => ["cbor", "json"].find((name) => offered.has(name)) ?? false,
    });
  }

  static async create(peer: RpcPeer, options: RpcServerOptions): Promise<RpcServer> {
    const version = await peer.execute(encodeMap([[encode("method"), encode("version")]]));
    return new RpcServer(peer, String(decode(version)), options);
  }

  /** What `version` answers. */
  get version(): string {
    return this.#version;
  }

  /** Answers a request of an HTTP server. */
  request(request: IncomingMessage, response: ServerResponse): void {
    const answered = answer(request, response, {
      limits: this.#limits,
      allowedOrigins: this.#allowedOrigins,
      version: this.#version,
      connect: () =>
        this.#stopping || this.#requests.size > this.#limits.connections ? null : this.#connect(() => {}),
    }).catch(() => {
      // The client went away in the middle of its request.
      response.destroy();
    });
    this.#requests.add(answered);
    void answered.then(() => this.#requests.delete(answered));
  }

  /** Takes over a connection that is to become a WebSocket. */
  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const refusal = this.#refuse(request);
    if (refusal !== null) {
      stream.on("error", () => {});
      stream.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => stream.destroy());
      return;
    }
    this.#upgrades.handleUpgrade(request, stream, head, (socket) => {
      const connection = this.#connect((notification) => link.notify(notification));
      const format = socket.protocol === "cbor" ? cborFormat : jsonFormat;
      const link = new WebSocketLink(socket, stream, { connection, format, limits: this.#limits });
      this.#links.add(link);
      void link.ended.then(() => this.#links.delete(link));
    });
  }

  /**
   * Takes nothing more, lets requests in work end, and closes all connections. What is not done in time is left to end
   * with the process. May be called twice.
   */
  async close(): Promise<void> {
    this.#stopping = true;
    for (const link of this.#links) link.leave();
    const timeout = new AbortController();
    const late = sleep(this.#limits.drainMs, undefined, { signal: timeout.signal }).catch(() => {});
    const done = Promise.all([...[...this.#links].map(({ ended }) => ended), ...this.#requests]);
    await Promise.race([done, late]);
    timeout.abort();
    for (const link of this.#links) link.drop();
  }

  #refuse(request: IncomingMessage): string | null {
    if (pathOf(request) !== "/rpc") return "404 Not Found";
    if (!isAllowedOrigin(request.headers.origin, this.#allowedOrigins)) return "403 Forbidden";
    if (this.#stopping || this.#links.size >= this.#limits.connections) return "503 Service Unavailable";
    return null;
  }

  #connect(notify: (notification: Uint8Array) => void): Connection {
    return new Connection({
      peer: this.#peer,
      signin: this.#signin,
      pace: this.#pace,
      version: this.#version,
      notify,
    });
  }
}
