// Which store to use: the embedded one in a folder, or a SurrealDB server with a namespace and a database.
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

export type StoreTarget = EmbeddedTarget | RemoteTarget;

export const NAMESPACE = "nabi";
export const DATABASE = "conversations";

/**
 * The store that the settings name: a server where they have a URL, else the embedded one. User and password come from
 * the URL, else from their own fields.
 */
export function resolveTarget({ surrealdb, storeDir }: Pick<Settings, "surrealdb" | "storeDir">): StoreTarget {
  if (surrealdb.url === null) return { kind: "embedded", dir: storeDir };
  const url = new URL(surrealdb.url);
  const username = decodeURIComponent(url.username) || surrealdb.user || "";
  const password = decodeURIComponent(url.password) || surrealdb.pass || "";
  return {
    kind: "remote",
    url: withoutCredentials(surrealdb.url),
    credentials: username === "" ? null : { username, password },
    level: surrealdb.authLevel,
    namespace: surrealdb.namespace ?? NAMESPACE,
    database: surrealdb.database ?? DATABASE,
  };
}

/** Where a store is, for people and for the names of files: never with a user or a password. */
export function locationOf(target: StoreTarget): string {
  if (target.kind === "embedded") return `rocksdb://${target.dir}`;
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
