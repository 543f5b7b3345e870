// A projects folder and a store to sync it into. One engine serves a test file; each workbench has a database of its
// own in it, so that many cases run without opening the engine again (its lock is held until the process ends).
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import type { Surreal } from "surrealdb";
import { NAMESPACE } from "../../src/config/store-target.ts";
import { discover } from "../../src/source/discover.ts";
import { localFiles } from "../../src/source/transcript-file.ts";
import type { Database } from "../../src/store/database.ts";
import { EmbeddedDatabase } from "../../src/store/embedded-database.ts";
import { openEngine } from "../../src/store/engine.ts";
import { applyMigrations, readMigrations } from "../../src/store/schema.ts";
import { SurrealStore } from "../../src/store/surreal-store.ts";
import type { SyncContext } from "../../src/sync/context.ts";
import { STEP_LIMITS, type StepLimits } from "../../src/sync/steps.ts";
import type { Store } from "../../src/sync/store.ts";
import { type PassOptions, type SessionReport, syncPass } from "../../src/sync/sync.ts";
import type { Snapshot } from "../model/model.ts";
import { TestServer } from "./server.ts";

const scratch: string[] = [];

/** The same tests, with the store in another process behind a WebSocket. */
const OVER_NETWORK = process.env.RIFFD_TEST_STORE === "websocket";

let engine: Promise<Surreal> | null = null;
let databases = 0;

async function embeddedDatabase(): Promise<Database> {
  const { db, database } = await emptyDatabase();
  const embedded = new EmbeddedDatabase(db, database);
  await applyMigrations(embedded, readMigrations());
  return embedded;
}

let server: Promise<TestServer> | null = null;
const connections: Database[] = [];
/** Workbenches in use at a time are fewer. */
const MAX_CONNECTIONS = 20;

async function servedDatabase(): Promise<Database> {
  server ??= TestServer.start(scratchFolder());
  const database = await (await server).open(await (await server).newDatabase());
  connections.push(database);
  if (connections.length > MAX_CONNECTIONS) await connections.shift()!.close();
  return database;
}

/** A new folder below the system's folder for temporary files; all are removed by `removeScratch`. */
export function scratchFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "riffd-test-")));
  scratch.push(folder);
  return folder;
}

/** Ends the server, if there is one, and removes what `scratchFolder` made; for `afterAll`. */
export async function removeScratch(): Promise<void> {
  if (server !== null) {
    for (const database of connections) await database.close();
    const { running } = await server;
    running.child.kill("SIGTERM");
    await running.ended;
  }
  for (const folder of scratch.splice(0)) rmSync(folder, { recursive: true, force: true });
}

export interface TestDatabase {
  readonly db: Surreal;
  readonly database: string;
}

/** The test file's engine; its own session is in no database of a workbench. */
export function testEngine(): Promise<Surreal> {
  engine ??= openEngine(join(scratchFolder(), "store"));
  return engine;
}

/** A new database without a schema, with a session of its own, so that several can be read side by side. */
export async function emptyDatabase(): Promise<TestDatabase> {
  const db = (await (await testEngine()).newSession()) as Surreal;
  const database = `test${++databases}`;
  await db.use({ namespace: NAMESPACE });
  await db.query(`DEFINE DATABASE ${database}`).collect();
  await db.use({ namespace: NAMESPACE, database });
  return { db, database };
}

/** A session of a new user of a database, who has this role in it. */
export async function signedIn({ db, database }: TestDatabase, role: "VIEWER" | "EDITOR" | "OWNER"): Promise<Surreal> {
  await db.query(`DEFINE USER OVERWRITE ${role} ON DATABASE PASSWORD 'secret' ROLES ${role}`).collect();
  const session = (await (await testEngine()).newSession()) as Surreal;
  await session.signin({ namespace: NAMESPACE, database, username: role, password: "secret" });
  return session;
}

export class Workbench {
  /** The projects folder. */
  readonly root: string;
  readonly store: SurrealStore;
  readonly heads = new Map<string, { chain: number; head: string }>();
  operator = "test";
  stepLimits: StepLimits = STEP_LIMITS;
  /** Wraps the store that a pass is given, to make it fail. */
  faults: (store: SurrealStore) => Store = (store) => store;

  private constructor(root: string, store: SurrealStore) {
    this.root = root;
    this.store = store;
  }

  /** An empty projects folder, or the one at `root`, and an empty store with the schema. */
  static async create({ root = scratchFolder() } = {}): Promise<Workbench> {
    return Workbench.over(await (OVER_NETWORK ? servedDatabase() : embeddedDatabase()), root);
  }

  /** The same over a database of its own that has the schema. */
  static over(database: Database, root = scratchFolder()): Workbench {
    return new Workbench(root, new SurrealStore(database));
  }

  /** On a database that has the schema already. */
  static on({ db, database }: TestDatabase): Workbench {
    return Workbench.over(new EmbeddedDatabase(db, database));
  }

  get context(): SyncContext {
    return {
      store: this.faults(this.store),
      heads: { advance: (id, chain, head) => this.heads.set(id, { chain, head }) },
      host: "host",
      operator: this.operator,
      quietMs: 60_000,
      stepLimits: this.stepLimits,
      concurrency: this.store.concurrency,
      now: () => new Date(),
      signal: new AbortController().signal,
    };
  }

  /** Makes the projects folder hold exactly the files of a snapshot. */
  lay(snapshot: Snapshot): void {
    const wanted = new Set(snapshot.map(({ path }) => path));
    for (const name of readdirSync(this.root, { recursive: true }) as string[]) {
      if (name.endsWith(".jsonl") && !wanted.has(name)) rmSync(join(this.root, name));
    }
    for (const { path, bytes, quiet } of snapshot) this.write(path, bytes, quiet);
  }

  /** Writes one file; a quiet one was last written an hour ago. */
  write(path: string, bytes: Buffer, quiet = true): string {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    if (quiet) {
      const hourAgo = Date.now() / 1000 - 3600;
      utimesSync(file, hourAgo, hourAgo);
    }
    return file;
  }

  /** One pass over everything; the last report of each session, by id. */
  async sync(
    options: Partial<PassOptions> = {},
    context: Partial<SyncContext> = {},
  ): Promise<Map<string, SessionReport>> {
    const reports = new Map<string, SessionReport>();
    await syncPass({ ...this.context, ...context }, localFiles, await discover([this.root]), {
      force: false,
      forceSessions: new Set(),
      only: null,
      ...options,
      onReport: (report) => {
        reports.set(report.sessionId, report);
        options.onReport?.(report);
      },
    });
    const failed = [...reports.values()].find((report) => report.error !== null);
    if (failed?.error) throw failed.error;
    return reports;
  }

  /** A path below the projects folder. */
  below(path: string): string {
    return relative(this.root, path);
  }
}
