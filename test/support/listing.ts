// What stands below a folder, so that it can be compared before and after.
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sha256Hex } from "../../src/core/hash.ts";

/** Every folder and file below `folder`, itself included, with its mode, size, time of change and SHA-256. */
export function listing(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true }) as string[];
  return ["", ...names].sort().map((name) => {
    const path = join(folder, name);
    const stats = lstatSync(path, { bigint: true });
    const facts = `${name} ${stats.mode.toString(8)} ${stats.mtimeNs}`;
    return stats.isFile() ? `${facts} ${stats.size} ${sha256Hex(readFileSync(path))}` : facts;
  });
}
