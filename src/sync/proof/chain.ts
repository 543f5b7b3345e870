// The chain of a session's commits, proved from the first to the last: numbers, links, hashes, and that each goes on
// where the one before it ended. What it says of bytes, rows and events is proved against them elsewhere.
import { CHAIN_START, commitHash } from "../../core/chain.ts";
import type { CommitKind, CommitRow, Forgetting, SessionRow, SourceKey } from "../store.ts";
import { Difference, differs, isNot, show, showHash } from "./difference.ts";

/** What of a commit the other proofs need. */
export type Link = Pick<
  CommitRow,
  | "n"
  | "kind"
  | "from"
  | "to"
  | "segment_sha256"
  | "parsed_from"
  | "parsed_to"
  | "rows"
  | "rows_sha256"
  | "events"
  | "events_sha256"
  | "operator"
  | "time"
> & { readonly forgetting: Forgetting | null };

/** A generation as its commits tell it. */
export interface GenerationLinks {
  readonly generation: number;
  readonly links: readonly Link[];
  /** Readers have seen it. */
  readonly wasVisible: boolean;
  readonly archived: number;
  readonly parsed: number;
  /** The bytes before it, read as those of a quiet file, give exactly its rows. */
  readonly readTo: number;
}

export interface Chain {
  readonly links: readonly Link[];
  /** In the order of their numbers. */
  readonly generations: readonly GenerationLinks[];
  readonly first: CommitRow;
  readonly last: CommitRow;
  readonly events: number;
  readonly state: SessionRow["state"];
  /** How many values and pieces were forgotten; null: none. */
  readonly forgottenCount: number | null;
  /** When the whole session was. */
  readonly forgottenAt: Date | null;
}

/** Number and hash of the last commit that this machine saw. */
export interface RememberedHead {
  readonly chain: number;
  readonly head: string;
}

/** Commits that say nothing of whether the file is there. */
const OF_NO_FILE: ReadonlySet<CommitKind> = new Set(["verdicts", "forgotten", "healed"]);

/** Reads the commits of a session. Throws a Difference for the first that is wrong. */
export async function proveChain(
  sessionId: string,
  commits: AsyncIterable<CommitRow>,
  remembered?: RememberedHead,
): Promise<Chain> {
  const links: Link[] = [];
  const generations: { -readonly [K in keyof GenerationLinks]: GenerationLinks[K] }[] = [];
  let first: CommitRow | null = null;
  let last: CommitRow | null = null;
  let events = 0;
  let state: SessionRow["state"] = "live";
  let forgottenCount: number | null = null;
  let forgottenAt: Date | null = null;
  for await (const commit of commits) {
    const n = links.length + 1;
    const what = `commit ${n}`;
    expect(what, "n", n, commit.n);
    expect(what, "previous", last?.hash ?? CHAIN_START, commit.previous);
    if (commitHash(sessionId, commit) !== commit.hash) {
      throw new Difference(`${what}: its hash is ${showHash(commit.hash)}, but that of its columns is another`);
    }
    if (remembered?.chain === n && remembered.head !== commit.hash) {
      throw new Difference(
        `${what}: its hash is ${showHash(commit.hash)}, but this machine wrote ${showHash(remembered.head)}`,
      );
    }
    expect(what, "first_event", events + 1, commit.first_event);
    events += commit.events;

    if (commit.generation !== generations.at(-1)?.generation) {
      const next = (generations.at(-1)?.generation ?? 0) + 1;
      expect(what, "generation", next, commit.generation);
      generations.push({ generation: next, links: [], wasVisible: next === 1, archived: 0, parsed: 0, readTo: 0 });
    }
    const generation = generations.at(-1)!;
    if (commit.kind === "turn") generation.wasVisible = true;
    expect(
      what,
      "visible_generation",
      commit.kind === "turn" ? commit.generation : (last?.visible_generation ?? 1),
      commit.visible_generation,
    );
    goesOn(what, commit, generation);
    generation.archived = commit.to;
    generation.parsed = commit.parsed_to;
    generation.readTo = commit.read_to;
    const link = linkOf(commit);
    (generation.links as Link[]).push(link);
    links.push(link);
    const { forgetting } = link;
    if (forgetting !== null) {
      supersedeProofs(what, links, forgetting);
      if (forgetting.tombstones > 0) forgottenCount = (forgottenCount ?? 0) + forgetting.tombstones;
      if (forgetting.scope === "session") forgottenAt ??= commit.time;
    }
    if (!OF_NO_FILE.has(commit.kind)) state = commit.kind === "gone" ? "gone" : "live";
    first ??= commit;
    last = commit;
  }
  if (first === null || last === null) throw new Difference("commit 1 is missing: the session has no commits");
  if (remembered !== undefined && remembered.chain > last.n) {
    throw new Difference(`the chain ends with commit ${last.n}, but this machine wrote commit ${remembered.chain}`);
  }
  return { links, generations, first, last, events, state, forgottenCount, forgottenAt };
}

