/** A daemon that does nothing but keep what it is told, behind a real control server on a real socket. */
import { type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { ControlLimits } from "../../src/control/limits.ts";
import type { Controlled, DaemonStatus, Readiness, SyncMessage, SyncRequest } from "../../src/control/protocol.ts";
import { ControlServer, type NameEvents, type RpcHandler } from "../../src/control/server.ts";
import { RiffError } from "../../src/errors.ts";
import type { FedCommit, Feed } from "../../src/sync/feed.ts";
import { scratchFolder } from "./workbench.ts";

export const STATUS: DaemonStatus = {
  version: "1.2.3",
  pid: 4711,
  started_at: new Date("2026-01-02T03:04:05.678Z"),
  uptime_seconds: 12.5,
  host: "a-host",
  ready: true,
  reasons: [],
  store: {
    kind: "embedded",
    location: "/s/store",
    state: "open",
    since: new Date("2026-01-02T03:04:06Z"),
    size_bytes: 4096,
    sessions: 3,
    messages: 40,
    archive_bytes: 5000,
  },
  pipeline: {
    state: "live",
    files: 7,
    backlog: { debouncing: 1, queued: 2, syncing: 3, "backing-off": 4, quarantined: 5 },
    lag: { bytes: 600, seconds: 0.7 },
    live: [
      {
        path: "/p/-x/a.jsonl",
        session_id: "a",
        state: "queued",
        lag_bytes: 600,
        changed_at: new Date("2026-01-02T03:05:00Z"),
        attempts: 0,
        failed_at: null,
        error: null,
      },
    ],
    last_scan: { at: new Date("2026-01-02T03:04:30Z"), duration_ms: 250, files: 7, changed: 1 },
  },
  watch: { mode: "watching", roots: [{ path: "/p", present: true }], folders: 4, troubles: [] },
  changes: [
    {
      time: new Date("2026-01-02T03:05:01Z"),
      session_id: "a",
      status: "appended",
      messages: 1,
      records: 0,
      bytes: 100,
      events: { message_added: 1, parent_repaired: 0, content_updated: 0, corruption_fixed: 0, message_removed: 0 },
    },
  ],
  problems: [{ message: "m", hint: "h", since: new Date("2026-01-02T03:06:00Z") }],
  rpc: [],
  memory_bytes: 1e8,
};

export const REQUEST: SyncRequest = {
  roots: ["/p"],
  include: [],
  exclude: [],
  outside: [],
  only: null,
  force: false,
  force_sessions: [],
  operator: "tester",
};

/** Commits in memory. A cursor is how many stand before it. */
export class TestFeed implements Feed {
  readonly commits: FedCommit[] = [];
  reads = 0;

  async latest(): Promise<string> {
    return String(this.commits.length);
  }

  async read(cursor: string, limit: number): Promise<readonly FedCommit[]> {
    this.reads++;
    const from = Number(cursor);
    if (!/^\d+$/.test(cursor) || from > this.commits.length)
      throw new RiffError("RIFF_USAGE", "no such cursor", "none");
    return this.commits.slice(from, from + limit);
  }

  add(session_id: string, operator = "tester"): FedCommit {
    const n = this.commits.length + 1;
    const commit: FedCommit = {
      cursor: String(n),
      session_id,
      n,
      kind: "append",
      host: "a-host",
      path: `/p/-x/${session_id}.jsonl`,
      generation: 1,
      bytes: 100,
      rows: 1,
      first_event: n,
      events: 1,
      operator,
      time: new Date(Date.UTC(2026, 0, 1) + n),
    };
    this.commits.push(commit);
    return commit;
  }
}

type Syncing = (tell: (message: SyncMessage) => void, signal: AbortSignal) => Promise<void>;

export class TestDaemon implements Controlled {
  feed: TestFeed | null = new TestFeed();
  ready: Readiness = { ready: true, reasons: [] };
  /** What a sync does. */
  syncing: Syncing = async (tell) => tell({ kind: "done" });
  readonly requests: SyncRequest[] = [];
  readonly signals: AbortSignal[] = [];
  stops = 0;
  readonly listeners = new Set<() => void>();

  async status(): Promise<DaemonStatus> {
    return STATUS;
  }

  readiness(): Readiness {
    return this.ready;
  }

  async metrics() {
    return { contentType: "text/plain; version=0.0.4; charset=utf-8", text: "riffd_up 1\n" };
  }

  async sync(request: SyncRequest, tell: (message: SyncMessage) => void, signal: AbortSignal): Promise<void> {
    this.requests.push(request);
    this.signals.push(signal);
    await this.syncing(tell, signal);
  }

  onCommit(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  commit(sessionId: string, operator?: string): FedCommit {
    const commit = this.feed!.add(sessionId, operator);
    for (const listener of this.listeners) listener();
    return commit;
  }

  stop(): void {
    this.stops++;
  }
}

/** A daemon with its server, in a state folder of its own. */
export async function startControl(
  limits: Partial<ControlLimits> = {},
  rpc: () => RpcHandler | null = () => null,
  daemon = new TestDaemon(),
  path = join(scratchFolder(), "riffd.sock"),
  events?: NameEvents,
) {
  const server = await ControlServer.listen(path, daemon, rpc, limits, events);
  return { daemon, server, path };
}

export interface Response {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** One whole answer, to any request. */
export async function ask(
  socketPath: string,
  path: string,
  { method = "GET", headers = {}, body = "" as string | Buffer } = {} as {
    method?: string;
    headers?: OutgoingHttpHeaders;
    body?: string | Buffer;
  },
): Promise<Response> {
  const response = await open(socketPath, path, method, headers, body);
  let text = "";
  for await (const piece of response.setEncoding("utf8")) text += piece as string;
  return { status: response.statusCode!, headers: response.headers, text };
}

/** An answer that goes on. */
export function open(
  socketPath: string,
  path: string,
  method = "GET",
  headers: OutgoingHttpHeaders = {},
  body: string | Buffer = "",
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, method, headers, agent: false }, resolve).on("error", reject).end(body);
  });
}

/** What a connection says that can say anything, until it is closed. */
export function converse(
  socketPath: string,
  words: string,
): { socket: Socket; said: Promise<string>; soFar(): string } {
  const socket = connect(socketPath);
  let text = "";
  socket.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  socket.write(words);
  const said = new Promise<string>((resolve) => {
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
  return { socket, said, soFar: () => text };
}
