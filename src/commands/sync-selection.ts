// Which transcripts a sync is to read: those that were named, or all, as far as they were last written in the period.
import { existsSync, realpathSync } from "node:fs";
import type { Settings } from "../config/config.ts";
import { RiffError, toError } from "../errors.ts";
import { type ScanRequest, scanProjects } from "../source/scan.ts";
import { localFiles } from "../source/transcript-file.ts";
import type { FileFacts } from "../sync/files.ts";
import type { SourceRow, Store } from "../sync/store.ts";
import type { Scan } from "../sync/sync.ts";
import { sessionIdOf } from "../sync/transcript.ts";
import { plural } from "./output.ts";
import { type Candidate, resolveSession } from "./resolve.ts";
import { isIn, type Period } from "./when.ts";

export interface Found extends Scan {
  /** Folders of projects that were not to be read. */
  readonly skipped: ReadonlySet<string>;
  /** What was searched for. */
  readonly request: ScanRequest;
  /** Folders that could not be read. */
  readonly problems: readonly RiffError[];
}

/** Transcripts in the projects folders, and those that were named by a path elsewhere. Throws RIFF_PROJECTS_MISSING. */
export async function findTranscripts(
  queries: readonly string[],
  { projects: roots, include, exclude, origins }: Settings,
): Promise<Found> {
  const request = { roots, include, exclude, outside: queries.map(realPath).filter((path) => path !== null) };
  const found = await scanProjects(request);
  const { transcripts, outside, problems } = found;
  const missing = problems.find(({ code }) => code === "RIFF_PROJECTS_MISSING");
  const areNamed = origins.projects === "--projects";
  if (transcripts.length === outside.length && missing !== undefined && areNamed) throw missing;
  return { ...found, request, problems: problems.filter((problem) => problem !== missing) };
}

/** null: it is no path. */
function realPath(query: string): string | null {
  try {
    return realpathSync(query);
  } catch {
    return null;
  }
}

export interface Selection {
  /** Paths; null: all. */
  readonly only: ReadonlySet<string> | null;
  /** The one session that was named. */
  readonly single: Candidate | null;
  /** The checkpoints that this machine has, by path. */
  readonly sources: ReadonlyMap<string, SourceRow>;
  /** Sessions outside of the period. */
  readonly leftOut: number;
}

/** Throws RIFF_SESSION_NOT_FOUND and RIFF_SESSION_AMBIGUOUS. Opens no file. */
export async function selectTranscripts(
  queries: readonly string[],
  found: Found,
  { store, host }: { readonly store: Store; readonly host: string },
  period: Period | null,
): Promise<Selection> {
  const sources = new Map((await store.sources(host)).map((source) => [source.path, source]));
  const named = await resolveAll(queries, candidatesOf(found, sources), found, store);
  const all: readonly { readonly path: string }[] = named ?? found.transcripts;
  const chosen = period === null ? all : await lastWrittenIn(period, all);
  return {
    only: named === null && period === null ? null : new Set(chosen.map(({ path }) => path)),
    single: named?.length === 1 && chosen.length === 1 ? named[0]! : null,
    sources,
    leftOut: all.length - chosen.length,
  };
}

/** What can be named, as far as it is known without a store or from its checkpoints. */
export function candidatesOf(found: Found, sources: ReadonlyMap<string, SourceRow> = new Map()): Candidate[] {
  return found.transcripts.map((transcript) => ({
    path: transcript.path,
    sessionId: sources.get(transcript.path)?.session_id ?? sessionIdOf(transcript, transcript.parentSession),
  }));
}

async function resolveAll(
  queries: readonly string[],
  candidates: readonly Candidate[],
  found: Found,
  store: Store,
): Promise<Candidate[] | null> {
  if (queries.length === 0) return null;
  const named = new Map<string, Candidate>();
  for (const query of queries) {
    const one = await resolveOne(query, candidates, found.request.roots.join(", "), store);
    named.set(one.path, one);
  }
  return [...named.values()];
}

async function resolveOne(
  query: string,
  candidates: readonly Candidate[],
  searched: string,
  store: Store,
): Promise<Candidate> {
  try {
    return resolveSession(query, candidates, searched);
  } catch (thrown) {
    const error = toError(thrown);
    if (!(error instanceof RiffError) || error.code !== "RIFF_SESSION_NOT_FOUND") throw thrown;
    throw (await keptInStore(query, searched, store)) ?? thrown;
  }
}

/** What to say of a session whose file is not among the transcripts, but which the store has; null: it has not. */
async function keptInStore(query: string, searched: string, store: Store): Promise<RiffError | null> {
  const kept = (await store.summaries()).map((summary) => ({
    sessionId: summary.session_id,
    path: summary.source[1],
    messages: summary.message_count,
  }));
  let one: (typeof kept)[number];
  try {
    one = resolveSession(query, kept, "");
  } catch {
    return null;
  }
  const has = `The store has session ${one.sessionId} (${plural(one.messages, "message")})`;
  return existsSync(one.path)
    ? new RiffError(
        "RIFF_SESSION_NOT_FOUND",
        `There is no session "${query}" in ${searched}.\n${has}, from ${one.path}.`,
        "Give that path instead of the id, or name its projects folder with --projects DIR.",
      )
    : new RiffError(
        "RIFF_SESSION_NOT_FOUND",
        `There is nothing left to sync: ${one.path} is gone.\n${has}, as the file last was.`,
        `\`riffd export ${one.sessionId} -o FILE\` gives the file back, byte for byte.`,
      );
}

/** Those whose files were last written in the period. What cannot be looked at stays: its own job will say why. */
async function lastWrittenIn<T extends { readonly path: string }>(period: Period, all: readonly T[]): Promise<T[]> {
  const chosen: T[] = [];
  for (const one of all) {
    const facts = await factsOf(one.path);
    if (facts === null || isIn(period, facts.mtimeMs)) chosen.push(one);
  }
  return chosen;
}

/** null: the file is gone, or cannot be looked at. */
async function factsOf(path: string): Promise<FileFacts | null> {
  return localFiles.findFacts(path).catch(() => null);
}
