// A SurrealDB server, or the daemon, as a database. It goes away and comes back: a call that may run twice is made again on a new
// connection, as long as patience lasts; one that may not is told as unanswered, and whoever made it finds out.
import PQueue from "p-queue";
import { HttpConnectionError, type Surreal } from "surrealdb";
import { Backoff } from "../backoff.ts";
import { type AuthLevel, type Credentials, locationOf, type ServedTarget } from "../config/store-target.ts";
import { RiffError, systemCode, toError } from "../errors.ts";
import { interrupted } from "../sync/look.ts";
import { STEP_LIMITS } from "../sync/steps.ts";
import { Connection } from "./connection.ts";
import { type CallLimits, type Database, Unanswered } from "./database.ts";
import { DeadlineExceeded, withDeadline } from "./deadline.ts";
import { beginTransaction, Moment } from "./moment.ts";
import { Silence, type SilenceLimits } from "./silence.ts";
import { despiteConflicts, isDenied, run } from "./transaction.ts";

/** How long things may take, in milliseconds; for ever, where it is infinite. */
export interface Patience {
  /** For a server that has not answered yet in this process. */
  readonly first: number;
  /** For one that did and is away now. */
  readonly away: number;
  /** For one attempt to connect. */
  readonly connect: number;
  /** For one call, before the connection is tried out; a call that is only slow gets more. */
  readonly call: number;
  /** A server that does not say in this time that it is there is away; absent: only calls notice. */
  readonly health?: SilenceLimits;
}

const PATIENCE: Patience = { first: 5_000, away: 60_000, connect: 10_000, call: 20_000 };
/** A daemon that answers may still be opening its store. */
const DAEMON_PATIENCE: Patience = { ...PATIENCE, first: 60_000 };

/** Of who has time: a server that is away, or not there yet, is waited for; that it went away is noticed by itself. */
export const ENDLESS_PATIENCE: Patience = {
  ...PATIENCE,
  first: Number.POSITIVE_INFINITY,
  away: Number.POSITIVE_INFINITY,
  health: { silence: 15_000, answer: 10_000 },
};

/** Told once when the server goes away, and once when it is back. */
export interface RemoteEvents {
  away(location: string, error: Error): void;
  back(location: string): void;
}

/** Calls in flight. */
const MAX_CALLS = 8;
/** The last attempt to connect gets this long, however little patience is left. */
const MIN_CONNECT_MS = 1_000;
/** When everything is to end, what is in work may still be answered for this long. */
const HURRY_MS = 5_000;
/** A call that is only slow gets this many times its deadline. */
const SLOW_FACTOR = 5;

/** A WebSocket message may have 128 MiB, the body of an HTTP call 4 MiB. */
const WS_LIMITS: CallLimits = { sessions: 6, step: STEP_LIMITS, listRows: 10_000, mayDeny: true };
/** Whoever reaches the daemon's socket is the store's owner. */
const DAEMON_LIMITS: CallLimits = { ...WS_LIMITS, mayDeny: false };
const HTTP_LIMITS: CallLimits = { sessions: 6, step: { bytes: 256 * 1024, rows: 250 }, listRows: 1_000, mayDeny: true };

