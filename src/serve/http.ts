// The same protocol over plain HTTP: every request brings its credentials and its place, and has a session of its own.
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Connection, failureOutcome } from "./connection.ts";
import { RpcFailure } from "./failure.ts";
import { cborFormat, decode, encode, type Format, jsonFormat } from "./format.ts";
import type { Limits } from "./limits.ts";
import { isAllowedOrigin } from "./origin.ts";

export interface HttpOptions {
  readonly limits: Limits;
  readonly allowedOrigins: ReadonlySet<string>;
  readonly version: string;
  /** A connection for one request. null: there are as many as there may be. */
  readonly connect: () => Connection | null;
}

/** What SurrealDB's server has beside `/rpc`, and this one leaves to riffd's own commands. */
const NOT_SERVED = /^\/(export|import|sql|key|signin|signup|ml|api|graphql|sync)(\/|$)/;

/** Answers one request. */
export async function answer(request: IncomingMessage, response: ServerResponse, options: HttpOptions): Promise<void> {
  const { origin } = request.headers;
  if (!isAllowedOrigin(origin, options.allowedOrigins)) return end(response, 403, "This origin is not allowed.\n");
  if (origin !== undefined) allowOrigin(response, origin);
  const path = pathOf(request);
  if (request.method === "OPTIONS") return end(response, 204, "");
  if (path === "/rpc") {
    if (request.method === "POST") return await answerRpc(request, response, options);
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("Allow", "GET, POST");
      return end(response, 405, "Connect by WebSocket, or send requests with POST.\n");
    }
    response.setHeader("Upgrade", "websocket");
    return end(response, 426, "Connect by WebSocket, or send requests with POST.\n");
  }
  if (NOT_SERVED.test(path)) return end(response, 501, "Not served here: use /rpc, or riffd's own commands.\n");
  if (request.method !== "GET" && request.method !== "HEAD") return end(response, 405, "Only /rpc takes requests.\n");
  if (path === "/health" || path === "/status") return end(response, 200, "");
  if (path === "/version") return end(response, 200, options.version);
  if (path === "/") return end(response, 200, "riffd serves SurrealDB's protocol at /rpc.\n");
  end(response, 404, "There is nothing here.\n");
}

/** The path that a request is for, without its query. */
export function pathOf({ url = "/" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "/";
}

async function answerRpc(request: IncomingMessage, response: ServerResponse, options: HttpOptions): Promise<void> {
  const format = formatOf(request);
  if (format === null) return end(response, 415, "Send application/cbor or application/json.\n");
  const connection = options.connect();
  if (connection === null) return end(response, 503, "Too many requests at a time.\n");
  try {
    const body = await readBody(request, options.limits.bodyBytes);
    if (body === null) {
      response.setHeader("Connection", "close");
      return end(response, 413, `A request may have ${options.limits.bodyBytes} bytes.\n`);
    }
    const refusal = await prepare(connection, request);
    if (refusal !== null) return end(response, 401, refusal);
    const envelope = format.read(body);
    const outcome = await connection.handle(envelope);
    send(response, 200, format, format.reply(envelope, outcome));
  } catch (thrown) {
    if (!(thrown instanceof RpcFailure)) throw thrown;
    send(response, 400, format, format.reply(null, failureOutcome(thrown)));
  } finally {
    await connection.close();
  }
}

/** Takes place and credentials from the headers. Returns why they are refused, or null. */
async function prepare(connection: Connection, { headers }: IncomingMessage): Promise<string | null> {
  const calls: { method: string; params: unknown[] }[] = [];
  const namespace = header(headers["surreal-ns"]);
  if (namespace !== undefined) calls.push({ method: "use", params: [namespace, header(headers["surreal-db"])] });
  const [scheme = "", credentials = ""] = (headers.authorization ?? "").split(/ +(.*)/s);
  if (scheme.toLowerCase() === "bearer") calls.push({ method: "authenticate", params: [credentials] });
  if (scheme.toLowerCase() === "basic") {
    const [user = "", pass = ""] = Buffer.from(credentials, "base64").toString().split(/:(.*)/s);
    const ns = header(headers["surreal-auth-ns"]);
    const db = header(headers["surreal-auth-db"]);
    calls.push({ method: "signin", params: [{ user, pass, ...(ns && { ns }), ...(db && { db }) }] });
  }
  for (const { method, params } of calls) {
    const call = { method, params: encode(params), session: null, txn: null, refusal: null };
    const { kind, value } = await connection.handle(call);
    if (kind === "error") return String((decode(value) as { message?: unknown }).message);
  }
  return null;
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function formatOf({ headers }: IncomingMessage): Format | null {
  const type = headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (type === "application/cbor") return cborFormat;
  return type === "application/json" ? jsonFormat : null;
}

/** null: it is too large. */
async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | null> {
  if (Number(request.headers["content-length"] ?? 0) > limit) return null;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function allowOrigin(response: ServerResponse, origin: string): void {
  response.setHeader("Access-Control-Allow-Origin", origin);
  response.setHeader("Access-Control-Allow-Methods", "GET, POST");
  response.setHeader(
    "Access-Control-Allow-Headers",
    "Accept, Authorization, Content-Type, Surreal-NS, Surreal-DB, Surreal-Auth-NS, Surreal-Auth-DB, Surreal-Id",
  );
  response.setHeader("Vary", "Origin");
}

function send(response: ServerResponse, status: number, format: Format, body: Uint8Array): void {
  response.writeHead(status, { "Content-Type": `application/${format.name}`, "Content-Length": body.length }).end(body);
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(text);
}
