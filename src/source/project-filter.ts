// Which projects are read, by the names of their folders.
import { homedir } from "node:os";
import picomatch from "picomatch";

/** Whether a project folder of this name is to be read. */
export type ProjectFilter = (folderName: string) => boolean;

/**
 * A project is read if a pattern of `include` matches its folder's name, or there are none, and no pattern of `exclude`
 * does. A pattern with a slash is the path of a working folder, and is turned into a name as Claude Code does it:
 * `/home/me/secret*` is `-home-me-secret*`. Such names are ambiguous: `a/b`, `a.b` and `a-b` are the same.
 */
export function projectFilter(include: readonly string[], exclude: readonly string[]): ProjectFilter {
  const matcher = (patterns: readonly string[]) =>
    picomatch(patterns.map(folderPattern), { dot: true, nonegate: true });
  const isIncluded = include.length === 0 ? () => true : matcher(include);
  const isExcluded = exclude.length === 0 ? () => false : matcher(exclude);
  return (folderName) => isIncluded(folderName) && !isExcluded(folderName);
}

/** Claude Code names a project's folder after the working folder, with a dash for all but letters and digits. */
function folderPattern(pattern: string): string {
  if (!pattern.includes("/")) return pattern;
  const path = pattern.replace(/^~(?=\/)/, homedir()).replace(/\/+$/, "");
  return path.replaceAll(/[^A-Za-z0-9*?[\]{},]/g, "-");
}
