// What the daemon says on its control socket, and what it is asked: HTTP on a Unix socket, JSON, paths under /v1. Shared by
// both ends. Fields may be added; none changes its meaning within a version.
import type { Feed } from "../sync/feed.ts";
import type { PipelineStatus } from "../sync/pipeline-status.ts";
import type { EventType, SessionRow, SourceRow } from "../sync/store.ts";
import type { SessionReport } from "../sync/sync.ts";
import type { WatchStatus } from "../sync/watching.ts";

/** Paths. `/rpc` (WebSocket and POST) is SurrealDB's own protocol, `/metrics` Prometheus's. */
export const ROUTES = {
  /** 200 as long as the event loop turns. */
  live: "/v1/live",
  /** 200 or 503, with a Readiness. */
  ready: "/v1/ready",
  /** A DaemonStatus. */
  status: "/v1/status",
  /**
   * POST a SyncRequest; the answer is a stream of SyncMessages, one a line, until `done` or `failed`. Empty lines tell
   * that the daemon is there.
   */
  sync: "/v1/sync",
  /**
   * Server-sent events: one `commit` for each FedCommit, and a `position`, which tells nothing but a cursor, where they
   * begin and where those of other sessions were passed by. Behind a cursor (`?cursor=` or Last-Event-ID), else from now
   * on; of one session with `?session=`.
   */
  commits: "/v1/commits",
  /** POST: drain and end. Answers 202 at once. */
  stop: "/v1/stop",
  metrics: "/metrics",
  rpc: "/rpc",
} as const;

export interface Readiness {
  readonly ready: boolean;
  /** Why not, for people; empty when it is. */
  readonly reasons: readonly string[];
}

/** Something that needs somebody, with what to do. */
export interface Problem {
  readonly message: string;
  readonly hint: string;
  readonly since: Date;
}

/** One line of what happened lately. */
export interface Change {
  readonly time: Date;
  readonly session_id: string;
  /** As in a SessionReport. */
  readonly status: SessionReport["status"];
  readonly messages: number;
  readonly records: number;
  readonly bytes: number;
  readonly events: Readonly<Record<EventType, number>>;
}

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  readonly started_at: Date;
  readonly uptime_seconds: number;
  readonly host: string | null;
  readonly ready: boolean;
  /** As in Readiness. */
  readonly reasons: readonly string[];
  /** `opening` until it was opened; `away`: a server that does not answer. */
  readonly store: {
    readonly kind: "embedded" | "remote";
    readonly location: string;
    readonly state: "opening" | "open" | "away";
    readonly since: Date;
    /** Of an embedded store's files. */
    readonly size_bytes: number | null;
    readonly sessions: number | null;
    readonly messages: number | null;
    /** Of all transcripts that the archive holds, before compression. */
    readonly archive_bytes: number | null;
  };
  readonly pipeline: PipelineStatus;
  readonly watch: WatchStatus;
  /** The latest first; at most twenty. */
  readonly changes: readonly Change[];
  readonly problems: readonly Problem[];
  /** Addresses on TCP where SurrealDB's protocol is served. */
  readonly rpc: readonly string[];
  readonly memory_bytes: number;
}

/** One sync, as `riffd sync` asks for it. The daemon finds the transcripts itself. */
export interface SyncRequest {
  readonly roots: readonly string[];
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Transcripts outside of the roots. */
  readonly outside: readonly string[];
  /** Paths; null: all. */
  readonly only: readonly string[] | null;
  readonly force: boolean;
  readonly force_sessions: readonly string[];
  readonly operator: string;
}

/** What a step wrote, as far as it is told. */
export interface WrittenStep {
  readonly session_id: string;
  readonly messages: number;
  readonly records: number;
  readonly bytes: number;
}

/** How a RiffError travels; `code` null: a bug, whose stack is the message. */
export interface WireError {
  readonly code: string | null;
  readonly message: string;
  readonly hint: string | null;
}

/** A SessionReport, whose error travels. */
export type WireReport = Omit<SessionReport, "error" | "before" | "session"> & {
  readonly before: SessionRow | null;
  readonly session: SessionRow | null;
  readonly error: WireError | null;
};

export type SyncMessage =
  | {
      readonly kind: "planned";
      readonly targets: readonly {
        readonly path: string;
        readonly session_id: string;
        readonly archived: SourceRow["archived"] | null;
      }[];
    }
  | ({ readonly kind: "wrote" } & WrittenStep)
  | { readonly kind: "report"; readonly report: WireReport }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly error: WireError };

/** What the server needs of the daemon. All of it may be called at any time. */
export interface Controlled {
  status(): Promise<DaemonStatus>;
  readiness(): Readiness;
  /** In Prometheus's text format. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Tells what happens, in order; resolves when all is told. Aborting `signal` begins nothing new. Never rejects. */
  sync(request: SyncRequest, tell: (message: SyncMessage) => void, signal: AbortSignal): Promise<void>;
  /** null: the store is not open. */
  readonly feed: Feed | null;
  /** Calls the listener whenever the feed may have more. Returns what ends it. */
  onCommit(listener: () => void): () => void;
  /** Begins to drain. Idempotent. */
  stop(): void;
}
