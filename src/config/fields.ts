// The fields of riffd's configuration: where each may be given, what it holds, and what it is when it is not given. The
// table in docs/configuration.md is written from this one (`npm run docs`), and a test tells when it is stale.
import { availableParallelism } from "node:os";
import { LOG_LEVELS } from "../sync/logger.ts";
import { DATABASE, NAMESPACE } from "./store-target.ts";

interface Common {
  readonly env: string;
  /** The option of those commands that use it. */
  readonly flag: string | null;
  /** A password has no place in the file. */
  readonly inFile: boolean;
  /** Whether a daemon that is told to read its configuration again takes it at once; else it is to be started again. */
  readonly reload: boolean;
  /** What it is, for docs/configuration.md. */
  readonly about: string;
  /** What the default is, where that depends on the machine. */
  readonly otherwise?: string;
}

/** Relative paths of the file are taken from the file's folder. */
interface PlainField extends Common {
  readonly kind:
    | "text"
    | "secret"
    | "folder"
    | "folders"
    | "patterns"
    | "file"
    | "url"
    | "origins"
    | "address"
    | "socket";
  readonly default?: string;
}

interface BooleanField extends Common {
  readonly kind: "boolean";
  readonly default: boolean;
}

interface IntegerField extends Common {
  readonly kind: "integer";
  readonly unit: "ms" | "s" | null;
  readonly least: number;
  readonly most: number;
  readonly default: number;
}

export interface ChoiceField extends Common {
  readonly kind: "choice";
  readonly choices: readonly string[];
  readonly default?: string;
}

export type Field = PlainField | BooleanField | IntegerField | ChoiceField;

