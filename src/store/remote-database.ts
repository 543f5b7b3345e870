// A SurrealDB server as a database. It goes away and comes back: a call that may run twice is made again on a new
// connection, as long as patience lasts; one that may not is told as unanswered, and whoever made it finds out.
import PQueue from "p-queue";
import { HttpConnectionError, type Surreal } from "surrealdb";
import { Backoff } from "../backoff.ts";
import { type AuthLevel, locationOf, type RemoteTarget } from "../config/store-target.ts";
import { RiffError, systemCode, toError } from "../errors.ts";
import { interrupted } from "../sync/look.ts";
import { STEP_LIMITS } from "../sync/steps.ts";
import { Connection } from "./connection.ts";
import { type CallLimits, type Database, Unanswered } from "./database.ts";
import { DeadlineExceeded, withDeadline } from "./deadline.ts";
import { despiteConflicts, isDenied, run } from "./transaction.ts";

/** How long things may take, in milliseconds. */
export interface Patience {
  /** For a server that has not answered yet in this process. */
  readonly first: number;
  /** For one that did and is away now. */
  readonly away: number;
  /** For one attempt to connect. */
  readonly connect: number;
  /** For one call, before the connection is tried out; a call that is only slow gets more. */
  readonly call: number;
}

const PATIENCE: Patience = { first: 5_000, away: 60_000, connect: 10_000, call: 20_000 };

/** Told once when the server goes away, and once when it is back. */
export interface RemoteEvents {
  away(location: string, error: Error): void;
  back(location: string): void;
}

/** Calls in flight. */
const MAX_CALLS = 8;
/** The last attempt to connect gets this long, however little patience is left. */
const MIN_CONNECT_MS = 1_000;
/** A call that is only slow gets this many times its deadline. */
const SLOW_FACTOR = 5;

/** A WebSocket message may have 128 MiB, the body of an HTTP call 4 MiB. */
const WS_LIMITS: CallLimits = { sessions: 6, step: STEP_LIMITS, listRows: 10_000, mayDeny: true };
const HTTP_LIMITS: CallLimits = { sessions: 6, step: { bytes: 256 * 1024, rows: 250 }, listRows: 1_000, mayDeny: true };

export class RemoteDatabase implements Database {
  readonly location: string;
  readonly limits: CallLimits;
  readonly #target: RemoteTarget;
  readonly #patience: Patience;
  readonly #events: RemoteEvents;
  readonly #signal: AbortSignal;
  readonly #queue = new PQueue({ concurrency: MAX_CALLS });
  #connection: Connection | null = null;
  #connecting: Promise<Connection> | null = null;
  #level: AuthLevel | null;
  /** It has answered in this process. */
  #isKnown = false;
  #isAway = false;

  private constructor(target: RemoteTarget, events: RemoteEvents, signal: AbortSignal, patience: Patience) {
    this.location = locationOf(target);
    this.limits = target.url.startsWith("http") ? HTTP_LIMITS : WS_LIMITS;
    this.#target = target;
    this.#events = events;
    this.#signal = signal;
    this.#patience = patience;
    this.#level = target.level;
  }

  /** Connects. Throws RIFF_STORE_UNREACHABLE, RIFF_CREDENTIALS_REFUSED, or RIFF_INTERRUPTED. */
  static async open(
    target: RemoteTarget,
    events: RemoteEvents,
    signal: AbortSignal,
    patience: Patience = PATIENCE,
  ): Promise<RemoteDatabase> {
    const database = new RemoteDatabase(target, events, signal, patience);
    await database.#connected();
    return database;
  }

  get surreal(): Surreal {
    if (this.#connection === null) throw new Unanswered("the server is away");
    return this.#connection.surreal;
  }

  async run<T extends unknown[]>(text: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<T> {
    const deadline = Date.now() + this.#patience.away;
    for (;;) {
      try {
        return await despiteConflicts(() => this.runOnce<T>(text, parameters));
      } catch (thrown) {
        if (!(thrown instanceof Unanswered)) throw thrown;
        if (Date.now() >= deadline) throw unreachable(this.location, thrown);
      }
    }
  }

  async runOnce<T extends unknown[]>(text: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<T> {
    return this.#queue.add(async () => {
      const connection = await this.#connected();
      try {
        return await this.#answered(connection, run<T>(connection.surreal, text, { ...parameters }));
      } catch (thrown) {
        const error = toError(thrown);
        if (!isUnanswered(error)) throw error;
        this.#lose(connection, error);
        throw new Unanswered(error.message, { cause: error });
      }
    });
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    await connection?.close();
  }

  /** Waits for an answer: for a slow server longer, for a connection on which nothing comes any more not. */
  async #answered<T>(connection: Connection, call: Promise<T>): Promise<T> {
    const { call: deadline } = this.#patience;
    let stopListening = () => {};
    const lost = new Promise<never>((_, reject) => {
      stopListening = connection.onLost(reject);
    });
    const answer = Promise.race([call, lost]);
    try {
      for (let waited = 1; ; waited++) {
        try {
          return await withDeadline(answer, deadline, "no answer");
        } catch (thrown) {
          if (!(thrown instanceof DeadlineExceeded) || waited >= SLOW_FACTOR) throw thrown;
          await this.#probe(connection); // it is alive: the call is slow
        }
      }
    } finally {
      stopListening();
    }
  }

