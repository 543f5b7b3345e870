// Opens a store with everything that belongs to it: schema, host row, heads.

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Surreal } from "surrealdb";
import { findHostId, type Paths, readHostId } from "../config/paths.ts";
import { type EmbeddedTarget, locationOf, type StoreTarget } from "../config/store-target.ts";
import { RiffError } from "../errors.ts";
import { createPrivateFolder } from "../private-folder.ts";
import type { Database } from "./database.ts";
import { EmbeddedDatabase } from "./embedded-database.ts";
import { openEngine } from "./engine.ts";
import { storeExists } from "./engine-files.ts";
import { Heads, headsKey, type Setback } from "./heads.ts";
import { type Patience, RemoteDatabase, type RemoteEvents } from "./remote-database.ts";
import { applyMigrations, readMigrations, schemaFault, schemaStatus } from "./schema.ts";
import { copyStore } from "./store-copy.ts";
import { SurrealStore } from "./surreal-store.ts";

export interface OpenStore {
  readonly store: SurrealStore;
  readonly heads: Heads;
  readonly host: string;
  /** Sessions that the store is behind on: it was rolled back or damaged. */
  readonly setbacks: readonly Setback[];
  /** Closes heads and store; an embedded engine's lock is held until the process ends. */
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Only reads; then no rights to write are needed, and an older schema stays as it is. */
  readonly readOnly: boolean;
  /** Whoever reads takes an older schema as it is; else an embedded store is brought up to date in a copy. */
  readonly takesOlderSchema?: boolean;
  readonly events: RemoteEvents;
  /** Aborted: waiting for a server ends. */
  readonly signal: AbortSignal;
  /** With a server; that of a command if left out. */
  readonly patience?: Patience;
  /** How long an embedded store's lock is waited for; a few seconds if left out. */
  readonly lockWaitMs?: number;
}

const QUIETLY: OpenOptions = {
  readOnly: false,
  events: { away: () => {}, back: () => {} },
  signal: new AbortController().signal,
};

/** Opens the database of a target, whatever is in it. Throws the codes of `openEngine` and `RemoteDatabase.open`. */
export async function openDatabase(target: StoreTarget, options: OpenOptions = QUIETLY): Promise<Database> {
  if (target.kind !== "embedded") return RemoteDatabase.open(target, options.events, options.signal, options.patience);
  return new EmbeddedDatabase(await openEngine(target.dir, options.lockWaitMs), locationOf(target));
}

/** Opens a store; one that is new gets its schema. Throws the codes of `openDatabase` and `applyMigrations`. */
export async function openStore(
  target: StoreTarget,
  { stateDir }: Pick<Paths, "stateDir">,
  options: OpenOptions = QUIETLY,
): Promise<OpenStore> {
  createPrivateFolder(stateDir);
  const host = readHostId(stateDir);
  const database = await openWithSchema(target, options);
  if (!options.readOnly) await registerHost(database, host);
  const store = new SurrealStore(database);
  // Making the file smaller would cut off a daemon that is writing to it.
  const isOnlyRead = options.readOnly || target.kind === "daemon";
  const heads = isOnlyRead ? Heads.read(stateDir, headsKey(target)) : Heads.open(stateDir, headsKey(target));
  const setbacks = heads.size === 0 ? [] : heads.setbacks(await store.chainHeads());
  return {
    store,
    heads,
    host,
    setbacks,
    async close() {
      heads.close();
      await database.close();
    },
  };
}

/**
 * Who writes to an embedded store brings it to this riffd's schema first; who reads leaves that to others, so that an earlier
 * riffd can still be gone back to. On a server, which others may share, only a database that has none is set up; an older one
 * is its owner's to bring up to date, and a daemon's is the daemon's.
 */
async function openWithSchema(target: StoreTarget, options: OpenOptions): Promise<Database> {
  const database = await openDatabase(target, options);
  const migrations = readMigrations();
  const status = await schemaStatus(database, migrations);
  const fault = schemaFault(status);
  if (fault === null) return database;
  if (status.state === "older" && target.kind === "daemon") throw olderDaemon(database.location);
  if (status.state === "older" && options.readOnly) {
    if (options.takesOlderSchema) return database;
    if (target.kind === "embedded") {
      await database.close();
      return openMigratedCopy(target);
    }
  }
  if (status.state !== "fresh" && (target.kind === "remote" || status.state !== "older")) throw fault;
  await applyMigrations(database, migrations);
  return database;
}

/** Notes this machine in the store; a store that leaves the row out, and says nothing, denies all others too. */
async function registerHost(database: Database, host: string): Promise<void> {
  const [, name] = await database.run<[unknown, unknown]>(
    `INSERT IGNORE INTO host {id: $host, name: $name, first_seen: time::now()} RETURN NONE;
     SELECT VALUE name FROM ONLY type::record('host', $host)`,
    { host, name: hostname() },
  );
  if (typeof name === "string") return;
  throw new RiffError(
    "RIFF_PERMISSION_DENIED",
    `The user may not write to the store at ${database.location}. Nothing was written.`,
    "Use a user with the role EDITOR or OWNER in this database (SURREALDB_USER, SURREALDB_PASS).",
  );
}

