// Which session each transcript is: that of its checkpoint, one whose file has moved, or a new one with the first id that is
// free (docs/semantics.md, section 3).
import { itemsOf, LineSplitter } from "../core/line-splitter.ts";
import type { ReadingContext } from "./context.ts";
import type { Files, OpenTranscript } from "./files.ts";
import type { SourceKey, SourceRow } from "./store.ts";
import { isSameFile, type Target } from "./sync-file.ts";
import { candidateIds, sessionIdOf, type Transcript } from "./transcript.ts";

/** With its checkpoint, if it was read before. */
interface ForgottenFile {
  readonly path: string;
  readonly sessionId: string;
  readonly source: SourceRow | null;
}

export interface Plan {
  readonly targets: readonly Target[];
  /** Files of sessions that were forgotten. */
  readonly forgotten: readonly ForgottenFile[];
}

/** What is known of files beside those that are planned. */
export interface Surroundings {
  /** Checkpoints of this machine. */
  findSource(path: string): SourceRow | null;
  /** The checkpoint of a session of this machine whose file is gone; `file` is what the session says of it, if it is there. */
  findGone(sessionId: string, file: SourceKey | undefined): Promise<SourceRow | null>;
  /** Ids that were given to files and may not be in the store yet. */
  isTaken(sessionId: string): boolean;
}

/**
 * Names the session of every file, in the given order, so that names do not depend on which is read first. `targets` are in
 * the order of their paths. Reads the beginning of subagents' files in the old layout, and nothing else.
 */
export async function planTranscripts(
  context: ReadingContext,
  files: Files,
  transcripts: readonly Transcript[],
  around: Surroundings,
): Promise<Plan> {
  const newcomers: { transcript: Transcript; parentSession: string | null; plainId: string }[] = [];
  const targets: Target[] = [];
  const forgotten: ForgottenFile[] = [];
  const isForgotten = (id: string | null) => id !== null && context.forgotten.sessions.has(id);
  for (const transcript of transcripts) {
    const { path, project, kind } = transcript;
    const source = around.findSource(path);
    if (source !== null) {
      const { session_id: sessionId } = source;
      if (isForgotten(sessionId)) {
        forgotten.push({ path, sessionId, source });
        continue;
      }
      const { parentSession } = transcript;
      targets.push({ path, project, kind, parentSession, sessionId, plainId: sessionId, source, takesOver: null });
      continue;
    }
    const parentSession = transcript.parentIsClaimed ? await readClaim(files, path) : transcript.parentSession;
    const plainId = sessionIdOf(transcript, parentSession);
    if (isForgotten(parentSession)) forgotten.push({ path, sessionId: plainId, source: null });
    else newcomers.push({ transcript, parentSession, plainId });
  }
  const owners = await context.store.owners(newcomers.map(({ plainId }) => plainId));
  const named = newcomers.map((newcomer) => ({
    ...newcomer,
    ids: candidateIds(newcomer.plainId, newcomer.transcript, context.host, owners.get(newcomer.plainId)),
  }));
  const holders = await context.store.owners(named.flatMap(({ ids }) => ids));
  const given = new Set<string>();
  for (const { transcript, parentSession, plainId, ids } of named) {
    const { path, project, kind } = transcript;
    for (const sessionId of ids) {
      if (given.has(sessionId) || around.isTaken(sessionId)) continue;
      const holder = holders.get(sessionId);
      const takesOver = await around.findGone(sessionId, holder);
      // Its own, whose checkpoint is not in the store, it goes on with.
      if (holder !== undefined && takesOver === null && !isSameFile(holder, { host: context.host, path })) continue;
      if (isForgotten(sessionId)) {
        forgotten.push({ path, sessionId, source: null });
        break;
      }
      given.add(sessionId);
      targets.push({ path, project, kind, parentSession, sessionId, plainId, source: null, takesOver });
      break;
    }
  }
  targets.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { targets, forgotten };
}

/** Bytes of a subagent's file in the old layout in which its parent session is looked for. */
const CLAIM_BYTES = 1024 * 1024;

/** The first `sessionId` in a file. */
async function readClaim(files: Files, path: string): Promise<string | null> {
  let file: OpenTranscript;
  try {
    file = await files.open(path);
  } catch {
    return null; // its own job will say why it cannot be read
  }
  try {
    const splitter = new LineSplitter(0);
    const head = await file.read(0, CLAIM_BYTES);
    for (let at = 0; at < head.length; ) {
      const taken = splitter.take(head, at);
      if (taken === null) break;
      at = taken.next;
      for (const item of itemsOf(taken.line, false)) {
        if (item.kind === "value" && typeof item.json.sessionId === "string" && item.json.sessionId !== "") {
          return item.json.sessionId;
        }
      }
    }
    return null;
  } finally {
    await file.close();
  }
}
