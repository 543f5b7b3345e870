// What a sync is to read: the transcripts below the projects folders, and those that were named elsewhere.
import { dirname } from "node:path";
import type { Transcript } from "../sync/transcript.ts";
import { type Discovered, discover, transcriptAt } from "./discover.ts";
import { projectFilter } from "./project-filter.ts";

export interface ScanRequest {
  /** Projects folders. */
  readonly roots: readonly string[];
  /** Patterns for the names of projects' folders. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Paths of transcripts outside of the roots, without links. */
  readonly outside: readonly string[];
}

export interface Scanned extends Discovered {
  /** Those of `transcripts` that are in none of the roots. */
  readonly outside: readonly Transcript[];
}

export async function scanProjects({ roots, include, exclude, outside }: ScanRequest): Promise<Scanned> {
  const found = await discover(roots, projectFilter(include, exclude));
  const known = new Set(found.transcripts.map(({ path }) => path));
  const others = [...new Set(outside)]
    .filter((path) => !known.has(path))
    .map((path) => transcriptAt(dirname(dirname(path)), path))
    .filter((transcript) => transcript !== null);
  return { ...found, transcripts: [...found.transcripts, ...others], outside: others };
}
