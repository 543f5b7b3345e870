// A store's snapshot → the bytes of a backup file.
import { RiffError, toError } from "../errors.ts";
import { encodeBatch } from "../store/batch-codec.ts";
import { type Batch, type Snapshot, SnapshotMoved } from "../store/snapshot.ts";
import { type BackupEnd, type BackupHeader, encodeBackup } from "./format.ts";

export interface BackupOptions extends Omit<BackupHeader, "schema"> {
  readonly signal: AbortSignal;
  /** Told of each batch of rows. */
  onRows?(count: number): void;
}

/** The backup of `snapshot`. Throws RiffError, and SnapshotMoved as the snapshot does. */
export async function* backupOf(snapshot: Snapshot, options: BackupOptions): AsyncGenerator<Buffer> {
  const { riffd, created, store, signal, onRows } = options;
  const tables: Record<string, number> = Object.fromEntries([...snapshot.counts.keys()].map((table) => [table, 0]));
  async function* payloads(): AsyncGenerator<Uint8Array> {
    for await (const batch of snapshot.batches()) {
      if (signal.aborted) {
        throw new RiffError("RIFF_INTERRUPTED", "Interrupted. No backup was written.", "Run the same command again.");
      }
      yield encoded(batch);
      tables[batch.table]! += batch.rows.length;
      onRows?.(batch.rows.length);
    }
  }
  const end = (): BackupEnd => ({
    tables,
    messages: snapshot.sessions.reduce((sum, { message_count }) => sum + message_count, 0),
    heads: snapshot.sessions.map(({ id, chain, head }) => [String(id.id), chain, head]),
  });
  yield* encodeBackup({ riffd, created, store, schema: snapshot.schema }, payloads(), end);
}

function encoded(batch: Batch): Uint8Array {
  try {
    return encodeBatch(batch);
  } catch (thrown) {
    throw new RiffError(
      "RIFF_BACKUP_FAILED",
      `Rows of ${batch.table} cannot be put into a backup: ${toError(thrown).message}`,
      "`riffd verify --all` tells what is wrong with the store.",
      thrown,
    );
  }
}

/** Readings of a store that cannot be read at one moment. */
const MAX_ATTEMPTS = 3;

/** Runs `write` until nothing was written to the store while it read, but not for ever. Throws what it throws. */
export async function untilStill<T>(write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (thrown) {
      if (!(thrown instanceof SnapshotMoved) || attempt === MAX_ATTEMPTS) throw thrown;
    }
  }
}
