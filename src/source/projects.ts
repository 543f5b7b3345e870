// The projects folders as they are now: what is in them, and what a path in them is.
import { sep } from "node:path";
import type { Transcript } from "../sync/transcript.ts";
import { type Discovered, discover, transcriptAt } from "./discover.ts";
import { type ProjectFilter, projectFilter } from "./project-filter.ts";

export class Projects {
  readonly roots: readonly string[];
  /** Whether a project's folder of this name is read. */
  readonly wanted: ProjectFilter;
  #real: readonly string[] = [];

  constructor({ projects, include, exclude }: Record<"projects" | "include" | "exclude", readonly string[]>) {
    this.roots = projects;
    this.wanted = projectFilter(include, exclude);
  }

  async discover(): Promise<Discovered> {
    const found = await discover(this.roots, this.wanted);
    this.#real = found.roots;
    return found;
  }

  /** What is at a path, as `discover` gives it; null: nothing that is read. Looks at no file. */
  transcriptAt(path: string): Transcript | null {
    const root = this.#real.find((folder) => path.startsWith(folder + sep));
    const transcript = root === undefined ? null : transcriptAt(root, path);
    if (transcript === null) return null;
    return transcript.project === "." || this.wanted(transcript.project) ? transcript : null;
  }
}
