import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { statIfThere } from "../absent.ts";
import { type ErrorCode, RiffError, toError } from "../errors.ts";

/** What a failure is called, and how to name another file, for people. */
export interface FileKind {
  readonly code: ErrorCode;
  /** As in "Choose another name with -o". */
  readonly otherName: string;
}

/**
 * Writes `chunks` to a file that only its owner can read. What is there is replaced only with `force`; whatever fails, a
 * file of that name is as it was. Returns the number of bytes. Throws a RiffError of `kind.code`, or what `chunks` throw
 * as one.
 */
export async function writeWholeFile(
  target: string,
  chunks: AsyncIterable<Uint8Array>,
  force: boolean,
  kind: FileKind,
): Promise<number> {
  const temporary = `${target}.riffd-${process.pid}`;
  let file: FileHandle | null = null;
  try {
    let bytes = 0;
    file = await open(temporary, "wx", 0o600);
    for await (const chunk of chunks) {
      await file.writeFile(chunk);
      bytes += chunk.length;
    }
    await file.sync();
    await file.close();
    refuseToReplace(target, force, kind);
    await rename(temporary, target);
    await syncFolder(dirname(target));
    return bytes;
  } catch (thrown) {
    if (file !== null) {
      await file.close().catch(() => {}); // it may be closed; what has failed is told below
      await rm(temporary, { force: true });
    }
    if (thrown instanceof RiffError) throw thrown;
    throw new RiffError(
      kind.code,
      `Cannot write ${target}: ${toError(thrown).message}`,
      `Check that its folder exists, who owns it, and the free space of its disk; or choose another ${kind.otherName}.`,
      thrown,
    );
  }
}

/** Makes a rename in a folder durable, where folders can be synced. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => null);
  if (handle === null) return;
  await handle.sync().catch(() => {}); // not every file system can
  await handle.close();
}

/** Throws if something stands at `target` that is not to be replaced: a file without `force`, or no file at all. */
export function refuseToReplace(target: string, force: boolean, { code, otherName }: FileKind): void {
  const stats = statIfThere(target);
  if (stats === undefined || (force && stats.isFile())) return;
  throw new RiffError(
    code,
    stats.isFile() ? `There is already a file ${target}.` : `${target} is not a regular file.`,
    stats.isFile() ? `Choose another ${otherName}, or replace it with --force.` : `Choose another ${otherName}.`,
  );
}
