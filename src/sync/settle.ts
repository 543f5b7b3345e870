// Decides parents that are not in their own file, once the files of a pass have been read: `external`, `phantom` or
// still `pending` follow from what the store holds, not from the order in which it came. Writes a session only where
// something changed.
import { toError } from "../errors.ts";
import type { SyncContext } from "./context.ts";
import { damageEvent, damageFixed, LostRace, outrun, SessionLog, withFindingsOf } from "./look.ts";
import { reload } from "./reload.ts";
import { stopsEverything } from "./stopping.ts";
import type { EventType, FoundMessage, SessionRow, SourceRow, Store, UnresolvedRow } from "./store.ts";
import type { GraphTracker } from "./tracker.ts";

/** The graph of a session as commit `chain` left it. */
export interface WrittenGraph {
  readonly tracker: GraphTracker;
  readonly chain: number;
}

/** What a pass changed, as far as it matters for parents. */
export interface Scope {
  /** Sessions that were read. */
  readonly sessions: ReadonlySet<string>;
  /** Uuids that are new to the store; null: too many, or some have gone: all unresolved parents are looked at. */
  readonly newcomers: ReadonlySet<string> | null;
  /** Graphs of sessions that were read, as they were written. */
  readonly trackers: ReadonlyMap<string, WrittenGraph>;
}

/** Times that a session is looked at when another writer is faster. */
const MAX_ROUNDS = 10;

interface Verdict {
  readonly state: UnresolvedRow["state"];
  readonly foundIn: string | null;
}

export interface Settled {
  readonly before: SessionRow;
  readonly session: SessionRow;
  readonly events: Readonly<Record<EventType, number>>;
}

/**
 * Settles the sessions that `scope` may have changed. `projectIsRead` tells whether every file of a project is known to
 * the store. May be called again at any time. Yields the sessions that were written; `onFailed` is told of one that could
 * not be, and the others go on. Throws what stops everything.
 */
export async function* settle(
  context: SyncContext,
  scope: Scope,
  projectIsRead: (project: string) => boolean,
  onFailed: (session: SessionRow, error: Error) => void,
  round = 1,
): AsyncGenerator<Settled> {
  const { store } = context;
  const lost = new Set<string>();
  const rows = await unresolvedIn(store, scope);
  const found = await foundByUuid(store, rows);
  const bySession = new Map<string, UnresolvedRow[]>();
  for (const row of rows) {
    const list = bySession.get(row.session_id);
    if (list === undefined) bySession.set(row.session_id, [row]);
    else list.push(row);
  }
  const ids = new Set([...bySession.keys(), ...scope.sessions]);
  if (scope.newcomers === null) for (const id of await store.sessionsToSettle()) ids.add(id);
  for (const { session, source } of await store.findSessions([...ids].sort())) {
    // A generation in the making is settled when it is turned to.
    if (source === null || !source.complete || source.generation !== session.generation) continue;
    const waiting = bySession.get(session.session_id) ?? [];
    const written = scope.trackers.get(session.session_id);
    const tracker = written?.chain === session.chain ? written.tracker : null;
    try {
      const settled = await settleSession(context, { session, source, waiting, tracker }, found, projectIsRead);
      if (settled !== null) yield settled;
    } catch (thrown) {
      const error = toError(thrown);
      if (stopsEverything(error)) throw error;
      if (!(error instanceof LostRace)) onFailed(session, error);
      else if (round === MAX_ROUNDS) onFailed(session, outrun(session.session_id, error));
      else lost.add(session.session_id);
    }
  }
  if (lost.size === 0) return;
  const again = { sessions: lost, newcomers: new Set<string>(), trackers: new Map() };
  yield* settle(context, again, projectIsRead, onFailed, round + 1);
}

async function unresolvedIn(store: Store, scope: Scope): Promise<UnresolvedRow[]> {
  if (scope.newcomers === null) return store.allUnresolved();
  const rows = await store.unresolvedWaitingFor([...scope.newcomers]);
  for (const id of scope.sessions) rows.push(...(await store.unresolvedOf(id)));
  return rows;
}

