// One WebSocket: frames in, replies and notifications out. A client that sends faster than it is answered, or reads
// slower than it is told, is slowed down; one that is gone, silent about who it is, or unreadable is cut.
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { Envelope } from "./cbor.ts";
import { type Connection, failureOutcome } from "./connection.ts";
import { PARSE_ERROR, parseError, RpcFailure } from "./failure.ts";
import type { Format } from "./format.ts";
import type { Limits } from "./limits.ts";

/** Why a socket is closed, as the WebSocket protocol numbers it. */
const GOING_AWAY = 1001;
const UNREADABLE = 1007;
const REFUSED = 1008;
/** How long a client may take to agree to the end. */
const CLOSING_MS = 2_000;

export interface LinkOptions {
  readonly connection: Connection;
  readonly format: Format;
  readonly limits: Limits;
}

export class WebSocketLink {
  /** The client's sessions have ended, and what they were doing is done. */
  readonly ended: Promise<void>;
  readonly #socket: WebSocket;
  readonly #connection: Connection;
  readonly #format: Format;
  readonly #limits: Limits;
  #inFlight = 0;
  #heard = true;
  #leaving = false;
  #anonymousBytes = 0;
  #untilSignin: NodeJS.Timeout | null = null;

  /** `stream` is the connection below `socket`, where bytes are seen before a whole frame is there. */
  constructor(socket: WebSocket, stream: Duplex, { connection, format, limits }: LinkOptions) {
    this.#socket = socket;
    this.#connection = connection;
    this.#format = format;
    this.#limits = limits;
    const keepAlive = setInterval(() => this.#checkAlive(), limits.keepAliveMs);
    this.ended = new Promise((resolve) => {
      socket.on("close", () => {
        clearInterval(keepAlive);
        clearTimeout(this.#untilSignin ?? undefined);
        connection.close().then(resolve, resolve);
      });
    });
    stream.on("data", ({ length }: Buffer) => this.#measure(length));
    socket.on("message", (data, isBinary) => void this.#receive(data, isBinary));
    socket.on("pong", () => {
      this.#heard = true;
    });
    // A frame that is too large, or none at all: `ws` has closed the socket with the code for it.
    socket.on("error", () => {});
    this.#watchSignin();
  }

  /** Passes on what a live query notifies. */
  notify(notification: Uint8Array): void {
    this.#send(this.#format.notification(notification));
  }

  /** Takes no more requests, and closes the socket once those in work are answered. */
  leave(): void {
    this.#leaving = true;
    if (this.#inFlight === 0) this.#cut(GOING_AWAY, "the server stops");
  }

  /** Closes it at once. */
  drop(): void {
    this.#socket.terminate();
  }

  async #receive(data: RawData, isBinary: boolean): Promise<void> {
    if (this.#leaving || this.#socket.readyState !== this.#socket.OPEN) return;
    this.#heard = true;
    this.#inFlight++;
    this.#steer();
    let request: Envelope | null = null;
    try {
      if (isBinary !== (this.#format.name === "cbor")) throw parseError(`it is no ${this.#format.name}`);
      request = this.#format.read(data as Buffer);
      this.#send(this.#format.reply(request, await this.#connection.handle(request)));
      this.#watchSignin();
      if (this.#connection.refusedSignins >= this.#limits.refusedSignins)
        this.#cut(REFUSED, "too many refused signins");
    } catch (thrown) {
      this.#send(this.#format.reply(request, failureOutcome(thrown)));
      if (thrown instanceof RpcFailure && thrown.code === PARSE_ERROR) this.#cut(UNREADABLE, thrown.message);
    } finally {
      this.#inFlight--;
      this.#steer();
      if (this.#leaving) this.leave();
    }
  }

  #send(frame: Uint8Array): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(frame, { binary: this.#format.name === "cbor" }, () => this.#steer());
    if (this.#socket.bufferedAmount > this.#limits.maxUnreadBytes) this.#socket.terminate();
  }

  /** Reads on, or lets requests wait in the socket. */
  #steer(): void {
    const { inFlight, unreadBytes } = this.#limits;
    if (this.#inFlight >= inFlight || this.#socket.bufferedAmount > unreadBytes) this.#socket.pause();
    else if (this.#socket.isPaused) this.#socket.resume();
  }

  #measure(bytes: number): void {
    if (this.#connection.admitted) this.#anonymousBytes = 0;
    else this.#anonymousBytes += bytes;
    if (this.#anonymousBytes > this.#limits.anonymousBytes) this.#socket.terminate();
  }

  #watchSignin(): void {
    if (this.#connection.admitted) {
      clearTimeout(this.#untilSignin ?? undefined);
      this.#untilSignin = null;
    } else {
      this.#untilSignin ??= setTimeout(() => this.#cut(REFUSED, "nobody has signed in"), this.#limits.signinMs);
    }
  }

  #checkAlive(): void {
    // What a paused socket has received is not seen.
    if (!this.#heard && !this.#socket.isPaused) {
      this.#socket.terminate();
      return;
    }
    this.#heard = false;
    this.#socket.ping();
  }

  #cut(code: number, reason: string): void {
    // The answer is read also where requests wait.
    this.#socket.resume();
    this.#socket.close(code, reason);
    const timer = setTimeout(() => this.#socket.terminate(), CLOSING_MS);
    this.#socket.on("close", () => clearTimeout(timer));
  }
}
