// The projects folders as they are now: what is in them, and what a path in them is.
import { sep } from "node:path";
import type { Transcript } from "../sync/transcript.ts";
import { type Discovered, discover, transcriptAt } from "./discover.ts";
import { type ProjectFilter, projectFilter } from "./project-filter.ts";

export class Projects {
  readonly roots: readonly string[];
  /** Whether a project's folder of this name is read. */
  readonly wanted: ProjectFilter;
  readonly #isMeant: (transcript: Transcript) => boolean;
  #real: readonly string[] = [];

  /** `isMeant` leaves out transcripts of projects that are read. */
  constructor(
    { projects, include, exclude }: Record<"projects" | "include" | "exclude", readonly string[]>,
    isMeant: (transcript: Transcript) => boolean = () => true,
  ) {
    this.roots = projects;
    this.wanted = projectFilter(include, exclude);
    this.#isMeant = isMeant;
  }

  async discover(): Promise<Discovered> {
    const found = await discover(this.roots, this.wanted);
    this.#real = found.roots;
    return { ...found, transcripts: found.transcripts.filter(this.#isMeant) };
  }

  /** What is at a path, as `discover` gives it; null: nothing that is read. Looks at no file. */
  transcriptAt(path: string): Transcript | null {
    const root = this.#real.find((folder) => path.startsWith(folder + sep));
    const transcript = root === undefined ? null : transcriptAt(root, path);
    if (transcript === null || !this.#isMeant(transcript)) return null;
    return transcript.project === "." || this.wanted(transcript.project) ? transcript : null;
  }
}
