// What the control socket answers. Web pages have nothing to do here: whatever says that it comes from one is refused.
// The Host header is not looked at: it tells which of a machine's names a client meant, and guards an address on TCP
// against pages whose own name was made to point there; no name points to a Unix socket.
import type { IncomingMessage } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { RiffError } from "../errors.ts";
import type { Followers } from "./followers.ts";
import type { ControlLimits } from "./limits.ts";
import { type Controlled, ROUTES, type WireError } from "./protocol.ts";
import type { Streams } from "./streams.ts";
import { syncProgress } from "./sync-progress.ts";
import { parseSyncRequest } from "./sync-request.ts";
import { toWireError } from "./wire.ts";

export interface RoutesOptions {
  readonly controlled: Controlled;
  readonly followers: Followers;
  readonly streams: Streams;
  readonly limits: ControlLimits;
}

type Served = { Bindings: HttpBindings };
type Status = 400 | 403 | 404 | 405 | 413 | 500 | 503;

export const NOT_FOR_PAGES = wrong("Web pages may not use the control socket.", "Ask without an Origin header.");

/** All routes but `/rpc`, which is not HTTP alone. */
export function createRoutes({ controlled, followers, streams, limits }: RoutesOptions): Hono<Served> {
  const app = new Hono<Served>();
  app.use(async (context, next) => {
    if (context.req.header("Origin") === undefined) return await next();
    return refuse(context, 403, NOT_FOR_PAGES);
  });
  app.get(ROUTES.live, (context) => context.json({ live: true }));
  app.get(ROUTES.ready, (context) => {
    const readiness = controlled.readiness();
    return context.json(readiness, readiness.ready ? 200 : 503);
  });
  app.get(ROUTES.status, async (context) => context.json(await controlled.status()));
  app.get(ROUTES.metrics, async (context) => {
    const { contentType, text } = await controlled.metrics();
    return context.body(text, 200, { "Content-Type": contentType });
  });
  app.get(ROUTES.commits, async (context) => {
    // A HEAD comes here too, and nobody would read the stream or end it.
    if (context.req.method !== "GET") return refuseMethod(context, ROUTES.commits);
    const { cursor, session } = context.req.query();
    // A browser's EventSource that comes back sends its first address again, and where it was in this header.
    const from = context.req.header("Last-Event-ID") || cursor || null;
    const source = await followers.begin({
      cursor: from === null ? null : checkCursor(from),
      session: session || null,
    });
    return streams.respond({ contentType: "text/event-stream", heartbeat: ":\n\n", source });
  });
  app.post(ROUTES.stop, (context) => {
    controlled.stop();
    return context.json({ stopping: true }, 202);
  });
  app.post(ROUTES.sync, async (context) => {
    const { incoming, outgoing } = context.env;
    const body = await readBody(incoming, limits.bodyBytes);
    if (body === null) return refuseBody(context, limits.bodyBytes);
    const request = parseSyncRequest(body);
    return streams.respond({
      contentType: "application/x-ndjson",
      heartbeat: "\n",
      source: (signal) =>
        syncProgress(controlled, request, {
          signal,
          unreadBytes: limits.unreadBytes,
          giveUp: () => outgoing.destroy(),
        }),
    });
  });
  for (const path of Object.values(ROUTES)) app.all(path, (context) => refuseMethod(context, path));
  app.notFound((context) =>
    refuse(
      context,
      404,
      wrong(`There is nothing at ${context.req.path}.`, `There are ${Object.values(ROUTES).join(", ")}.`),
    ),
  );
  app.onError((error, context) => refuse(context, statusOf(error), toWireError(error)));
  return app;
}

/** null: it is too large, and the rest of it was not read. */
async function readBody(incoming: IncomingMessage, limit: number): Promise<string | null> {
  if (Number(incoming.headers["content-length"] ?? 0) > limit) return null;
  const chunks: Buffer[] = [];
  let length = 0;
  // What is left of it must not be destroyed, or the connection is, and with it the answer.
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function refuseBody(context: Context, limit: number): Response {
  context.header("Connection", "close");
  return refuse(context, 413, wrong(`A request may have ${inUnits(limit)}.`, "Name fewer files."));
}

/** 16777216 → "16 MiB". */
function inUnits(bytes: number): string {
  const units = ["bytes", "KiB", "MiB"];
  let value = bytes;
  while (units.length > 1 && value >= 1024 && value % 1024 === 0) {
    value /= 1024;
    units.shift();
  }
  return `${value} ${units[0]}`;
}

function checkCursor(text: string): string {
  if (/^[!-~]{1,200}$/.test(text)) return text;
  throw new RiffError("RIFF_USAGE", "The cursor is none.", "Give one that came with a commit, or none to begin now.");
}

function refuseMethod(context: Context, path: string): Response {
  const method = path === ROUTES.sync || path === ROUTES.stop ? "POST" : "GET";
  context.header("Allow", method);
  return refuse(context, 405, wrong(`${path} does not take ${context.req.method}.`, `Send ${method}.`));
}

function refuse(context: Context, status: Status, error: WireError): Response {
  return context.json({ error }, status);
}

function wrong(message: string, hint: string): WireError {
  return { code: "RIFF_USAGE", message, hint };
}

function statusOf(error: Error): Status {
  if (!(error instanceof RiffError)) return 500;
  return error.code === "RIFF_USAGE" ? 400 : 503;
}
