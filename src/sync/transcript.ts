// A transcript as found on disk, and the name of the session in it (docs/semantics.md, section 3).
import { xxh64Hex } from "../core/hash.ts";

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

/** The ids to try, in order: the plain one, then with the project, then with the place. */
export function candidateIds(id: string, transcript: Pick<Transcript, "project" | "path">): string[] {
  const withProject = `${id}@${transcript.project}`;
  return [id, withProject, `${withProject}#${xxh64Hex(Buffer.from(transcript.path)).slice(0, 8)}`];
}