export class RemoteDatabase implements Database {
  readonly location: string;
  readonly limits: CallLimits;
  readonly #target: ServedTarget;
  readonly #patience: Patience;
  readonly #events: RemoteEvents;
  readonly #signal: AbortSignal;
  readonly #queue = new PQueue({ concurrency: MAX_CALLS });
  /** Those that wait for an answer: told when it is too late for one. */
  readonly #waiting = new Set<() => void>();
  readonly #hurry = () => {
    this.#untilTooLate = setTimeout(() => {
      this.#isTooLate = true;
      for (const tell of this.#waiting) tell();
    }, HURRY_MS).unref();
  };
  #untilTooLate: NodeJS.Timeout | undefined;
  #isTooLate = false;
  #connection: Connection | null = null;
  #connecting: Promise<Connection> | null = null;
  #level: AuthLevel | null;
  /** It has answered in this process. */
  #isKnown = false;
  #isAway = false;
  #silence: Silence | null = null;

  private constructor(target: ServedTarget, events: RemoteEvents, signal: AbortSignal, patience: Patience) {
    this.location = locationOf(target);
    this.limits = limitsOf(target);
    this.#target = target;
    this.#events = events;
    this.#signal = signal;
    this.#patience = patience;
    this.#level = target.kind === "remote" ? target.level : null;
  }

  /** Connects. Throws RIFF_STORE_UNREACHABLE, RIFF_CREDENTIALS_REFUSED, or RIFF_INTERRUPTED. */
  static async open(
    target: ServedTarget,
    events: RemoteEvents,
    signal: AbortSignal,
    patience: Patience = target.kind === "daemon" ? DAEMON_PATIENCE : PATIENCE,
  ): Promise<RemoteDatabase> {
    const database = new RemoteDatabase(target, events, signal, patience);
    signal.addEventListener("abort", database.#hurry, { once: true });
    await database.#connected();
    const { health } = patience;
    if (health !== undefined) database.#silence = new Silence(health.silence, () => database.#askForHealth(health));
    return database;
  }

  get surreal(): Surreal {
    if (this.#connection === null) throw new Unanswered("the server is away");
    return this.#connection.surreal;
  }

  async run<T extends unknown[]>(text: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<T> {
    return this.#patiently(() => despiteConflicts(() => this.runOnce<T>(text, parameters)));
  }

  async runOnce<T extends unknown[]>(text: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<T> {
    return this.#queue.add(async () => {
      const connection = await this.#connected();
      return this.#call(connection, () => run<T>(connection.surreal, text, { ...parameters }));
    });
  }

  atOneMoment<T>(read: (moment: Database) => Promise<T>): Promise<T> {
    return this.#patiently(async () => {
      const connection = await this.#connected();
      const transaction = await this.#call(connection, () => beginTransaction(connection.surreal));
      if (transaction === null) return read(this);
      try {
        return await read(
          new Moment(this, (text, parameters) =>
            this.#queue.add(() => this.#call(connection, () => run(transaction, text, { ...parameters }))),
          ),
        );
      } finally {
        // Where the connection is gone, the transaction is too.
        if (connection === this.#connection) await this.#call(connection, () => transaction.cancel()).catch(() => {});
      }
    });
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    this.#silence?.close();
    this.#signal.removeEventListener("abort", this.#hurry);
    clearTimeout(this.#untilTooLate);
    await connection?.close();
  }

  /** Makes a call again that got no answer, as long as patience lasts. */
  async #patiently<T>(call: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + this.#patience.away;
    for (;;) {
      try {
        return await call();
      } catch (thrown) {
        if (!(thrown instanceof Unanswered)) throw thrown;
        if (Date.now() >= deadline) throw unreachable(this.#target, thrown);
      }
    }
  }

  /** One call on a connection, which is lost where no answer comes. Throws Unanswered then. */
  async #call<T>(connection: Connection, call: () => Promise<T>): Promise<T> {
    try {
      const answer = await this.#answered(connection, call());
      this.#heard(connection);
      return answer;
    } catch (thrown) {
      const error = toError(thrown);
      if (!isUnanswered(error)) {
        if (!(error instanceof RiffError)) this.#heard(connection); // what the server says
        throw error;
      }
      this.#lose(connection, error);
      throw new Unanswered(error.message, { cause: error });
    }
  }

  /** Waits for an answer: for a slow server longer, for a connection on which nothing comes any more not. */
  async #answered<T>(connection: Connection, call: Promise<T>): Promise<T> {
    const { call: deadline } = this.#patience;
    let stopListening = () => {};
    let stopTelling = () => {};
    const lost = new Promise<never>((_, reject) => {
      stopListening = connection.onLost(reject);
      stopTelling = this.#whenTooLate(() => reject(interrupted()));
    });
    const answer = Promise.race([call, lost]);
    try {
      for (let waited = 1; ; waited++) {
        try {
          return await withDeadline(answer, deadline, "no answer");
        } catch (thrown) {
          if (!(thrown instanceof DeadlineExceeded) || waited >= SLOW_FACTOR) throw thrown;
          await Promise.race([this.#probe(connection), lost]); // it is alive: the call is slow
        }
      }
    } finally {
      stopListening();
      stopTelling();
    }
  }

  /** Tells when an answer has been waited for long enough since everything was to end. Returns what ends the telling. */
  #whenTooLate(tell: () => void): () => void {
    if (this.#isTooLate) tell();
    this.#waiting.add(tell);
    return () => this.#waiting.delete(tell);
  }

  async #probe(connection: Connection): Promise<void> {
    try {
      await withDeadline(connection.surreal.health(), this.#patience.call, "no answer");
    } catch (thrown) {
      throw new DeadlineExceeded(toError(thrown).message);
    }
  }

  /** Where it does not answer in time it is away; the connection is given up only when it goes on saying nothing. */
  async #askForHealth({ answer: ms }: SilenceLimits): Promise<void> {
    const connection = this.#connection;
    if (connection === null) return; // it is known to be away
    const answer = connection.surreal.health();
    try {
      await withDeadline(answer, ms, "no answer").catch((thrown) => {
        if (!(thrown instanceof DeadlineExceeded)) throw thrown;
        if (connection === this.#connection) this.#tellAway(thrown);
        return withDeadline(answer, this.#patience.call, "no answer");
      });
      this.#heard(connection);
    } catch (thrown) {
      const error = toError(thrown);
      if (isUnanswered(error)) this.#lose(connection, error);
      else this.#heard(connection);
    }
  }

  #heard(connection: Connection): void {
    if (connection !== this.#connection) return;
    this.#silence?.heard();
    this.#tellBack();
  }

  #lose(connection: Connection, error: Error): void {
    if (this.#connection !== connection) return; // another call has noticed it
    this.#connection = null;
    connection.cut();
    this.#tellAway(error);
  }

  /** Trying again would end in the same way: a server that has never answered is not one, or its name is not known. */
  #isHopeless(error: Error): boolean {
    if (this.#isKnown) return false;
    return isRefusedForGood(error) || (Number.isFinite(this.#patience.first) && isUnknownName(error));
  }

  #tellAway(error: Error): void {
    if (this.#isAway || (!this.#isKnown && Number.isFinite(this.#patience.first))) return;
    this.#isAway = true;
    this.#events.away(this.location, error);
  }

  #tellBack(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#events.back(this.location);
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
        this.#heard(connection);
        return connection;
      } catch (thrown) {
        const error = toError(thrown);
        if (error instanceof RiffError) throw error;
        const isGone = !this.#isKnown && this.#target.kind === "daemon" && isSystemError(error);
        if (Date.now() >= deadline || isGone || this.#isHopeless(error)) throw unreachable(this.#target, error);
        this.#tellAway(error);
        await backoff.wait(deadline - Date.now());
      }
    }
  }

  /** Connects at the level where the user is known; the first time they are tried in turn. */
  async #signIn(deadline: number): Promise<Connection> {
    const within = Math.min(this.#patience.connect, Math.max(MIN_CONNECT_MS, deadline - Date.now()));
    const levels: readonly AuthLevel[] =
      this.#level !== null || credentialsOf(this.#target) === null
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
    throw refusal(this.#target, refused!);
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

function isRefusedForGood(error: Error): boolean {
  return (
    error.name === "UnsupportedVersionError" ||
    /CERT|self.signed|certificate|Unexpected server response: (?!5\d\d|429)/i.test(
      `${error.message} ${toError(error.cause).message}`,
    )
  );
}

function isUnknownName(error: Error): boolean {
  return /ENOTFOUND/.test(`${error.message} ${toError(error.cause).message}`);
}

function limitsOf(target: ServedTarget): CallLimits {
  if (target.kind === "daemon") return DAEMON_LIMITS;
  return target.url.startsWith("http") ? HTTP_LIMITS : WS_LIMITS;
}

function credentialsOf(target: ServedTarget): Credentials | null {
  return target.kind === "remote" ? target.credentials : null;
}

function refusal(target: ServedTarget, error: Error): RiffError {
  const location = locationOf(target);
  const credentials = credentialsOf(target);
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
const DAEMON_HINT =
  "Start the daemon again (`riffd start`), and run the command again; without a daemon it opens the store itself. What was committed is safe.";
const TRUST_HINT = "Name the certificate of whoever signed the server's in NODE_EXTRA_CA_CERTS.";

function unreachable(target: ServedTarget, error: Error): RiffError {
  const cause = error.cause instanceof Error && !error.message.includes(error.cause.message) ? error.cause : null;
  const why = cause === null ? error.message : `${error.message} (${cause.message})`;
  return new RiffError(
    "RIFF_STORE_UNREACHABLE",
    `The store at ${locationOf(target)} cannot be reached: ${why}`,
    target.kind === "daemon" ? DAEMON_HINT : /certificate/i.test(why) ? TRUST_HINT : REACH_HINT,
    error,
  );
}
