// What a client may ask of the server before it is told to wait, refused, or cut.

export interface Limits {
  /** Clients connected at a time, by WebSocket; and requests over HTTP that are in work. */
  readonly connections: number;
  /** One message over a WebSocket: SurrealDB's own limit. */
  readonly messageBytes: number;
  /** One request over HTTP: SurrealDB's own limit. */
  readonly bodyBytes: number;
  /** What a connection may send while nobody is signed in on it. */
  readonly anonymousBytes: number;
  /** How long a connection may stay without anybody signed in on it. */
  readonly signinMs: number;
  /** Refused signins in a row after which a connection is cut. */
  readonly refusedSignins: number;
  /** Requests of a connection that are in work; more of them wait in the socket. */
  readonly inFlight: number;
  /** Replies and notifications that a client has not read: from here its requests wait. */
  readonly unreadBytes: number;
  /** From here it is cut: it has stopped reading what its live queries tell. */
  readonly maxUnreadBytes: number;
  /** A client that has said nothing for that long is asked, and cut if it is silent for as long again. */
  readonly keepAliveMs: number;
  /** How long requests in work may take when the server stops. */
  readonly drainMs: number;
}

const MiB = 1024 * 1024;

export const LIMITS: Limits = {
  connections: 100,
  messageBytes: 128 * MiB,
  bodyBytes: 4 * MiB,
  anonymousBytes: MiB,
  signinMs: 10_000,
  refusedSignins: 10,
  inFlight: 16,
  unreadBytes: 16 * MiB,
  maxUnreadBytes: 256 * MiB,
  keepAliveMs: 30_000,
  drainMs: 5_000,
};
