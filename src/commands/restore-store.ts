import { resolve } from "node:path";
import { statIfThere } from "../absent.ts";
import { headsOf, migrationsOf, type ProvenBackup, proveBackup, restoreBackup } from "../backup/restore.ts";
import { resolveSettings } from "../config/config.ts";
import { createPrivateFolder } from "../private-folder.ts";
import { Heads, headsKey, type Setback } from "../store/heads.ts";
import { type Migration, readMigrations } from "../store/schema.ts";
import { formatBytes, formatCount, type Output, plural } from "./output.ts";
import { startProgress } from "./progress.ts";
import { reportSetbacks } from "./setbacks.ts";
import { choiceOf, openChosenDatabase, type StoreOptions } from "./store.ts";
import { refuseBesideDaemon } from "./store-way.ts";

export interface RestoreStoreOptions extends StoreOptions {
  /** Write nothing. */
  readonly check: boolean;
  readonly json: boolean;
}

const STOP_HINT =
  "Stop the daemon with `riffd stop`, and run this command again; or restore into another folder with RIFFD_STORE_DIR.";

/** Runs the command; returns its exit code. Throws RiffError. */
export async function restoreStoreCommand(
  file: string,
  options: RestoreStoreOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const started = performance.now();
  const path = resolve(file);
  const backup = await shown(path, "MB read", options, (onBatch) => proveBackup(path, { signal, onBatch }));
  const known = readMigrations();
  migrationsOf(backup, known);
  if (!options.check) await refuseBesideDaemon(choiceOf(options), "riffd restore-store", STOP_HINT);
  const store = options.check ? null : await restore(backup, known, options, output, signal);
  report(backup, store, options, started, output);
  return 0;
}

/** Returns where the store is. */
async function restore(
  backup: ProvenBackup,
  known: readonly Migration[],
  options: RestoreStoreOptions,
  output: Output,
  signal: AbortSignal,
): Promise<string> {
  const opened = await openChosenDatabase(options, output, signal);
  const onResume = (batches: number) =>
    output.note(`Going on after part ${formatCount(batches)} of ${formatCount(backup.batches)}, where it stopped.`);
  try {
    await shown(backup.path, "MB restored", options, (onBatch) =>
      restoreBackup(backup, opened, known, { signal, onResume, onBatch }),
    );
  } finally {
    await opened.close();
  }
  reportSetbacks(adoptHeads(backup, headsKey(choiceOf(options).target)), output);
  return opened.location;
}

/** Shows how far `work` has come with the file. */
async function shown<T>(
  path: string,
  what: string,
  { json }: RestoreStoreOptions,
  work: (onBatch: (read: number) => void) => Promise<T>,
): Promise<T> {
  const size = statIfThere(path)?.size ?? 0;
  const progress = json ? null : startProgress(Math.ceil(size / 1e6), what);
  try {
    return await work((read) => progress?.update(Math.floor(read / 1e6)));
  } finally {
    progress?.stop();
  }
}

function report(
  { path: file, size: bytes, sha256, header, end }: ProvenBackup,
  store: string | null,
  { json }: RestoreStoreOptions,
  started: number,
  output: Output,
): void {
  const { created } = header;
  const { heads, messages } = end;
  const duration_ms = Math.round(performance.now() - started);
  if (json) {
    const sessions = heads.length;
    output.line(JSON.stringify({ file, sha256, created, store, sessions, messages, bytes, duration_ms }));
    return;
  }
  const what = `${plural(heads.length, "session")}, ${plural(messages, "message")} as of ${created}`;
  const done = store === null ? `${file} is whole (${formatBytes(bytes)}): ${what}` : `${what} → ${store}`;
  output.line(`✓ ${done} · ${(duration_ms / 1000).toFixed(1)} s`);
}

/** From now on this machine knows the restored chains. What it knows to go further stays known, and is told. */
function adoptHeads(backup: ProvenBackup, key: string): Setback[] {
  const { stateDir } = resolveSettings({}, process.env);
  createPrivateFolder(stateDir);
  const heads = Heads.open(stateDir, key);
  try {
    const chains = headsOf(backup);
    heads.adopt(chains);
    return heads.setbacks(chains);
  } finally {
    heads.close();
  }
}
