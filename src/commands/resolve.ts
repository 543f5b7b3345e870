// What people type for a session → the session: its id, a unique beginning of it, or the path of its file.
import { existsSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { RiffError } from "../errors.ts";

/** Something that can be named. */
export interface Candidate {
  readonly sessionId: string;
  readonly path: string;
}

/** Candidates told in an error. */
const MAX_TOLD = 10;

/**
 * The one candidate that `query` names. Throws RIFF_SESSION_NOT_FOUND (with `searched` and what comes near) or
 * RIFF_SESSION_AMBIGUOUS (with all it may mean).
 */
export function resolveSession<T extends Candidate>(
  query: string,
  candidates: readonly T[],
  searched: string,
  wanted = "session",
): T {
  const byPath = candidates.filter(({ path }) => path === realPath(query));
  if (byPath.length === 1) return byPath[0]!;
  // A bare id also names the sessions that had to take another id because it was taken.
  const exact = candidates.filter(({ sessionId }) => sessionId === query || sessionId.startsWith(`${query}@`));
  if (exact.length === 1) return exact[0]!;
  const matches = exact.length > 0 ? exact : candidates.filter((candidate) => beginsWith(candidate, query));
  if (matches.length === 1) return matches[0]!;
  if (matches.length > 1) {
    throw new RiffError(
      "RIFF_SESSION_AMBIGUOUS",
      `"${query}" may mean ${matches.length} sessions:\n${list(matches)}`,
      "Give more of the id, or the path of the file.",
    );
  }
  const near = nearest(query, candidates);
  const told = near.length === 0 ? "" : `\nComing near:\n${list(near)}`;
  throw new RiffError(
    "RIFF_SESSION_NOT_FOUND",
    `There is no ${wanted} "${query}" in ${searched}.${told}`,
    "Check the id, or give the path of the session's .jsonl file.",
  );
}

/** A subagent is meant by its own name or by its whole id, not by the beginning of its session's id. */
function beginsWith({ sessionId }: Candidate, query: string): boolean {
  if (query.includes("/")) return sessionId.startsWith(query);
  const own = sessionId.slice(sessionId.lastIndexOf("/") + 1);
  return own.startsWith(query);
}

function realPath(query: string): string {
  const path = resolve(query);
  return existsSync(path) ? realpathSync(path) : path;
}

/** Up to three candidates whose own name contains the query or shares its beginning. */
function nearest<T extends Candidate>(query: string, candidates: readonly T[]): T[] {
  const score = ({ sessionId }: T): number => {
    const own = sessionId.slice(sessionId.lastIndexOf("/") + 1);
    if (own.includes(query)) return 100;
    let shared = 0;
    while (shared < own.length && own[shared] === query[shared]) shared++;
    return shared >= 3 ? shared : 0;
  };
  return candidates
    .map((candidate) => ({ candidate, score: score(candidate) }))
    .filter((one) => one.score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, 3)
    .map((one) => one.candidate);
}

function list(candidates: readonly Candidate[]): string {
  const lines = candidates.slice(0, MAX_TOLD).map(({ sessionId, path }) => `  ${sessionId}  ${path}`);
  if (candidates.length > MAX_TOLD) lines.push(`  … and ${candidates.length - MAX_TOLD} more`);
  return lines.join("\n");
}
