// A TCP proxy between a client and a server that misbehaves as networks do, when told to.
import { EventEmitter, once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class FaultyProxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #pairs = new Set<{ client: Socket; server: Socket }>();
  readonly #progress = new EventEmitter();
  /** Bytes that came from either side. */
  #bytes = 0;
  /** Added to each direction, in milliseconds. */
  delayMs = 0;
  /** Nothing is forwarded any more, in either direction, and nothing is closed. */
  stalled = false;
  /** Connections are accepted and closed at once. */
  refusing = false;
  #onReply: ((reply: Buffer, client: Socket) => boolean) | null = null;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
  }

  /** Listens on a free port of the loopback, in front of another one. */
  static async listen(target: number): Promise<FaultyProxy> {
    const server = createServer();
    const proxy = new FaultyProxy(server, target);
    server.on("connection", (client) => proxy.#join(client));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends all connections at once, without a word. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  /** The next thing the server says is lost, and the connection with it: what was asked for is done. */
  cutBeforeReply(): Promise<void> {
    return this.#atReply((_, client) => {
      client.resetAndDestroy();
      return false;
    });
  }

  /** The next thing the server says comes that much later; what it says after it waits. */
  delayReply(ms: number): Promise<void> {
    return this.#atReply((reply, client) => {
      client.cork();
      client.write(reply);
      setTimeout(() => client.uncork(), ms);
      return false;
    });
  }

  /** Waits until so many bytes have come in all. */
  async passed(bytes: number): Promise<void> {
    while (this.#bytes < bytes) await once(this.#progress, "bytes");
  }

  /** Waits until somebody is connected. */
  async joined(): Promise<void> {
    while (this.#pairs.size === 0) await once(this.#server, "connection");
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #atReply(act: (reply: Buffer, client: Socket) => boolean): Promise<void> {
    return new Promise((done) => {
      this.#onReply = (reply, client) => {
        this.#onReply = null;
        done();
        return act(reply, client);
      };
    });
  }

  #join(client: Socket): void {
    client.on("error", () => {}); // what the other side does is what is tested
    if (this.refusing) {
      client.destroy();
      return;
    }
    const server = connect(this.#target, "127.0.0.1");
    server.on("error", () => {});
    const pair = { client, server };
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    client.on("close", end);
    server.on("close", end);
    client.on("data", (data) => this.#forward(data, server));
    server.on("data", (data) => {
      if (this.#onReply !== null && !this.stalled && !this.#onReply(data, client)) return;
      this.#forward(data, client);
    });
  }

  #forward(data: Buffer, to: Socket): void {
    this.#bytes += data.length;
    this.#progress.emit("bytes");
    if (this.stalled) return;
    if (this.delayMs === 0) to.write(data);
    else setTimeout(() => to.write(data), this.delayMs);
  }
}