async function foundByUuid(store: Store, rows: readonly UnresolvedRow[]): Promise<Map<string, FoundMessage[]>> {
  const found = new Map<string, FoundMessage[]>();
  for (const message of await store.findMessages([...new Set(rows.map((row) => row.parent_uuid))])) {
    const list = found.get(message.message_uuid);
    if (list === undefined) found.set(message.message_uuid, [message]);
    else list.push(message);
  }
  return found;
}

interface Case {
  readonly session: SessionRow;
  readonly source: SourceRow;
  /** Its unresolved parents. */
  readonly waiting: readonly UnresolvedRow[];
  /** Its graph, if it is in memory. */
  readonly tracker: GraphTracker | null;
}

async function settleSession(
  context: SyncContext,
  { session, source, waiting, tracker: known }: Case,
  found: ReadonlyMap<string, readonly FoundMessage[]>,
  projectIsRead: (project: string) => boolean,
): Promise<Settled | null> {
  const { store } = context;
  const decided = source.settled && projectIsRead(source.project);
  const spared = await isSpared(store, session);
  const changes = waiting
    .filter((row) => row.generation === session.generation)
    .map((row) => ({ row, verdict: verdictOf(row, session, found.get(row.parent_uuid) ?? [], decided) }))
    .filter(({ row, verdict }) => verdict.state !== row.state || verdict.foundIn !== row.found_in);
  const compareDamage = session.damage_before !== null && source.settled;
  if (changes.length === 0 && spared === session.spared && !compareDamage) return null;

  let after = session;
  let findings = null;
  if (changes.length > 0 || spared !== session.spared) {
    const tracker = known ?? (await reload(store, source, session)).tracker;
    for (const { row, verdict } of changes) {
      tracker.graph.decide(tracker.graph.indexAt(row.offset), verdict.state, verdict.foundIn);
    }
    findings = tracker.findings(spared);
    after = withFindingsOf(session, findings, spared);
  }
  if (compareDamage) after = { ...after, damage_before: null };
  const log = new SessionLog(context, session, source);
  const before = session.damage_before;
  const events =
    before === null
      ? damageFixed(session, after)
      : compareDamage
        ? damageEvent(before.damage, before.score, after)
        : [];
  await log.write(
    log.prepare({ kind: "verdicts", time: context.now(), session: after, source: null, events, findings }),
  );
  return { before: session, session: log.session, events: log.eventCounts };
}

/** The verdict on a parent that is not in its own file (docs/semantics.md, section 4). */
function verdictOf(row: UnresolvedRow, session: SessionRow, found: readonly FoundMessage[], decided: boolean): Verdict {
  const elsewhere = found
    .map((message) => message.session_id)
    .filter((id) => id !== session.session_id)
    .sort()[0];
  if (elsewhere !== undefined && (row.is_head || session.kind === "agent")) {
    return { state: "external", foundIn: elsewhere };
  }
  // Once decided, a phantom stays one while its file grows.
  if (decided || row.state === "phantom") return { state: "phantom", foundIn: elsewhere ?? null };
  return { state: "pending", foundIn: null };
}

const SERVICE_AGENT = /(^|\/)agent-[A-Za-z_]+-[^/]*$/;

export function isServiceAgent({ kind, session_id }: Pick<SessionRow, "kind" | "session_id">): boolean {
  return kind === "agent" && SERVICE_AGENT.test(session_id);
}

/** A service agent whose parent session is not known: its phantom parents are notes. */
export async function isSpared(store: Store, session: SessionRow): Promise<boolean> {
  if (!isServiceAgent(session)) return false;
  return session.parent_session === null || (await store.findSession(session.parent_session)) === null;
}

/** Whether the pass over these sources left verdicts to be written. */
export function verdictsAreDue(sources: Iterable<SourceRow>): boolean {
  for (const source of sources) if (source.verdicts_due) return true;
  return false;
}
