/** The embedded engine, served to real clients over real sockets on this machine. One for each test file. */
import { once } from "node:events";
import { join } from "node:path";
import { CborCodec, Surreal, type SystemAuth } from "surrealdb";
import WebSocket from "ws";
import { type Listening, listen } from "../../src/serve/listen.ts";
import { RpcServer, type RpcServerOptions } from "../../src/serve/rpc-server.ts";
import { openEngine, rpcPeer } from "../../src/store/engine.ts";
import type { RpcPeer } from "../../src/store/rpc-engine.ts";
import { scratchFolder } from "./workbench.ts";

/** What the raw protocol answers. */
export interface Reply {
  readonly id?: unknown;
  readonly session?: unknown;
  readonly result?: unknown;
  readonly error?: { code: number; message: string; kind?: string; details?: unknown };
}

export const codec = CborCodec.DEFAULT;

export const VIEWER = { username: "viewer", password: "v" };
export const EDITOR = { username: "editor", password: "e" };
export const OWNER = { username: "owner", password: "o" };
export const ROOT = { username: "root", password: "r" };
const PLACE = { namespace: "nabi", database: "conversations" };

/** How a user of riffd's database signs in. */
export function inDatabase(user: { username: string; password: string }): SystemAuth {
  return { ...PLACE, ...user };
}

/** The same for the raw protocol. */
export function credentials({ username, password }: { username: string; password: string }) {
  return { ns: PLACE.namespace, db: PLACE.database, user: username, pass: password };
}

/** An engine with users of every role, and a table `thing` that holds `thing:1`. */
export async function openServedEngine(): Promise<{ owner: Surreal; peer: RpcPeer }> {
  const dir = join(scratchFolder(), "store");
  const owner = await openEngine(dir);
  await owner
    .query(
      `DEFINE USER viewer ON DATABASE PASSWORD 'v' ROLES VIEWER;
       DEFINE USER editor ON DATABASE PASSWORD 'e' ROLES EDITOR;
       DEFINE USER owner ON DATABASE PASSWORD 'o' ROLES OWNER;
       DEFINE USER root ON ROOT PASSWORD 'r' ROLES OWNER;
       DEFINE TABLE thing; CREATE thing:1 SET n = 1`,
    )
    .collect();
  return { owner, peer: rpcPeer(dir) };
}

export class Serving {
  readonly port: number;
  readonly server: RpcServer;
  readonly #listening: Listening;
  readonly #clients: { close(): unknown }[] = [];

  private constructor(server: RpcServer, listening: Listening) {
    this.server = server;
    this.port = listening.port;
    this.#listening = listening;
  }

  static async start(peer: RpcPeer, options: Partial<RpcServerOptions> = {}): Promise<Serving> {
    const server = await RpcServer.create(peer, { signin: "required", ...options });
    return new Serving(server, await listen(server, { host: "127.0.0.1", port: 0 }));
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/rpc`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The official SDK, connected; signed in where there is somebody to be. */
  async client(user: SystemAuth | null, url = this.url): Promise<Surreal> {
    const client = new Surreal({ websocketImpl: WebSocket as never });
    this.#clients.push(client);
    await client.connect(url, { ...PLACE, reconnect: false, ...(user === null ? {} : { authentication: user }) });
    return client;
  }

  /** A client that can say anything. */
  async raw(protocol: "cbor" | "json" | null = "cbor", options: WebSocket.ClientOptions = {}): Promise<RawClient> {
    const socket = new WebSocket(this.url, protocol ?? [], options);
    const client = new RawClient(socket);
    this.#clients.push(socket);
    await once(socket, "open");
    return client;
  }

  async closeClients(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client.close();
  }

  async close(): Promise<void> {
    await this.closeClients();
    await this.#listening.close();
  }
}

export class RawClient {
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  /** Replies, in the order in which they come. */
  readonly #replies = new Inbox();
  readonly #notifications = new Inbox();
  #nextId = 1;

  constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => {
        this.#replies.end();
        this.#notifications.end();
        resolve({ code, reason: reason.toString() });
      });
    });
    socket.on("error", () => {});
    socket.on("message", (data: Buffer, isBinary) => {
      const frame = (isBinary ? codec.decode(data) : JSON.parse(data.toString())) as Reply;
      const isNotification = frame.id === undefined && frame.error === undefined;
      (isNotification ? this.#notifications : this.#replies).put(frame);
    });
  }

  get #isCbor(): boolean {
    return this.socket.protocol === "cbor";
  }

  /** The next reply that was not taken yet. */
  next(): Promise<Reply> {
    return this.#replies.take();
  }

  /** The next notification of a live query that was not taken yet. */
  notification(): Promise<Reply> {
    return this.#notifications.take();
  }

  /** Sends a request and returns the next reply. */
  async call(method: string, params?: unknown[], more: Record<string, unknown> = {}): Promise<Reply> {
    this.send({ id: this.#nextId++, method, ...(params && { params }), ...more });
    return await this.next();
  }

  send(request: unknown): void {
    this.socket.send(this.#isCbor ? codec.encode(request) : JSON.stringify(request));
  }
}

class Inbox {
  readonly #held: Reply[] = [];
  readonly #waiting: { resolve(reply: Reply): void; reject(error: Error): void }[] = [];

  put(reply: Reply): void {
    const waiter = this.#waiting.shift();
    if (waiter) waiter.resolve(reply);
    else this.#held.push(reply);
  }

  take(): Promise<Reply> {
    const reply = this.#held.shift();
    if (reply) return Promise.resolve(reply);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  end(): void {
    for (const { reject } of this.#waiting) reject(new Error("the connection was closed"));
  }
}
