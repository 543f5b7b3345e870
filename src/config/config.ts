// The settings that commands and the daemon work by, from the fields of the configuration. All problems are told at once.
import type { LogLevel } from "../sync/logger.ts";
import { type Address, parseAddress } from "./address.ts";
import { FIELD_NAMES, FIELDS, type FieldName } from "./fields.ts";
import type { Environment } from "./paths.ts";
import { type ConfigProblem, configInvalid } from "./problems.ts";
import type { AuthLevel } from "./store-target.ts";
import { type FieldValues, type Flags, type Origins, resolveValues } from "./values.ts";

export interface Settings {
  /** Projects folders, absolute. */
  readonly projects: readonly string[];
  /** Patterns for the names of project folders; none: all are read. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly operator: string;
  readonly stateDir: string;
  readonly storeDir: string;
  readonly surrealdb: {
    /** null: the embedded store. */
    readonly url: string | null;
    readonly user: string | null;
    readonly pass: string | null;
    readonly namespace: string;
    readonly database: string;
    readonly authLevel: AuthLevel | null;
  };
  /** The user that `riffd serve` makes. */
  readonly serve: { readonly user: string | null; readonly pass: string | null };
  readonly daemon: DaemonSettings;
  /** By the fields' names: what all of the above is made of. */
  readonly values: FieldValues;
  readonly origins: Origins;
}

interface DaemonSettings {
  readonly debounceMs: number;
  /** Not less than `debounceMs`. */
  readonly debounceMaxMs: number;
  readonly rescanMs: number;
  readonly settleMs: number;
  readonly poll: boolean;
  readonly pollMs: number;
  readonly concurrency: number;
  readonly drainMs: number;
  readonly logLevel: LogLevel;
  readonly logFormat: "auto" | "json" | "pretty";
  /** null: stdout. */
  readonly logFile: string | null;
  /** null: not on TCP. */
  readonly rpcListen: Address | null;
  readonly rpcAllowOrigin: readonly string[];
  /** Of the control socket; null: in its usual place. */
  readonly socket: string | null;
}

/** Resolves the settings. Reads the config file, if there is one. Throws RIFF_CONFIG_INVALID. */
export function resolveSettings(
  flags: Flags,
  env: Environment,
  platform: NodeJS.Platform = process.platform,
): Settings {
  const { settings, problems } = examineSettings(flags, env, platform);
  if (problems.length > 0) throw configInvalid(problems);
  return settings;
}

/** The same, with all that is wrong; what is wrong is then as if it had not been given. */
export function examineSettings(
  flags: Flags,
  env: Environment,
  platform: NodeJS.Platform = process.platform,
): { readonly settings: Settings; readonly problems: readonly ConfigProblem[] } {
  const { values, origins, problems } = resolveValues(flags, env, platform);
  return { settings: settingsOf(values, origins), problems };
}

function settingsOf(values: FieldValues, origins: Origins): Settings {
  return {
    projects: values.projects,
    include: values.include,
    exclude: values.exclude,
    operator: values.operator,
    stateDir: values.state_dir,
    storeDir: values.store_dir,
    surrealdb: {
      url: values.surrealdb_url,
      user: values.surrealdb_user,
      pass: values.surrealdb_pass,
      namespace: values.surrealdb_namespace,
      database: values.surrealdb_database,
      authLevel: values.surrealdb_auth_level,
    },
    serve: { user: values.serve_user, pass: values.serve_pass },
    daemon: daemonSettings(values),
    values,
    origins,
  };
}

function daemonSettings(values: FieldValues): DaemonSettings {
  return {
    debounceMs: values.debounce_ms,
    debounceMaxMs: values.debounce_max_ms,
    rescanMs: values.rescan_s * 1000,
    settleMs: values.settle_s * 1000,
    poll: values.poll,
    pollMs: values.poll_ms,
    concurrency: values.concurrency,
    drainMs: values.drain_s * 1000,
    logLevel: values.log_level,
    logFormat: values.log_format,
    logFile: values.log_file,
    rpcListen: parseAddress(values.rpc_listen),
    rpcAllowOrigin: values.rpc_allow_origin,
    socket: values.socket,
  };
}

/** What the process knows and is never to tell. */
export function secretsOf({ surrealdb, serve }: Settings): string[] {
  const inUrl = surrealdb.url === null ? "" : decodeURIComponent(new URL(surrealdb.url).password);
  return [inUrl, surrealdb.pass ?? "", serve.pass ?? ""].filter((secret) => secret !== "");
}

/** Fields whose values are not the same. */
export interface SettingsDifference {
  /** What a running daemon takes at once. */
  readonly atOnce: readonly FieldName[];
  /** What it takes when it is started again. */
  readonly atRestart: readonly FieldName[];
}

export function diffSettings(before: Settings, after: Settings): SettingsDifference {
  const isSame = (name: FieldName) => JSON.stringify(before.values[name]) === JSON.stringify(after.values[name]);
  const changed = FIELD_NAMES.filter((name) => !isSame(name));
  return {
    atOnce: changed.filter((name) => FIELDS[name].reload),
    atRestart: changed.filter((name) => !FIELDS[name].reload),
  };
}

/** What a running daemon works by when it has taken what it may of `next`: the rest stays as it runs, until it is started again. */
export function withReloaded(running: Settings, next: Settings): Settings {
  const taken = FIELD_NAMES.filter((name) => FIELDS[name].reload);
  const mixed = <T extends Readonly<Record<FieldName, unknown>>>(kept: T, given: T): T => ({
    ...kept,
    ...Object.fromEntries(taken.map((name) => [name, given[name]])),
  });
  return settingsOf(mixed(running.values, next.values), mixed(running.origins, next.origins));
}
