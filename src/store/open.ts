// Opens the embedded store with everything that belongs to it: schema, host row, heads.

import { hostname } from "node:os";
import type { Surreal } from "surrealdb";
import { type Paths, readHostId } from "../config/paths.ts";
import { createPrivateFolder, openEngine } from "./engine.ts";
import { Heads, type Setback } from "./heads.ts";
import { applyMigrations, readMigrations } from "./schema.ts";
import { SurrealStore } from "./surreal-store.ts";
import { run } from "./transaction.ts";

export interface OpenStore {
  readonly store: SurrealStore;
  readonly heads: Heads;
  readonly host: string;
  /** Sessions that the store is behind on: it was rolled back or damaged. */
  readonly setbacks: readonly Setback[];
  /** Closes heads and store; the engine's lock is held until the process ends. */
  close(): Promise<void>;
}

/** Opens (or creates) the embedded store. Throws the codes of `openEngine` and `applyMigrations`. */
export async function openStore(paths: Paths): Promise<OpenStore> {
  createPrivateFolder(paths.stateDir);
  const host = readHostId(paths.stateDir);
  const db: Surreal = await openEngine(paths.storeDir);
  await applyMigrations(db, readMigrations());
  const store = new SurrealStore(db, `rocksdb://${paths.storeDir}`);
  await run(
    db,
    `IF (SELECT VALUE id FROM ONLY type::record('host', $host)) IS NONE
       { INSERT IGNORE INTO host {id: $host, name: $name, first_seen: time::now()} RETURN NONE }`,
    { host, name: hostname() },
  );
  const heads = Heads.open(paths.stateDir, store.location);
  const setbacks = heads.size === 0 ? [] : heads.setbacks(await store.chainHeads());
  return {
    store,
    heads,
    host,
    setbacks,
    async close() {
      heads.close();
      await store.close();
    },
  };
}