  async #probe(connection: Connection): Promise<void> {
    try {
      await withDeadline(connection.surreal.health(), this.#patience.call, "no answer");
    } catch (thrown) {
      throw new DeadlineExceeded(toError(thrown).message);
    }
  }

  #lose(connection: Connection, error: Error): void {
    if (this.#connection !== connection) return; // another call has noticed it
    this.#connection = null;
    connection.cut();
    this.#tellAway(error);
  }

  #tellAway(error: Error): void {
    if (this.#isAway || !this.#isKnown) return;
    this.#isAway = true;
    this.#events.away(this.location, error);
  }

  async #connected(): Promise<Connection> {
    if (this.#connection !== null) return this.#connection;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #connect(): Promise<Connection> {
    const deadline = Date.now() + (this.#isKnown ? this.#patience.away : this.#patience.first);
    const backoff = new Backoff({ signal: this.#signal });
    for (;;) {
      if (this.#signal.aborted) throw interrupted();
      try {
        const connection = await untilAborted(this.#signIn(deadline), this.#signal);
        connection.onLost((error) => this.#lose(connection, error));
        this.#connection = connection;
        this.#isKnown = true;
        if (this.#isAway) {
          this.#isAway = false;
          this.#events.back(this.location);
        }
        return connection;
      } catch (thrown) {
        const error = toError(thrown);
        if (error instanceof RiffError) throw error;
        if (Date.now() >= deadline || isHopeless(error)) throw unreachable(this.location, error);
        this.#tellAway(error);
        await backoff.wait(deadline - Date.now());
      }
    }
  }

  /** Connects at the level where the user is known; the first time they are tried in turn. */
  async #signIn(deadline: number): Promise<Connection> {
    const within = Math.min(this.#patience.connect, Math.max(MIN_CONNECT_MS, deadline - Date.now()));
    const levels: readonly AuthLevel[] =
      this.#level !== null || this.#target.credentials === null
        ? [this.#level ?? "root"]
        : ["root", "namespace", "database"];
    let refused: Error | null = null;
    for (const level of levels) {
      try {
        const connection = await Connection.open(this.#target, level, within);
        this.#level = level;
        return connection;
      } catch (thrown) {
        const error = toError(thrown);
        if (!isRefusal(error)) throw error;
        refused = error;
      }
    }
    throw refusal(this.location, this.#target, refused!);
  }
}

/** What `work` gives, or RIFF_INTERRUPTED as soon as the signal is aborted; then nobody waits for the work. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(interrupted());
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
    work.catch(() => {});
  }
}

/** No answer came, and another connection may bring one. Anything else is what the server says. */
function isUnanswered(error: Error): boolean {
  if (error instanceof RiffError) return false;
  if (error instanceof DeadlineExceeded) return true;
  if (error instanceof HttpConnectionError) return error.status >= 500 || error.status === 429 || error.status === 401;
  return (
    ["ConnectionUnavailableError", "CallTerminatedError", "UnexpectedConnectionError"].includes(error.name) ||
    /the connection was closed|is no answer|fetch failed|session has expired|token has expired/i.test(
      `${error.message} ${toError(error.cause).message}`,
    ) ||
    isSystemError(error)
  );
}

/** ECONNRESET, EPIPE, ENETUNREACH, … */
function isSystemError(error: Error): boolean {
  return /^E[A-Z]+$/.test(systemCode(error) ?? "");
}

/** The server knows who asks, and says no. */
function isRefusal(error: Error): boolean {
  if (error instanceof HttpConnectionError) return error.status === 401 || error.status === 403;
  return isDenied(error) || /authentication|sign ?in|not allowed|invalid (username|credentials)/i.test(error.message);
}

/** Trying again would end in the same way. */
function isHopeless(error: Error): boolean {
  return (
    error.name === "UnsupportedVersionError" ||
    /ENOTFOUND|CERT|self.signed|certificate|Unexpected server response: (?!5\d\d|429)/i.test(
      `${error.message} ${toError(error.cause).message}`,
    )
  );
}

function refusal(location: string, { credentials }: RemoteTarget, error: Error): RiffError {
  return new RiffError(
    "RIFF_CREDENTIALS_REFUSED",
    credentials === null
      ? `The store at ${location} wants a user: ${error.message}`
      : `The store at ${location} does not accept the user "${credentials.username}" with this password: ${error.message}`,
    "Set SURREALDB_USER and SURREALDB_PASS, and SURREALDB_AUTH_LEVEL (root, namespace or database) to where the user is defined.",
    error,
  );
}

const REACH_HINT =
  "Check that the server runs (`riffd serve`, or `surreal start`) and its URL. If a proxy lets no WebSocket through, give its http:// URL. What was committed is safe.";
const TRUST_HINT = "Name the certificate of whoever signed the server's in NODE_EXTRA_CA_CERTS.";

function unreachable(location: string, error: Error): RiffError {
  const cause = error.cause instanceof Error && !error.message.includes(error.cause.message) ? error.cause : null;
  const why = cause === null ? error.message : `${error.message} (${cause.message})`;
  return new RiffError(
    "RIFF_STORE_UNREACHABLE",
    `The store at ${location} cannot be reached: ${why}`,
    /certificate/i.test(why) ? TRUST_HINT : REACH_HINT,
    error,
  );
}