/**
 * Where a store that was rolled back has been brought up to date from the files, its chains are what this machine knows
 * from now on. A chain that is as long as it was but another one was not rolled back: that stays told. `read`: ids of the
 * sessions that were read.
 */
export async function adoptHeads(
  { store, heads, setbacks }: Pick<OpenStore, "store" | "heads" | "setbacks">,
  read: ReadonlySet<string>,
): Promise<void> {
  const healed = setbacks.filter(
    ({ sessionId, expected, found }) => found !== null && found.chain < expected.chain && read.has(sessionId),
  );
  if (healed.length === 0) return;
  const chains = new Map((await store.chainHeads()).map((row) => [row.session_id, row]));
  for (const { sessionId } of healed) {
    const now = chains.get(sessionId);
    if (now !== undefined && now.head !== heads.find(sessionId)?.head) heads.advance(sessionId, now.chain, now.head);
  }
}

/** Its schema is not to change below it. */
export function olderDaemon(location: string): RiffError {
  return new RiffError(
    "RIFF_DAEMON_RUNNING",
    `The daemon that has the store ${location} is of an older riffd than this one.`,
    "Stop it (`riffd stop`) and start this one: that brings the store's schema up to date.",
  );
}

/** A store that is only looked at. */
export interface StoreView {
  /** null: there is none yet. */
  readonly base: SurrealStore | null;
  /** Of the store itself, not of a copy of it. */
  readonly location: string;
  /** This machine's id; one that is not kept, where it has none yet. */
  readonly host: string;
  readonly setbacks: readonly Setback[];
  close(): Promise<void>;
}

/**
 * Looks at a store as it is now: at a copy of an embedded one, so that neither its files nor the state folder are touched,
 * or made where there are none; at a server's by reading alone. Throws the codes of `openStore`, and those of `copyStore`.
 */
export async function openStoreView(
  target: StoreTarget,
  { stateDir }: Pick<Paths, "stateDir">,
  events: RemoteEvents,
  signal: AbortSignal,
): Promise<StoreView> {
  const heads = Heads.read(stateDir, headsKey(target));
  const view = { location: locationOf(target), host: findHostId(stateDir) ?? randomUUID() };
  const over = async (database: Database, close: () => Promise<void>): Promise<StoreView> => {
    const base = new SurrealStore(database);
    return { ...view, base, setbacks: heads.size === 0 ? [] : heads.setbacks(await base.chainHeads()), close };
  };
  const nothing: StoreView = { ...view, base: null, setbacks: heads.setbacks([]), close: async () => {} };
  if (target.kind === "embedded") {
    if (!storeExists(target.dir)) return nothing;
    const database = await openMigratedCopy(target);
    try {
      return await over(database, () => database.close());
    } catch (thrown) {
      await database.close();
      throw thrown;
    }
  }
  const database = await RemoteDatabase.open(target, events, signal);
  const status = await schemaStatus(database, readMigrations());
  if (status.state === "fresh") {
    await database.close();
    return nothing;
  }
  const fault = schemaFault(status);
  if (fault !== null) throw fault;
  return over(database, () => database.close());
}

/**
 * A copy of an embedded store, which is gone when it is closed: neither the store's files nor the state folder are touched.
 * Throws the codes of `openEngine` and `copyStore`.
 */
export async function openStoreCopy(target: EmbeddedTarget): Promise<Database> {
  const copy = await copyStore(target.dir);
  try {
    return new CopiedDatabase(await openEngine(copy.dir), locationOf(target), () => copy.remove());
  } catch (thrown) {
    copy.remove();
    if (!(thrown instanceof RiffError)) throw thrown;
    throw new RiffError(thrown.code, thrown.message.replaceAll(copy.dir, target.dir), thrown.hint, thrown.cause);
  }
}

/** The same, brought to this riffd's schema. Throws the codes of `openStoreCopy` and `applyMigrations`. */
async function openMigratedCopy(target: EmbeddedTarget): Promise<Database> {
  const database = await openStoreCopy(target);
  try {
    await applyMigrations(database, readMigrations());
    return database;
  } catch (thrown) {
    await database.close();
    throw thrown;
  }
}

class CopiedDatabase extends EmbeddedDatabase {
  readonly #remove: () => void;

  constructor(surreal: Surreal, location: string, remove: () => void) {
    super(surreal, location);
    this.#remove = remove;
  }

  override async close(): Promise<void> {
    await super.close();
    this.#remove();
  }
}
