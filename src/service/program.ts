// What a service runs: one text for each kind of service manager is made of it.

export interface Program {
  /** Absolute paths of Node.js and of riffd. */
  readonly node: string;
  readonly riffd: string;
  /** Whom a service of the system runs as; null: the user whose service it is. */
  readonly user: string | null;
  /** Variables that riffd is to have. */
  readonly variables: Readonly<Record<string, string>>;
  /** How long the daemon may take to end what is in work. */
  readonly drainSeconds: number;
}

/** What ending takes beyond that: the sockets, the watcher and the store are closed. */
const CLOSING_SECONDS = 40;

/** After how long a daemon that was asked to end is killed. */
export function stopSeconds({ drainSeconds }: Pick<Program, "drainSeconds">): number {
  return drainSeconds + CLOSING_SECONDS;
}
