// The errors that the server itself answers with, as the protocol has them. Those of the engine pass through as bytes.

/** An RPC error: `code` for old clients, `kind` and `details` for those that know them. */
export class RpcFailure extends Error {
  override readonly name = "RpcFailure";
  readonly code: number;
  readonly kind: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: number, kind: string, message: string, details?: Readonly<Record<string, unknown>>) {
    super(message);
    this.code = code;
    this.kind = kind;
    this.details = details;
  }

  /** What goes over the wire. */
  get body(): Record<string, unknown> {
    const { code, kind, message, details } = this;
    return details === undefined ? { code, kind, message } : { code, kind, message, details };
  }
}

export const PARSE_ERROR = -32700;

/** The bytes are no request. The connection cannot be trusted to be in step any more. */
export function parseError(what: string): RpcFailure {
  return new RpcFailure(PARSE_ERROR, "Validation", `Parse error: ${what}`, { kind: "Parse" });
}

/** Well-formed, but no request. */
export function invalidRequest(what: string): RpcFailure {
  return new RpcFailure(-32600, "Validation", `Invalid request: ${what}`, { kind: "InvalidRequest" });
}

export function methodNotFound(name: string): RpcFailure {
  return new RpcFailure(-32601, "NotFound", "Method not found", { kind: "Method", details: { name } });
}

export function invalidParams(message: string): RpcFailure {
  return new RpcFailure(-32603, "Validation", message, { kind: "InvalidParams" });
}

export function signinRequired(method: string): RpcFailure {
  return new RpcFailure(-32002, "NotAllowed", "Sign in first: this server allows nothing to anonymous sessions", {
    kind: "Auth",
    details: { kind: "NotAllowed", details: { actor: "anonymous", action: method, resource: "any" } },
  });
}

export function sessionNotFound(id: string): RpcFailure {
  return new RpcFailure(-32000, "NotFound", `Session not found: ${id}`, { kind: "Session", details: { id } });
}

export function sessionExists(id: string): RpcFailure {
  return new RpcFailure(-32000, "AlreadyExists", `Session already exists: ${id}`, { kind: "Session", details: { id } });
}

export function tooMany(what: string): RpcFailure {
  return new RpcFailure(-32000, "Internal", `Too many ${what} on this connection`);
}
