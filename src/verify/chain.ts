// The chain of a session's commits, proved from the first to the last: numbers, links, hashes, and that each goes on
// where the one before it ended. What it says of bytes, rows and events is proved against them elsewhere.
import { CHAIN_START, commitHash } from "../core/chain.ts";
import { commitFromDb, type DbRow } from "../store/rows.ts";
import type { CommitRow, Forgetting, SessionRow } from "../sync/store.ts";
import { Difference, differs, isNot, show, showHash } from "./difference.ts";
import { keyOf } from "./reader.ts";

/** What of a commit the other proofs need. */
export type Link = Pick<
  CommitRow,
  | "n"
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

/** Reads the commits of a session in pages. Throws a Difference for the first that is wrong. */
export async function proveChain(
  sessionId: string,
  pages: AsyncIterable<readonly DbRow[]>,
  remembered: RememberedHead | undefined,
): Promise<Chain> {
  const links: Link[] = [];
  const generations: { -readonly [K in keyof GenerationLinks]: GenerationLinks[K] }[] = [];
  let first: CommitRow | null = null;
  let last: CommitRow | null = null;
  let events = 0;
  let state: SessionRow["state"] = "live";
  let forgottenCount: number | null = null;
  let forgottenAt: Date | null = null;
  for await (const page of pages) {
    for (const row of page) {
      const n = links.length + 1;
      const commit = readCommit(sessionId, n, row);
      const what = `commit ${n}`;
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
      if (commit.kind !== "verdicts" && commit.kind !== "forgotten") state = commit.kind === "gone" ? "gone" : "live";
      first ??= commit;
      last = commit;
    }
  }
  if (first === null || last === null) throw new Difference("commit 1 is missing: the session has no commits");
  if (remembered !== undefined && remembered.chain > last.n) {
    throw new Difference(`the chain ends with commit ${last.n}, but this machine wrote commit ${remembered.chain}`);
  }
  return { links, generations, first, last, events, state, forgottenCount, forgottenAt };
}

function readCommit(sessionId: string, n: number, row: DbRow): CommitRow {
  const [, number, ...rest] = keyOf(row);
  if (number !== n || rest.length > 0) {
    throw typeof number === "number" && number > n
      ? new Difference(`commit ${n} is missing: the next one is ${number}`)
      : new Difference(`a commit stands at ${show([number, ...rest])}, where commit ${n} is due`);
  }
  expect(`commit ${n}`, "session_id", sessionId, row.session_id);
  const commit = commitFromDb(row);
  expect(`commit ${n}`, "n", n, commit.n);
  return commit;
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
  const { n, from, to, segment_sha256, parsed_from, parsed_to, rows, rows_sha256 } = commit;
  const { events, events_sha256, operator, time } = commit;
  return {
    n,
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
