// Which store to use: the embedded one in a folder, the same by way of the daemon that has it open, or a SurrealDB server
// with a namespace and a database.
import type { Settings } from "./config.ts";

/** At which level of a server its user is defined. */
export type AuthLevel = "root" | "namespace" | "database";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface RemoteTarget {
  readonly kind: "remote";
  /** `ws`, `wss`, `http` or `https`; without credentials. */
  readonly url: string;
  /** null: sign in as nobody. */
  readonly credentials: Credentials | null;
  /** null: try root, then the namespace, then the database. */
  readonly level: AuthLevel | null;
  readonly namespace: string;
  readonly database: string;
}

export interface EmbeddedTarget {
  readonly kind: "embedded";
  readonly dir: string;
}

/** An embedded store that a daemon has open and serves on its socket, where everybody is its owner. */
export interface DaemonTarget {
  readonly kind: "daemon";
  readonly socket: string;
  /** The store's folder. */
  readonly dir: string;
}

/** A store that another process has open. */
export type ServedTarget = RemoteTarget | DaemonTarget;

export type StoreTarget = EmbeddedTarget | ServedTarget;

export const NAMESPACE = "nabi";
export const DATABASE = "conversations";

/**
 * The store that the settings name: a server where they have a URL, else the embedded one. User and password come from
 * the URL, else from their own fields.
 */
export function resolveTarget({
  surrealdb,
  storeDir,
}: Pick<Settings, "surrealdb" | "storeDir">): EmbeddedTarget | RemoteTarget {
  if (surrealdb.url === null) return { kind: "embedded", dir: storeDir };
  const url = new URL(surrealdb.url);
  const username = decodeURIComponent(url.username) || surrealdb.user || "";
  const password = decodeURIComponent(url.password) || surrealdb.pass || "";
  return {
    kind: "remote",
    url: withoutCredentials(surrealdb.url),
    credentials: username === "" ? null : { username, password },
    level: surrealdb.authLevel,
    namespace: surrealdb.namespace,
    database: surrealdb.database,
  };
}

/** Where a store is, for people and for the names of files: never with a user or a password. */
export function locationOf(target: StoreTarget): string {
  if (target.kind !== "remote") return `rocksdb://${target.dir}`;
  const { protocol, host, pathname } = new URL(target.url);
  return `${protocol}//${host}${pathname.replace(/\/(rpc\/?)?$/, "")} (${target.namespace}/${target.database})`;
}

/** A URL that was understood, without its user and password. */
export function withoutCredentials(text: string): string {
  const url = new URL(text);
  url.username = "";
  url.password = "";
  return url.href;
}