/** What a session's row repeats of its chain. */
export function chainColumns(sessionId: string, { first, last, state, forgottenCount, forgottenAt }: Chain) {
  const name = last.path.slice(Math.max(last.path.lastIndexOf("/"), last.path.lastIndexOf("\\")) + 1);
  return {
    session_id: sessionId,
    chain: last.n,
    head: last.hash,
    source: [last.host, last.path] as SourceKey,
    generation: last.visible_generation,
    kind: name.startsWith("agent-") ? ("agent" as const) : ("main" as const),
    state,
    created_at: first.time,
    last_updated: last.time,
    forgotten_count: forgottenCount,
    forgotten_at: forgottenAt,
  };
}

/** The ranges of a commit begin where those of the one before it in its generation ended. */
function goesOn(what: string, commit: CommitRow, before: GenerationLinks): void {
  expect(what, "from", before.archived, commit.from);
  expect(what, "parsed_from", before.parsed, commit.parsed_from);
  for (const column of ["to", "parsed_to", "read_to", "events", "rows"] as const) {
    const value: unknown = commit[column];
    if (!Number.isSafeInteger(value)) throw isNot(what, column, "a whole number", value);
  }
  const { from, to, parsed_from, parsed_to, read_to } = commit;
  if (to < from || parsed_to < parsed_from || read_to < parsed_to || to < read_to) {
    throw new Difference(`${what}: its ranges ${show({ from, to, parsed_from, parsed_to, read_to })} are in no order`);
  }
  if (commit.kind === "healed" && (to !== from || parsed_to !== parsed_from)) {
    throw new Difference(`${what}: it healed rows, but tells of bytes that it read`);
  }
  if (!(commit.time instanceof Date)) throw isNot(what, "time", "a time", commit.time);
}

/** What earlier commits wrote is, from this one on, what is left of it. */
function supersedeProofs(what: string, links: Link[], { redacted }: Forgetting): void {
  for (const { n, sha256 } of redacted) {
    const link = links[n - 1];
    if (link === undefined || link.from === link.to) throw new Difference(`${what}: commit ${show(n)} has no bytes`);
    (link as { segment_sha256: string }).segment_sha256 = sha256;
  }
}

function readForgetting(what: string, value: unknown): Forgetting | null {
  if (value === undefined) return null;
  const found = value as Forgetting;
  if (!Number.isSafeInteger(found?.tombstones))
    throw isNot(what, "forgetting.tombstones", "a number", found?.tombstones);
  if (!Array.isArray(found.redacted)) throw isNot(what, "forgetting.redacted", "a list", found.redacted);
  return found;
}

function linkOf(commit: CommitRow): Link {
  const { n, kind, from, to, segment_sha256, parsed_from, parsed_to, rows, rows_sha256 } = commit;
  const { events, events_sha256, operator, time } = commit;
  return {
    n,
    kind,
    from,
    to,
    segment_sha256,
    parsed_from,
    parsed_to,
    rows,
    rows_sha256,
    events,
    events_sha256,
    operator,
    time,
    forgetting: readForgetting(`commit ${n}`, commit.forgetting),
  };
}

function expect(what: string, column: string, expected: unknown, found: unknown): void {
  if (expected !== found) throw differs(what, column, expected, found);
}
