// The files of the embedded engine (RocksDB) in a store's folder, as far as riffd must know them before it opens one.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isAbsent } from "../absent.ts";
import { RiffError } from "../errors.ts";

/** Names the manifest, which names all other files. */
const CURRENT = "CURRENT";
/** Rows, large values, and what was written last. */
const DATA = /^\d+\.(sst|blob|log)$/;

/** Whether there is a store in `dir`, whole or not. */
export function storeExists(dir: string): boolean {
  return namesIn(dir).some((name) => name === CURRENT || DATA.test(name));
}

/**
 * To be called before an engine is opened in `dir`. Throws RIFF_STORE_DAMAGED where there is data to which no file leads: the
 * engine would make a new store in its place, and delete the data as files it does not know.
 */
export function refuseHeadless(dir: string): void {
  if (!namesIn(dir).some((name) => DATA.test(name))) return;
  // Looked at twice: an engine that has it open may just have turned to another manifest.
  if (missingLink(dir) === null) return;
  const missing = missingLink(dir);
  if (missing === null) return;
  throw new RiffError(
    "RIFF_STORE_DAMAGED",
    `The store ${dir} is damaged: ${missing}, so the engine cannot find its data. Nothing was touched.`,
    "Put that file back, or restore the store from a backup. Else move the folder away and run `riffd sync --all` to read all files again; keep it, for tools for RocksDB may repair it.",
  );
}

/** What is missing on the way to the data; null: nothing. */
function missingLink(dir: string): string | null {
  const current = readIfThere(join(dir, CURRENT));
  if (current === null) return `its file ${CURRENT} is missing`;
  const manifest = /^(MANIFEST-\d+)\n$/.exec(current)?.[1];
  if (manifest === undefined) return `its file ${CURRENT} names no manifest`;
  return existsSync(join(dir, manifest)) ? null : `its file ${manifest} is missing`;
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    if (isAbsent(thrown)) return null;
    throw thrown;
  }
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (thrown) {
    if (isAbsent(thrown)) return [];
    throw thrown;
  }
}
