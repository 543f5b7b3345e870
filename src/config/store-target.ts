// Which store to use: the embedded one in a folder, or a SurrealDB server with a namespace and a database.
import { RiffError } from "../errors.ts";

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

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The store that `asked` (a URL as typed) or SURREALDB_URL names, else the embedded one in `storeDir`. User and password
 * come from the URL, else from SURREALDB_USER and SURREALDB_PASS. Throws RIFF_USAGE; no message holds the password.
 */
export function resolveTarget(asked: string | undefined, env: Environment, storeDir: string): StoreTarget {
  const given = asked ?? env.SURREALDB_URL;
  if (!given) return { kind: "embedded", dir: storeDir };
  const from = asked === undefined ? "SURREALDB_URL" : "--surrealdb-url";
  const url = parseUrl(given, from);
  const username = decode(url.username, from) || env.SURREALDB_USER || "";
  const password = decode(url.password, from) || env.SURREALDB_PASS || "";
  return {
    kind: "remote",
    url: withoutCredentials(url.href),
    credentials: username === "" ? null : { username, password },
    level: parseLevel(env.SURREALDB_AUTH_LEVEL),
    namespace: env.SURREALDB_NS || NAMESPACE,
    database: env.SURREALDB_DB || DATABASE,
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

function parseUrl(text: string, from: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw usage(`${from} is not a URL.`);
  }
  if (!["ws:", "wss:", "http:", "https:"].includes(url.protocol)) {
    throw usage(`${from} begins with "${url.protocol}", which is no way to a SurrealDB server.`);
  }
  if (url.hostname === "") throw usage(`${from} names no host.`);
  if (url.search !== "" || url.hash !== "") throw usage(`${from} has a part after "${url.search[0] ?? "#"}".`);
  return url;
}

function decode(part: string, from: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw usage(`The user or the password in ${from} is not percent-encoded as URLs have it.`);
  }
}

function parseLevel(text: string | undefined): AuthLevel | null {
  if (!text) return null;
  if (text === "root" || text === "namespace" || text === "database") return text;
  throw new RiffError(
    "RIFF_USAGE",
    `SURREALDB_AUTH_LEVEL is "${text}".`,
    "It is root, namespace or database; without it they are tried in this order.",
  );
}

function usage(message: string): RiffError {
  return new RiffError(
    "RIFF_USAGE",
    message,
    "Give a URL such as ws://127.0.0.1:8000, wss://…, http://… or https://…; without one riffd uses its embedded store.",
  );
}
