// One connection to a SurrealDB server, or to the daemon's socket, from its opening to its end. It never reconnects: what was sent is sent once,
// and whoever holds it opens another. The SDK sends calls again after a reconnect, waits for ever for replies that do
// not come, and renews tokens that live for longer than a timer can count, thousands of times; none of it is used.
import { connect } from "node:net";
import {
  type DatabaseAuth,
  type DriverContext,
  HttpEngine,
  type NamespaceAuth,
  type RootAuth,
  Surreal,
  WebSocketEngine,
} from "surrealdb";
import WebSocket from "ws";
import { type AuthLevel, type Credentials, DATABASE, NAMESPACE, type ServedTarget } from "../config/store-target.ts";
import { toError } from "../errors.ts";
import { withDeadline } from "./deadline.ts";

/** SurrealDB's limit for one message. */
const MAX_MESSAGE_BYTES = 128 * 1024 * 1024;

/** How long closing may take before the connection is cut. */
const CLOSE_MS = 1_000;

export class Connection {
  readonly surreal: Surreal;
  readonly #cut: () => void;
  readonly #listeners = new Set<(error: Error) => void>();
  #lostBy: Error | null = null;

  private constructor(surreal: Surreal, cut: () => void, lost: Promise<never>) {
    this.surreal = surreal;
    this.#cut = cut;
    lost.catch((error: Error) => {
      this.#lostBy = error;
      for (const listener of this.#listeners) listener(error);
    });
  }

  /**
   * Tells once when the connection is lost, at once if it is; never for HTTP, which has none. Returns what ends the
   * telling: a promise of the loss that each call raced with would keep every answer for as long as the connection lives.
   */
  onLost(listener: (error: Error) => void): () => void {
    if (this.#lostBy !== null) listener(this.#lostBy);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Connects, signs in and chooses the database, all within `deadlineMs`. Throws what the SDK or the server says. */
  static async open(target: ServedTarget, level: AuthLevel, deadlineMs: number): Promise<Connection> {
    const way = wayTo(target);
    let socket: WebSocket | null = null;
    let lose: (error: Error) => void = () => {};
    const lost = new Promise<never>((_, reject) => {
      lose = reject;
    });
    lost.catch(() => {}); // who waits for an answer is told
    // The SDK would fail on a frame that is no message in a way that ends the process.
    class Socket extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol, {
          maxPayload: MAX_MESSAGE_BYTES,
          perMessageDeflate: false,
          handshakeTimeout: deadlineMs,
          ...(way.socket === null ? {} : { createConnection: () => connect(way.socket!) }),
        });
        socket = this;
        this.on("close", (code, reason) =>
          lose(new Error(`the connection was closed (${[code, String(reason)].filter(Boolean).join(": ")})`)),
        );
        this.on("error", (error) => lose(error));
      }

      dispatchEvent(): boolean {
        lose(new Error("the server sent something that is no answer"));
        this.terminate();
        return true;
      }
    }
    const tokens = new Tokens();
    const surreal = new Surreal({
      websocketImpl: Socket as unknown as typeof globalThis.WebSocket,
      fetchImpl: (input, init) => fetch(input, tokens.authorize(init)),
      engines: {
        ws: (context) => new KeepingWebSocketEngine(context, tokens),
        wss: (context) => new KeepingWebSocketEngine(context, tokens),
        http: (context) => new KeepingHttpEngine(context, tokens),
        https: (context) => new KeepingHttpEngine(context, tokens),
      },
    });
    const cut = () => socket?.terminate();
    surreal.subscribe("error", () => {}); // told by the call that fails
    const connected = async () => {
      await surreal.connect(way.url, {
        reconnect: false,
        ...(way.credentials === null ? {} : { authentication: () => authOf(way, way.credentials!, level) }),
      });
      await surreal.use({ namespace: way.namespace, database: way.database });
      // Who has not signed in is let in, and turned away by the first query.
      if (way.credentials === null) await surreal.query("RETURN true").collect();
    };
    try {
      await withDeadline(Promise.race([connected(), lost]), deadlineMs, "the server did not answer");
    } catch (thrown) {
      cut();
      throw toError(thrown);
    }
    return new Connection(surreal, cut, lost);
  }

  /** Ends it at once: calls without an answer get none any more. */
  cut(): void {
    this.#cut();
    this.surreal.close().catch(() => {}); // it is gone already
  }

  async close(): Promise<void> {
    await withDeadline(this.surreal.close(), CLOSE_MS, "").catch(() => {}); // cut below
    this.#cut();
  }
}

/** What a connection needs to know of a target. */
interface Way {
  readonly url: string;
  /** A Unix socket in place of the URL's address. */
  readonly socket: string | null;
  readonly credentials: Credentials | null;
  readonly namespace: string;
  readonly database: string;
}

function wayTo(target: ServedTarget): Way {
  if (target.kind === "remote") return { ...target, socket: null };
  const { socket } = target;
  return { url: "ws://localhost/rpc", socket, credentials: null, namespace: NAMESPACE, database: DATABASE };
}

function authOf(
  { namespace, database }: Way,
  { username, password }: Credentials,
  level: AuthLevel,
): RootAuth | NamespaceAuth | DatabaseAuth {
  if (level === "root") return { username, password };
  return level === "namespace" ? { namespace, username, password } : { namespace, database, username, password };
}

type TokenPair = Awaited<ReturnType<WebSocketEngine["signin"]>>;

/** What the SDK is told instead of a token, so that it sets no timer for it. */
const KEPT = "kept";

/** The token of a connection, out of the SDK's sight. */
class Tokens {
  #access: string | null = null;

  keep(tokens: TokenPair): TokenPair {
    this.#access = tokens.access;
    return { access: KEPT } as TokenPair;
  }

  /** A request with the token in place of what the SDK knows. */
  authorize(init: RequestInit | undefined): RequestInit {
    const headers = new Headers(init?.headers);
    if (headers.get("Authorization") === `Bearer ${KEPT}`) headers.set("Authorization", `Bearer ${this.#access}`);
    return { ...init, headers };
  }
}

class KeepingWebSocketEngine extends WebSocketEngine {
  readonly #tokens: Tokens;

  constructor(context: DriverContext, tokens: Tokens) {
    super(context);
    this.#tokens = tokens;
  }

  override async signin(...parameters: Parameters<WebSocketEngine["signin"]>) {
    return this.#tokens.keep(await super.signin(...parameters));
  }
}

class KeepingHttpEngine extends HttpEngine {
  readonly #tokens: Tokens;

  constructor(context: DriverContext, tokens: Tokens) {
    super(context);
    this.#tokens = tokens;
  }

  override async signin(...parameters: Parameters<HttpEngine["signin"]>) {
    return this.#tokens.keep(await super.signin(...parameters));
  }
}
