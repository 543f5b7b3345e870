// One session of a client, and the security boundary. A session of the embedded engine belongs to the owner of
// everything until somebody signs in, so a client's session has none until then: what can be said before is remembered
// here and told to the engine afterwards, and whatever ends the user's rights ends the engine's session.
import { randomUUID } from "node:crypto";
import { Uuid } from "surrealdb";
import type { RpcPeer } from "../store/rpc-engine.ts";
import { asText, asUuid, elements, first } from "./cbor.ts";
import { invalidParams, signinRequired, tooMany } from "./failure.ts";
import { decode, encode, encodeMap, type Outcome, readReply } from "./format.ts";
import { Gate } from "./gate.ts";
import { LiveQueries } from "./live-queries.ts";

/** Variables that an anonymous session may set, for the time when it is signed in. */
const MAX_ANONYMOUS_VARIABLE_BYTES = 256 * 1024;
const MAX_TRANSACTIONS = 32;

const KEY = { method: encode("method"), session: encode("session"), txn: encode("txn"), params: encode("params") };
const NO_PARAMS = encode([]);
const NONE: Outcome = { kind: "result", value: encode(undefined) };
const NULL: Outcome = { kind: "result", value: encode(null) };
const WHO_AND_WHERE = encode(["RETURN [session::ns(), session::db(), $token != NONE]"]);

export interface SessionOptions {
  readonly peer: RpcPeer;
  /** False where whoever can connect owns the store anyway: nobody needs to sign in, and everybody is its owner. */
  readonly signin: boolean;
  /** Takes a notification of one of the session's live queries. */
  readonly notify: (notification: Uint8Array) => void;
}

interface Place {
  readonly namespace: string | null;
  readonly database: string | null;
}

const NOWHERE: Place = { namespace: null, database: null };

export class ClientSession {
  readonly #peer: RpcPeer;
  readonly #signin: boolean;
  readonly #gate = new Gate();
  readonly #liveQueries: LiveQueries;
  readonly #transactions = new Set<string>();
  /** By name, as the parameters of `let`. */
  readonly #variables = new Map<string, Uint8Array>();
  /** The engine's session, which carries a user's rights. null: nobody is signed in, and nothing is allowed. */
  #engineId: string | null = null;
  /** As the engine has it; without an engine's session, as it is to be. */
  #place = NOWHERE;
  #closed = false;

  constructor({ peer, signin, notify }: SessionOptions) {
    this.#peer = peer;
    this.#signin = signin;
    this.#liveQueries = new LiveQueries(peer, notify);
  }

  /** Somebody is signed in, or need not be. */
  get admitted(): boolean {
    return this.#engineId !== null || !this.#signin;
  }

  /**
   * Signs in, by any of the methods that take credentials, at the pace of `paced`. One that is refused also ends the
   * rights that an earlier one gave.
   */
  authenticate(
    method: string,
    params: Uint8Array,
    paced: (attempt: () => Promise<Outcome>) => Promise<Outcome>,
  ): Promise<Outcome> {
    return this.#gate.exclusive(() => paced(() => this.#trySignin(method, params)));
  }

