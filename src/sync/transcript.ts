// A transcript as found on disk, and the name of the session in it (docs/semantics.md, section 3).
import { xxh64Hex } from "../core/hash.ts";
import type { SourceKey } from "./store.ts";

/** One transcript file, by its place below a projects folder. */
export interface Transcript {
  /** Absolute. */
  readonly path: string;
  /** The folder directly below the projects folder. */
  readonly project: string;
  /** File name without `.jsonl`. */
  readonly stem: string;
  readonly kind: "main" | "agent";
  /** From the path; a subagent's of the old layout is claimed by its records only. */
  readonly parentSession: string | null;
  /** A subagent beside the sessions: its parent session is what its records claim. */
  readonly parentIsClaimed: boolean;
}

/** The id a transcript's session has, unless another one has it already. */
export function sessionIdOf(transcript: Pick<Transcript, "stem">, parentSession: string | null): string {
  return parentSession === null ? transcript.stem : `${parentSession}/${transcript.stem}`;
}

/**
 * The ids to try, in order. A session of another machine that has the plain id keeps it, and this one is told by its
 * host; one of the same machine by its project, and then by its place.
 */
export function candidateIds(
  id: string,
  { project, path }: Pick<Transcript, "project" | "path">,
  host: string,
  owner: SourceKey | undefined,
): string[] {
  const other = owner !== undefined && owner[0] !== host ? host.slice(0, 8) : project;
  return [id, `${id}@${other}`, `${id}@${other}#${xxh64Hex(Buffer.from(path)).slice(0, 8)}`];
}
