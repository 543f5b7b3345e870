// What clients of the control socket may ask of the daemon, and how long they are waited for.

export interface ControlLimits {
  readonly connections: number;
  /** Of a request: a sync of chosen files names each of them. */
  readonly bodyBytes: number;
  /** How long a client may take to send its request, and the headers of it. */
  readonly requestMs: number;
  readonly headersMs: number;
  /** A stream that has nothing to tell says that it is alive this often. */
  readonly heartbeatMs: number;
  /** Commits that are read for a follower at a time: the next when it has taken these. */
  readonly pageCommits: number;
  /** Progress of a sync that its client has not read: from here it is cut. */
  readonly unreadBytes: number;
  /** Between two looks at whether the socket still has its name. */
  readonly nameMs: number;
  /** How long requests in work may take when the server closes. */
  readonly drainMs: number;
}

const MiB = 1024 * 1024;

export const CONTROL_LIMITS: ControlLimits = {
  connections: 1_000,
  bodyBytes: 16 * MiB,
  requestMs: 30_000,
  headersMs: 10_000,
  heartbeatMs: 15_000,
  pageCommits: 200,
  unreadBytes: 64 * MiB,
  nameMs: 2_000,
  drainMs: 5_000,
};
