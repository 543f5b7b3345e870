// Opens a store with everything that belongs to it: schema, host row, heads.

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { findHostId, type Paths, readHostId } from "../config/paths.ts";
import { locationOf, type StoreTarget } from "../config/store-target.ts";
import { RiffError } from "../errors.ts";
import type { Database } from "./database.ts";
import { EmbeddedDatabase } from "./embedded-database.ts";
import { createPrivateFolder, openEngine } from "./engine.ts";
import { Heads, type Setback } from "./heads.ts";
import { RemoteDatabase, type RemoteEvents } from "./remote-database.ts";
import { applyMigrations, readMigrations, schemaFault, schemaStatus } from "./schema.ts";
import { copyStore, storeExists } from "./store-copy.ts";
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
  /** Only reads; then no rights to write are needed. */
  readonly readOnly: boolean;
  readonly events: RemoteEvents;
  /** Aborted: waiting for a server ends. */
  readonly signal: AbortSignal;
}

const QUIETLY: OpenOptions = {
  readOnly: false,
  events: { away: () => {}, back: () => {} },
  signal: new AbortController().signal,
};

/** Opens the database of a target, whatever is in it. Throws the codes of `openEngine` and `RemoteDatabase.open`. */
export async function openDatabase(target: StoreTarget, options: OpenOptions = QUIETLY): Promise<Database> {
  if (target.kind === "remote") return RemoteDatabase.open(target, options.events, options.signal);
  return new EmbeddedDatabase(await openEngine(target.dir), locationOf(target));
}

/** Opens a store; one that is new gets its schema. Throws the codes of `openDatabase` and `applyMigrations`. */
export async function openStore(
  target: StoreTarget,
  { stateDir }: Pick<Paths, "stateDir">,
  options: OpenOptions = QUIETLY,
): Promise<OpenStore> {
  createPrivateFolder(stateDir);
  const host = readHostId(stateDir);
  const database = await openDatabase(target, options);
  await prepareSchema(target, database);
  if (!options.readOnly) await registerHost(database, host);
  const store = new SurrealStore(database);
  const heads = Heads.open(stateDir, headsKey(target));
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
 * An embedded store is brought to this riffd's schema. On a server, which others may share, only a database that has none
 * is set up; an older one is its owner's to bring up to date.
 */
async function prepareSchema(target: StoreTarget, database: Database): Promise<void> {
  const migrations = readMigrations();
  const status = await schemaStatus(database, migrations);
  const fault = schemaFault(status);
  if (fault === null) return;
  if (status.state !== "fresh" && (target.kind === "remote" || status.state !== "older")) throw fault;
  await applyMigrations(database, migrations);
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

/** One for each database, however it is reached. */
export function headsKey(target: StoreTarget): string {
  if (target.kind === "embedded") return locationOf(target);
  return `surrealdb://${new URL(target.url).host}/${target.namespace}/${target.database}`;
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
    const copy = await copyStore(target.dir);
    try {
      const database = new EmbeddedDatabase(await openEngine(copy.dir), view.location);
      await applyMigrations(database, readMigrations());
      return await over(database, async () => {
        await database.close();
        copy.remove();
      });
    } catch (thrown) {
      copy.remove();
      if (!(thrown instanceof RiffError)) throw thrown;
      throw new RiffError(thrown.code, thrown.message.replaceAll(copy.dir, target.dir), thrown.hint, thrown.cause);
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
