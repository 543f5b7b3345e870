// What one client says and is told, whatever the transport: its sessions, and which of them a request is for.
import { Uuid } from "surrealdb";
import { toError } from "../errors.ts";
import type { RpcPeer } from "../store/rpc-engine.ts";
import { asText, type Envelope, entries, first } from "./cbor.ts";
import { ClientSession } from "./client-session.ts";
import { invalidParams, methodNotFound, RpcFailure, sessionExists, sessionNotFound, tooMany } from "./failure.ts";
import { encode, type Outcome } from "./format.ts";
import type { SigninPace } from "./signin-pace.ts";

const MAX_SESSIONS = 64;

/** What needs credentials, and what needs rights. The engine has more methods; they are for its own use. */
const CREDENTIALS = new Set(["signin", "signup", "authenticate", "refresh"]);
/** Of those, the ones that nobody can guess. */
const TOKENS = new Set(["authenticate", "refresh"]);
const WITH_RIGHTS = new Set(
  `info query live kill select insert insert_relation create upsert update merge patch delete relate run
   begin commit cancel revoke`.split(/\s+/),
);

type Request = Omit<Envelope, "id">;

const NONE: Outcome = { kind: "result", value: encode(undefined) };

export interface ConnectionOptions {
  readonly peer: RpcPeer;
  /** False: nobody needs to sign in. */
  readonly signin: boolean;
  readonly pace: SigninPace;
  /** What `version` answers. */
  readonly version: string;
  readonly notify: (notification: Uint8Array) => void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  /** By the uuid that the client gave; null is the one that is always there. */
  readonly #sessions = new Map<string | null, ClientSession>();
  #refusedSignins = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#sessions.set(null, new ClientSession(options));
  }

  /** One of its sessions has rights. */
  get admitted(): boolean {
    return [...this.#sessions.values()].some((session) => session.admitted);
  }

  /** Signins in a row that were refused. */
  get refusedSignins(): number {
    return this.#refusedSignins;
  }

  /** Does what a request asks for. Never throws: what goes wrong is an outcome too. */
  async handle(request: Request): Promise<Outcome> {
    try {
      if (request.refusal !== null) throw request.refusal;
      return await this.#dispatch(request);
    } catch (thrown) {
      return failureOutcome(thrown);
    }
  }

  /** Ends all its sessions, once what they are doing is done. May be called twice. */
  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.close()));
  }

  async #dispatch({ method, params, session: id, txn }: Request): Promise<Outcome> {
    switch (method) {
      case "ping":
      case "health":
        return NONE;
      case "version":
        return result(this.#options.version);
      case "sessions":
        return result([...this.#sessions.keys()].filter((key) => key !== null).map((key) => new Uuid(key)));
      case "attach":
        return this.#attach(id);
      case "detach":
        return await this.#detach(id);
    }
    const session = this.#sessions.get(id);
    if (session === undefined) throw sessionNotFound(String(id));
    switch (method) {
      case "use":
        return await session.use(params);
      case "let":
      case "set":
        return await session.let(params);
      case "unset":
        return await session.unset(params);
      case "invalidate":
        return await session.invalidate();
      case "reset":
        return await session.reset();
    }
    if (CREDENTIALS.has(method)) return await this.#authenticate(session, method, params);
    if (WITH_RIGHTS.has(method)) return await session.call(method, params, txn);
    throw methodNotFound(method);
  }

  #attach(id: string | null): Outcome {
    if (id === null) throw invalidParams("Expected a session ID");
    if (this.#sessions.has(id)) throw sessionExists(id);
    if (this.#sessions.size >= MAX_SESSIONS) throw tooMany("sessions");
    this.#sessions.set(id, new ClientSession(this.#options));
    return NONE;
  }

  async #detach(id: string | null): Promise<Outcome> {
    if (id === null) throw invalidParams("Expected a session ID");
    const session = this.#sessions.get(id);
    if (session === undefined) throw sessionNotFound(id);
    this.#sessions.delete(id);
    await session.close();
    return NONE;
  }

  async #authenticate(session: ClientSession, method: string, params: Uint8Array): Promise<Outcome> {
    const refused = ({ kind }: Outcome) => kind === "error";
    const outcome = await session.authenticate(method, params, (attempt) =>
      TOKENS.has(method) ? attempt() : this.#options.pace.run(nameIn(params), attempt, refused),
    );
    this.#refusedSignins = refused(outcome) ? this.#refusedSignins + 1 : 0;
    return outcome;
  }
}

/** What a failure looks like on the wire. The engine throws where it cannot make a request of the values. */
export function failureOutcome(thrown: unknown): Outcome {
  const failure = thrown instanceof RpcFailure ? thrown : invalidParams(toError(thrown).message);
  return { kind: "error", value: encode(failure.body) };
}

function result(value: unknown): Outcome {
  return { kind: "result", value: encode(value) };
}

/** Whom a signin is for: the user, or the access method. */
function nameIn(params: Uint8Array): string {
  const credentials = first(params);
  const fields = credentials === undefined ? new Map<string, Uint8Array>() : entries(credentials);
  return asText(fields.get("user")) ?? asText(fields.get("ac")) ?? "";
}
