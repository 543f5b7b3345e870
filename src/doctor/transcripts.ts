// Whether riffd may read what is in the projects folders. It is tried, and nothing is read.
import { accessSync, constants } from "node:fs";
import { systemCode } from "../errors.ts";
import { isBelow } from "../source/discover.ts";
import { type Check, ok, problem } from "./check.ts";
import { inCount } from "./measures.ts";
import type { Patient } from "./patient.ts";

/** Of so many files it is tried: a moment's work. */
const MOST_TRIED = 10_000;
const MOST_NAMED = 3;

export async function checkTranscripts(patient: Pick<Patient, "transcripts">): Promise<Check[]> {
  const id = "transcripts";
  const { transcripts, roots, problems } = await patient.transcripts();
  if (roots.length === 0) return [];
  const tried = transcripts.slice(0, MOST_TRIED).map(({ path }) => path);
  const folders = problems
    .map(({ cause }) => pathOf(cause))
    .filter((path) => roots.some((root) => isBelow(root, path)));
  const refused = [...folders, ...tried.filter(isRefused)];
  const some = transcripts.length > tried.length ? ` (of the first ${inCount(tried.length, "file")})` : "";
  if (refused.length === 0)
    return [ok(id, `${inCount(transcripts.length, "transcript")}, which riffd may read${some}`)];
  const others = refused.length > MOST_NAMED ? `, and ${inCount(refused.length - MOST_NAMED, "other")}` : "";
  return [
    problem(
      id,
      `riffd may not read ${refused.slice(0, MOST_NAMED).join(", ")}${others}${some}.`,
      "Run riffd as the user who runs Claude Code, or let it read them (chown, chmod u+rX).",
    ),
  ];
}

/** Of what the system refused; empty: it does not say. */
function pathOf(cause: unknown): string {
  return cause instanceof Error && "path" in cause ? String(cause.path) : "";
}

/** What has gone meanwhile is not. */
function isRefused(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return false;
  } catch (thrown) {
    return systemCode(thrown) !== "ENOENT";
  }
}
