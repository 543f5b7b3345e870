// Which sessions are read where only some are meant: they are told by their ids, for a file may move.
import { parse } from "node:path";
import type { Transcript } from "./transcript.ts";

/** Sessions and their subagents, wherever their files are. Those of two sessions with one file name are not told apart. */
export class Chosen {
  /** Of files whose sessions' ids are not known yet. */
  readonly #paths: Set<string>;
  readonly #names: ReadonlySet<string>;
  readonly #ids = new Set<string>();

  /** The sessions that are in these files now. */
  constructor(paths: ReadonlySet<string>) {
    this.#paths = new Set(paths);
    this.#names = new Set([...paths].map((path) => parse(path).name));
  }

  /** The session of the file at a path has this id. Only what is said first of a file counts: it may go elsewhere. */
  learn(path: string, sessionId: string): void {
    if (this.#paths.delete(path)) this.#ids.add(sessionId);
  }

  has(sessionId: string): boolean {
    const slash = sessionId.indexOf("/");
    return this.#ids.has(sessionId) || (slash > 0 && this.#names.has(sessionId.slice(0, slash)));
  }

  /** Whether a file may be one of theirs, by its place; which session it is, is another question. */
  mayHold({ stem, parentSession, parentIsClaimed }: Transcript): boolean {
    return this.#names.has(stem) || parentIsClaimed || (parentSession !== null && this.#names.has(parentSession));
  }
}
