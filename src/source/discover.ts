// Projects folders → transcripts. Reads directories only; links are not followed.
import type { Dirent } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { isAbsent } from "../absent.ts";
import { RiffError, systemCode, toError } from "../errors.ts";
import type { Transcript } from "../sync/transcript.ts";
import type { ProjectFilter } from "./project-filter.ts";

/** Folders below a project that hold no transcripts, but for `<session>/subagents/workflows`. */
const OTHER_FOLDERS = new Set(["memory", "tool-results", "workflows"]);

export interface Discovered {
  /** In the order of their paths. */
  readonly transcripts: readonly Transcript[];
  /** The roots that are there, without links. */
  readonly roots: readonly string[];
  /** Folders that were read to their end; a file that is missing from one of them is gone. */
  readonly folders: ReadonlySet<string>;
  /** Folders of projects that were not to be read. */
  readonly skipped: ReadonlySet<string>;
  /** Folders that could not be read. */
  readonly problems: readonly RiffError[];
}

/**
 * Finds all transcripts below `roots`, but for those of projects that are not `wanted`. A root that is not there is a
 * problem, not an exception.
 */
export async function discover(roots: readonly string[], wanted: ProjectFilter = () => true): Promise<Discovered> {
  const problems: RiffError[] = [];
  const real = await realRoots(roots, problems);
  const found: Findings = { roots: real, transcripts: [], folders: new Set(), skipped: new Set(), problems, wanted };
  for (const root of real) await walk(root, root, found);
  found.transcripts.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return found;
}

/** The roots without links, each once, and none that lies in another. */
async function realRoots(roots: readonly string[], problems: RiffError[]): Promise<string[]> {
  const real = new Set<string>();
  for (const root of roots) {
    try {
      real.add(await realpath(root));
    } catch (thrown) {
      problems.push(isAbsent(thrown) ? missing(root) : unreadable(root, thrown));
    }
  }
  return outermost(real);
}

/** Those of the folders that lie in no other, each once. */
export function outermost(folders: Iterable<string>): string[] {
  const all = [...new Set(folders)];
  return all.filter((folder) => !all.some((other) => isBelow(other, folder))).sort();
}

/** Whether a path lies in a folder, at whatever depth. */
export function isBelow(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

interface Findings {
  readonly roots: readonly string[];
  readonly transcripts: Transcript[];
  readonly folders: Set<string>;
  readonly skipped: Set<string>;
  readonly problems: RiffError[];
  readonly wanted: ProjectFilter;
}

async function walk(root: string, folder: string, found: Findings): Promise<void> {
  let entries: Dirent[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (thrown) {
    if (systemCode(thrown) !== "ENOENT") found.problems.push(unreadable(folder, thrown));
    return;
  }
  found.folders.add(folder);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && folder === root && !found.wanted(entry.name)) {
      found.skipped.add(path);
    } else if (entry.isDirectory()) {
      if (holdsTranscripts(root, path)) await walk(root, path, found);
    } else if (entry.isFile()) {
      const transcript = transcriptAt(root, path);
      if (transcript !== null) found.transcripts.push(transcript);
    }
  }
}

/** Whether there may be transcripts in a folder below a root, provided that there may be in the folder around it. */
export function holdsTranscripts(root: string, folder: string): boolean {
  return !OTHER_FOLDERS.has(basename(folder)) || relative(root, dirname(folder)).split(sep).includes("subagents");
}

/** What a path below a projects folder is: a transcript, or null for everything else. */
export function transcriptAt(root: string, path: string): Transcript | null {
  const parts = relative(root, path).split(sep);
  const name = parts.at(-1)!;
  if (!name.endsWith(".jsonl") || name === "journal.jsonl") return null;
  const stem = name.slice(0, -".jsonl".length);
  if (stem === "") return null;
  const project = parts.length > 1 ? parts[0]! : ".";
  const isAgent = stem.startsWith("agent-");
  const subagents = parts.indexOf("subagents");
  if (subagents > 0) {
    if (!isAgent) return null;
    return { path, project, stem, kind: "agent", parentSession: parts[subagents - 1]!, parentIsClaimed: false };
  }
  if (parts.slice(1, -1).some((part) => OTHER_FOLDERS.has(part))) return null;
  return { path, project, stem, kind: isAgent ? "agent" : "main", parentSession: null, parentIsClaimed: isAgent };
}

function missing(root: string): RiffError {
  return new RiffError(
    "RIFF_PROJECTS_MISSING",
    `There is no projects folder ${root}.`,
    "Name the folder that holds your transcripts with --projects DIR.",
  );
}

function unreadable(folder: string, thrown: unknown): RiffError {
  return new RiffError(
    "RIFF_FILE_UNREADABLE",
    `Cannot read the folder ${folder}: ${toError(thrown).message}`,
    "Check its owner and rights, and run the command again.",
    thrown,
  );
}
