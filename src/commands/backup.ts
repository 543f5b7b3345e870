import { join, resolve } from "node:path";
import { statIfThere } from "../absent.ts";
import { backupOf, untilStill } from "../backup/backup.ts";
import { RiffError } from "../errors.ts";
import type { OpenStore } from "../store/open.ts";
import { readMigrations } from "../store/schema.ts";
import { Snapshot } from "../store/snapshot.ts";
import { formatBytes, type Output, plural } from "./output.ts";
import { startProgress } from "./progress.ts";
import { openChosenStore, type StoreOptions } from "./store.ts";
import { type FileKind, refuseToReplace, writeWholeFile } from "./whole-file.ts";

export interface BackupCommandOptions extends StoreOptions {
  readonly force: boolean;
  readonly json: boolean;
  /** Of riffd. */
  readonly version: string;
}

const BACKUP: FileKind = { code: "RIFF_BACKUP_FAILED", otherName: "name" };

/** Runs the command; returns its exit code. Throws RiffError. */
export async function backupCommand(
  target: string,
  options: BackupCommandOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const started = performance.now();
  const created = new Date().toISOString();
  const file = chooseFile(target, created);
  refuseToReplace(file, options.force, BACKUP);
  const opened = await openChosenStore(options, output, signal, { readOnly: true, takesOlderSchema: true });
  try {
    const written = await untilStill(() => writeBackup(opened, file, created, options, signal));
    const { foreign, sessions, messages, bytes } = written;
    if (foreign.length > 0)
      output.note(`Not in the backup, as they are not riffd's: the tables ${foreign.join(", ")}.`);
    const duration_ms = Math.round(performance.now() - started);
    if (options.json) output.line(JSON.stringify({ file, sessions, messages, bytes, duration_ms }));
    else {
      const what = `${plural(sessions, "session")}, ${plural(messages, "message")}`;
      output.line(`✓ ${what} → ${file} (${formatBytes(bytes)}) · ${(duration_ms / 1000).toFixed(1)} s`);
    }
    return 0;
  } finally {
    await opened.close();
  }
}

async function writeBackup(
  { store }: OpenStore,
  file: string,
  created: string,
  { force, json, version }: BackupCommandOptions,
  signal: AbortSignal,
) {
  const snapshot = await Snapshot.take(store.db, readMigrations());
  const { foreign, sessions, counts } = snapshot;
  const rows = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const progress = json ? null : startProgress(rows, "rows");
  try {
    const chunks = backupOf(snapshot, {
      riffd: version,
      created,
      store: store.location,
      signal,
      onRows: (count) => progress?.increment(count),
    });
    const bytes = await writeWholeFile(file, chunks, force, BACKUP);
    const messages = sessions.reduce((sum, { message_count }) => sum + message_count, 0);
    return { bytes, foreign, sessions: sessions.length, messages };
  } finally {
    progress?.stop();
    await snapshot.close();
  }
}

/** In a folder the file is named by the time. */
function chooseFile(target: string, created: string): string {
  const path = resolve(target);
  const isFolder = statIfThere(path)?.isDirectory() ?? false;
  if (isFolder) return join(path, `riffd-${created.slice(0, 19).replaceAll(/[-:]/g, "")}Z.riffd-backup`);
  if (!/[/\\]$/.test(target)) return path;
  throw new RiffError("RIFF_BACKUP_FAILED", `There is no folder ${path}.`, "Create it, or name the file itself.");
}