  /** Signs out. Namespace, database and variables stay. */
  invalidate(): Promise<Outcome> {
    return this.#gate.exclusive(async () => {
      await this.#drop();
      return NONE;
    });
  }

  /** Makes it as if it were new. */
  reset(): Promise<Outcome> {
    return this.#gate.exclusive(async () => {
      await this.#drop();
      this.#place = NOWHERE;
      this.#variables.clear();
      return NONE;
    });
  }

  /** Chooses namespace and database: text, null for none, NONE to leave it. */
  use(params: Uint8Array): Promise<Outcome> {
    return this.#gate.exclusive(async () => {
      const [namespace, database] = elements(params).map(decode);
      const place = choose(this.#place, namespace, database);
      await this.#openToAll();
      if (this.#engineId === null) {
        this.#place = place;
        return { kind: "result", value: encode(place) };
      }
      // Where a database is named without a namespace, and the session has none, the engine panics. So both are named.
      const asked = typeof database === "string" ? [place.namespace, database] : [namespace, database];
      const outcome = await this.#execute(this.#engineId, "use", encode(asked));
      if (outcome.kind === "result") await this.#locate(this.#engineId);
      return outcome;
    });
  }

  let(params: Uint8Array): Promise<Outcome> {
    return this.#gate.exclusive(async () => {
      const name = nameOf(params);
      await this.#openToAll();
      if (this.#engineId === null) {
        const held = [...this.#variables.values()].reduce((sum, { length }) => sum + length, params.length);
        if (held > MAX_ANONYMOUS_VARIABLE_BYTES) throw tooMany("variables before signin");
      } else {
        const outcome = await this.#execute(this.#engineId, "let", params);
        if (outcome.kind === "error") return outcome;
      }
      this.#variables.set(name, params);
      return NULL;
    });
  }

  unset(params: Uint8Array): Promise<Outcome> {
    return this.#gate.exclusive(async () => {
      this.#variables.delete(nameOf(params));
      return this.#engineId === null ? NULL : await this.#execute(this.#engineId, "unset", params);
    });
  }

  /** Runs any other method with the rights of whoever is signed in. Throws `signinRequired`. */
  async call(method: string, params: Uint8Array, txn: string | null): Promise<Outcome> {
    if (!this.#signin && this.#engineId === null) await this.#gate.exclusive(() => this.#openToAll());
    return await this.#gate.shared(async () => {
      const engineId = this.#engineId;
      if (engineId === null) throw signinRequired(method);
      if (txn !== null && !this.#transactions.has(txn)) throw invalidParams("Transaction not found");
      if (method === "begin") return this.#beginTransaction(engineId);
      if (method === "commit" || method === "cancel") return this.#endTransaction(engineId, method, params);
      this.#liveQueries.admit(method, params);
      const outcome = await this.#execute(engineId, method, params, txn);
      if (outcome.kind === "result") this.#liveQueries.note(method, params, outcome.value);
      return outcome;
    });
  }

  /** Ends it, once what is being done is done: its transactions are cancelled and its live queries killed. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#gate.exclusive(() => this.#drop());
  }

  async #trySignin(method: string, params: Uint8Array): Promise<Outcome> {
    const earlier = this.#engineId;
    const engineId = earlier ?? (await this.#attach());
    this.#engineId = null;
    try {
      const outcome = await this.#execute(engineId, method, params);
      if (outcome.kind === "result") {
        const isUser = await (earlier === null ? this.#moveIn(engineId) : this.#locate(engineId));
        if (isUser) this.#engineId = engineId;
      }
      return outcome;
    } finally {
      if (this.#engineId === null) await this.#discard(engineId);
    }
  }

  /** Where nobody needs to sign in, gives the session the engine's rights as they are. */
  async #openToAll(): Promise<void> {
    if (this.#signin || this.#engineId !== null) return;
    const engineId = await this.#attach();
    await this.#moveIn(engineId);
    this.#engineId = engineId;
  }

  async #attach(): Promise<string> {
    if (this.#closed) throw new Error("the session has ended");
    const engineId = randomUUID();
    await this.#execute(engineId, "attach", NO_PARAMS);
    return engineId;
  }

  /**
   * Tells a new engine's session what was chosen before. A user of a namespace or a database is there already. Returns
   * what `#locate` does.
   */
  async #moveIn(engineId: string): Promise<boolean> {
    const { namespace, database } = this.#place;
    const isUser = await this.#locate(engineId);
    const mayChoose = this.#place.namespace === null || this.#place.namespace === namespace;
    if (namespace !== null && mayChoose && this.#place.database === null) {
      await this.#execute(engineId, "use", encode([namespace, database ?? undefined]));
      await this.#locate(engineId);
    }
    for (const params of this.#variables.values()) await this.#execute(engineId, "let", params);
    return isUser;
  }

  /** Asks the engine for the session's place. Returns whether the session is some user's, by the engine's own word. */
  async #locate(engineId: string): Promise<boolean> {
    const { kind, value } = await this.#execute(engineId, "query", WHO_AND_WHERE);
    const answer = kind === "result" ? (decode(value) as { result?: unknown }[])[0]?.result : null;
    const [namespace, database, isUser] = Array.isArray(answer) ? (answer as unknown[]) : [];
    this.#place = {
      namespace: typeof namespace === "string" ? namespace : null,
      database: typeof database === "string" ? database : null,
    };
    return isUser === true;
  }

  async #beginTransaction(engineId: string): Promise<Outcome> {
    if (this.#transactions.size >= MAX_TRANSACTIONS) throw tooMany("open transactions");
    const outcome = await this.#execute(engineId, "begin", NO_PARAMS);
    const txn = outcome.kind === "result" ? asUuid(outcome.value) : null;
    if (txn !== null) this.#transactions.add(txn);
    return outcome;
  }

  async #endTransaction(engineId: string, method: string, params: Uint8Array): Promise<Outcome> {
    const param = first(params);
    const txn = asUuid(param) ?? asText(param);
    if (txn === null || !this.#transactions.delete(txn)) throw invalidParams("Transaction not found");
    return this.#execute(engineId, method, encode([new Uuid(txn)]));
  }

  async #drop(): Promise<void> {
    const engineId = this.#engineId;
    this.#engineId = null;
    if (engineId !== null) await this.#discard(engineId);
  }

  async #discard(engineId: string): Promise<void> {
    this.#liveQueries.clear();
    for (const txn of this.#transactions) await this.#execute(engineId, "cancel", encode([new Uuid(txn)]));
    this.#transactions.clear();
    await this.#execute(engineId, "detach", NO_PARAMS);
  }

  async #execute(engineId: string, method: string, params: Uint8Array, txn: string | null = null): Promise<Outcome> {
    // What the client wrote comes last, so that nothing in it can be taken for another field.
    const request = encodeMap([
      [KEY.method, encode(method)],
      [KEY.session, encode(engineId)],
      [KEY.txn, txn === null ? null : encode(txn)],
      [KEY.params, params],
    ]);
    return readReply(await this.#peer.execute(request));
  }
}

function choose(place: Place, namespace: unknown, database: unknown): Place {
  const chosen = { ...place };
  if (isName(namespace)) chosen.namespace = namespace;
  else if (namespace !== undefined) throw invalidParams("Expected a namespace as text");
  if (isName(database)) chosen.database = database;
  else if (database !== undefined) throw invalidParams("Expected a database as text");
  if (chosen.namespace !== null) return chosen;
  if (typeof database === "string") throw invalidParams("Cannot use a database without a namespace");
  return NOWHERE;
}

function isName(value: unknown): value is string | null {
  return typeof value === "string" || value === null;
}

function nameOf(params: Uint8Array): string {
  const name = asText(first(params));
  if (name === null) throw invalidParams("Expected the name of a variable as text");
  return name;
}
