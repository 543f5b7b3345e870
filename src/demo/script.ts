// What the demo plays: two of the example sessions, what happens to them, and what must come of it.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { RiffError, toError } from "../errors.ts";

/** In the package, beside src and dist. */
const EXAMPLES = fileURLToPath(new URL("../../examples/projects/", import.meta.url));

/** A session that is whole, until something is done to its file. */
export const WHOLE = {
  id: "f3d34494-e6cf-42dc-886c-8cffd8e2455d",
  project: "-home-mira-code-tidewatch",
  /** The line that is torn, an answer, and the messages up to it, without it. */
  torn: 23,
  before: 20,
  messages: 22,
  /** User and assistant records: while the line is torn, and when all are there. */
  conversation: { torn: 17, whole: 18 },
  /** A message in the middle of it, one that is not there, and how much is cut off when that is taken for its parent. */
  parent: "6ede2954-bcc9-414e-9ea0-ffa7ba695544",
  missing: "00000000-0000-4000-8000-000000000000",
  cutOff: 9,
} as const;

/** A session that Claude itself has left damaged. */
export const DAMAGED = {
  id: "f92beda8-4559-4dbd-bf46-9ea1d5fcbb23",
  project: "-home-mira-code-teapot",
  /** Messages of the first line; the line after which its damage begins, and the messages up to it. */
  first: 1,
  calm: 11,
  before: 10,
  /** The line after which the daemon is killed. */
  killed: 15,
  messages: 19,
  conversation: 13,
  cutOff: 5,
  unreadable: 1,
} as const;

/** The lines of an example. Throws RIFF_FILE_UNREADABLE. */
export function linesOf({ project, id }: { readonly project: string; readonly id: string }): string[] {
  const path = `${EXAMPLES}${project}/${id}.jsonl`;
  try {
    return readFileSync(path, "utf8").trimEnd().split("\n");
  } catch (thrown) {
    throw new RiffError(
      "RIFF_FILE_UNREADABLE",
      `The example session ${path} cannot be read: ${toError(thrown).message}`,
      "It is part of riffd: install riffd again.",
      thrown,
    );
  }
}
