// What is not there: nothing has the name, or the path leads through a file. Versions of Node.js differ in which of the two
// `throwIfNoEntry` is about.
import { type Stats, statSync } from "node:fs";
import { systemCode } from "./errors.ts";

/** Whether a call of the file system failed because there is nothing at the path. */
export function isAbsent(thrown: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes(systemCode(thrown) ?? "");
}

/** undefined: there is nothing. Throws what else the file system says. */
export function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (thrown) {
    if (isAbsent(thrown)) return undefined;
    throw thrown;
  }
}