/** By their names in the file. */
export const FIELDS = {
  projects: {
    kind: "folders",
    env: "RIFFD_PROJECTS",
    flag: "--projects",
    inFile: true,
    reload: true,
    about: "folders with projects to read",
    otherwise: "Claude Code's",
  },
  include: {
    kind: "patterns",
    env: "RIFFD_INCLUDE",
    flag: "--include",
    inFile: true,
    reload: true,
    about: "patterns: only these projects are read",
    otherwise: "all",
  },
  exclude: {
    kind: "patterns",
    env: "RIFFD_EXCLUDE",
    flag: "--exclude",
    inFile: true,
    reload: true,
    about: "patterns: these projects are not read, also if they are included",
    otherwise: "none",
  },
  operator: {
    kind: "text",
    env: "RIFFD_OPERATOR",
    flag: "--operator",
    inFile: true,
    reload: false,
    about: "who stands on commits and events",
    default: "cli",
  },
  state_dir: {
    kind: "folder",
    env: "RIFFD_STATE_DIR",
    flag: null,
    inFile: true,
    reload: false,
    about: "the state folder; with it alone, the store is below it",
    otherwise: "the system's place for it",
  },
  store_dir: {
    kind: "folder",
    env: "RIFFD_STORE_DIR",
    flag: null,
    inFile: true,
    reload: false,
    about: "the embedded store",
    otherwise: "the system's place for it",
  },
  surrealdb_url: {
    kind: "url",
    env: "SURREALDB_URL",
    flag: "--surrealdb-url",
    inFile: true,
    reload: false,
    about: "a SurrealDB server (`ws:`, `wss:`, `http:`, `https:`) instead of the embedded store",
  },
  surrealdb_user: {
    kind: "text",
    env: "SURREALDB_USER",
    flag: null,
    inFile: true,
    reload: false,
    about: "the user to sign in there",
  },
  surrealdb_pass: {
    kind: "secret",
    env: "SURREALDB_PASS",
    flag: null,
    inFile: false,
    reload: false,
    about: "the password; not in the file",
  },
  surrealdb_pass_file: {
    kind: "file",
    env: "SURREALDB_PASS_FILE",
    flag: null,
    inFile: true,
    reload: false,
    about: "a file with the password on its first line, which only its owner can read (0600)",
  },
  surrealdb_namespace: {
    kind: "text",
    env: "SURREALDB_NS",
    flag: null,
    inFile: true,
    reload: false,
    about: "the namespace on the server",
    default: NAMESPACE,
  },
  surrealdb_database: {
    kind: "text",
    env: "SURREALDB_DB",
    flag: null,
    inFile: true,
    reload: false,
    about: "the database on the server",
    default: DATABASE,
  },
  surrealdb_auth_level: {
    kind: "choice",
    choices: ["root", "namespace", "database"],
    env: "SURREALDB_AUTH_LEVEL",
    flag: null,
    inFile: true,
    reload: false,
    about: "where the user is defined",
    otherwise: "tried in this order",
  },
  serve_user: {
    kind: "text",
    env: "RIFFD_SERVE_USER",
    flag: "--user",
    inFile: true,
    reload: false,
    about: "the user that `riffd serve` makes, or gives this password",
  },
  serve_pass: {
    kind: "secret",
    env: "RIFFD_SERVE_PASS",
    flag: null,
    inFile: false,
    reload: false,
    about: "its password; not in the file",
  },
  serve_pass_file: {
    kind: "file",
    env: "RIFFD_SERVE_PASS_FILE",
    flag: null,
    inFile: true,
    reload: false,
    about: "a file with that password on its first line, which only its owner can read (0600)",
  },
  debounce_ms: {
    kind: "integer",
    unit: "ms",
    least: 10,
    most: 60_000,
    default: 100,
    env: "RIFFD_DEBOUNCE_MS",
    flag: null,
    inFile: true,
    reload: true,
    about: "how long a transcript must not have changed before it is read",
  },
  debounce_max_ms: {
    kind: "integer",
    unit: "ms",
    least: 10,
    most: 600_000,
    default: 1_000,
    env: "RIFFD_DEBOUNCE_MAX_MS",
    flag: null,
    inFile: true,
    reload: true,
    about: "after how long it is read although it goes on changing; never less than `debounce_ms`",
  },
  rescan_s: {
    kind: "integer",
    unit: "s",
    least: 1,
    most: 86_400,
    default: 60,
    env: "RIFFD_RESCAN_S",
    flag: null,
    inFile: true,
    reload: true,
    about: "how often all transcripts are looked at, for changes that nobody told of",
  },
  settle_s: {
    kind: "integer",
    unit: "s",
    least: 1,
    most: 3_600,
    default: 5,
    env: "RIFFD_SETTLE_S",
    flag: null,
    inFile: true,
    reload: true,
    about: "how long a transcript must be quiet until its unfinished last line and absent parents are decided",
  },
  poll: {
    kind: "boolean",
    default: false,
    env: "RIFFD_POLL",
    flag: "--poll",
    inFile: true,
    reload: false,
    about:
      "look at transcripts again and again, where the system does not tell of changes (network and container mounts)",
  },
  poll_ms: {
    kind: "integer",
    unit: "ms",
    least: 100,
    most: 600_000,
    default: 1_000,
    env: "RIFFD_POLL_MS",
    flag: null,
    inFile: true,
    reload: false,
    about: "how often, with `poll`",
  },
  concurrency: {
    kind: "integer",
    unit: null,
    least: 1,
    most: 64,
    default: Math.min(8, Math.max(2, availableParallelism())),
    otherwise: "the cores, 2 to 8",
    env: "RIFFD_CONCURRENCY",
    flag: null,
    inFile: true,
    reload: true,
    about: "sessions in work at a time",
  },
  drain_s: {
    kind: "integer",
    unit: "s",
    least: 1,
    most: 3_600,
    default: 20,
    env: "RIFFD_DRAIN_S",
    flag: null,
    inFile: true,
    reload: false,
    about: "how long what is in work may take when the daemon is to end",
  },
  log_level: {
    kind: "choice",
    choices: LOG_LEVELS,
    default: "info",
    env: "RIFFD_LOG_LEVEL",
    flag: "--log-level",
    inFile: true,
    reload: true,
    about: "the least that the daemon's log says",
  },
  log_format: {
    kind: "choice",
    choices: ["auto", "json", "pretty"],
    default: "auto",
    env: "RIFFD_LOG_FORMAT",
    flag: "--log-format",
    inFile: true,
    reload: false,
    about: "one JSON object a line, or lines for people; `auto` is `pretty` on a terminal",
  },
  log_file: {
    kind: "file",
    env: "RIFFD_LOG_FILE",
    flag: null,
    inFile: true,
    reload: false,
    about: "a file for the daemon's log: 10 MB, and four more that it was before",
    otherwise: "stdout",
  },
  rpc_listen: {
    kind: "address",
    env: "RIFFD_RPC_LISTEN",
    flag: "--rpc-listen",
    inFile: true,
    reload: false,
    about:
      "a TCP address, `host:port` or a port of this machine, where the daemon serves SurrealDB's clients; or `none`",
    default: "none",
  },
  rpc_allow_origin: {
    kind: "origins",
    env: "RIFFD_RPC_ALLOW_ORIGIN",
    flag: null,
    inFile: true,
    reload: false,
    about: "web pages that may connect there, such as `https://tools.example.org`",
    otherwise: "those of this machine",
  },
  socket: {
    kind: "socket",
    env: "RIFFD_SOCKET",
    flag: null,
    inFile: true,
    reload: false,
    about: "the daemon's control socket, in a folder that only its owner can enter",
    otherwise: "in the state folder",
  },
} as const satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;

export const FIELD_NAMES = Object.keys(FIELDS) as FieldName[];

/** What separates the parts of a list in a variable; null: the field holds no list. */
export function separatorOf({ kind }: Field): string | null {
  if (kind === "folders" || kind === "patterns") return ":";
  return kind === "origins" ? "," : null;
}
