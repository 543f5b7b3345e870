// Writes one look at a file: turns the steps that were read into commits, each complete in itself, while the next step
// is already being read. Knows two kinds: into the generation that readers see (import, append), and into a new one
// that they will see only once it is whole (rewrite).
import { randomUUID } from "node:crypto";
import { commitHash, eventsDigest, RowsDigest } from "../core/chain.ts";
import type { Fault } from "../core/graph.ts";
import { extendFingerprint, sha256Hex } from "../core/hash.ts";
import { RiffError } from "../errors.ts";
import { sampleAfter } from "./checkpoint.ts";
import type { SyncContext } from "./context.ts";
import { messageRow, quarantineRow, recordRow } from "./rows.ts";
import { encodeSegment, tailOf } from "./segment-codec.ts";
import type { Entry, ReadStep } from "./steps.ts";
import {
  type CommitKind,
  type CommitRow,
  type Destroyed,
  type EventRow,
  type Forgetting,
  MAX_LISTED_FAULTS,
  type MessageRow,
  type QuarantineRow,
  type RecordRow,
  type RemovedMessage,
  type SegmentRow,
  type SessionRow,
  type SourceRow,
  type Step,
  type Tombstone,
} from "./store.ts";
import type { Totals } from "./totals.ts";
import type { Findings, Tracker } from "./tracker.ts";

/** An event without what the commit gives it: its number, who, and when. */
export type NewEvent = Omit<EventRow, "n" | "operator" | "timestamp">;

/** Another writer was first; nothing of the step was written. Caught by the sync, which looks again. */
export class LostRace extends Error {}

/** A race that was lost too often. */
export function outrun(sessionId: string, cause: LostRace): RiffError {
  return new RiffError(
    "RIFF_COMMIT_FAILED",
    `Another writer was faster with session ${sessionId}, time and again.`,
    "Nothing is lost. Run the command again when the other writer is done.",
    cause,
  );
}

/** A session's state between two commits of this process; each commit moves it on. */
export class SessionLog {
  readonly #context: SyncContext;
  /** The session as it was found; null: it is new. */
  readonly before: SessionRow | null;
  #session: SessionRow;
  #source: SourceRow | null;
  readonly eventCounts: Record<EventRow["event_type"], number> = {
    message_added: 0,
    parent_repaired: 0,
    content_updated: 0,
    corruption_fixed: 0,
    message_removed: 0,
  };

  /** `source`: the checkpoint as it is in the store, null for a new file. */
  constructor(context: SyncContext, session: SessionRow, source: SourceRow | null) {
    this.#context = context;
    this.before = session.chain === 0 ? null : session;
    this.#session = session;
    this.#source = source;
  }

  /** The session as the last commit left it. */
  get session(): SessionRow {
    return this.#session;
  }

  get source(): SourceRow | null {
    return this.#source;
  }

  /**
   * Prepares a commit: the hashes are final, so the next can be prepared before this one is written. Prepared commits
   * must be written in order.
   */
  prepare(change: Change): Step {
    const before = this.#session;
    const expectedSource = this.#source;
    const { time, source } = change;
    const events: EventRow[] = change.events.map((event, i) => ({
      ...event,
      n: before.event_count + 1 + i,
      operator: this.#context.operator,
      timestamp: time,
    }));
    const tombstones = change.tombstones ?? [];
    const place = source ?? expectedSource;
    if (place === null) throw new Error("a commit needs a source");
    const unhashed: CommitRow = {
      n: before.chain + 1,
      step_id: randomUUID(),
      kind: change.kind,
      host: place.host,
      path: place.path,
      generation: place.generation,
      visible_generation: change.session.generation,
      from: change.from ?? place.archived,
      to: place.archived,
      segment_sha256: change.segmentSha256 ?? "",
      parsed_from: change.parsedFrom ?? place.parsed,
      parsed_to: place.parsed,
      read_to: place.read_to,
      settled: place.settled,
      rows: change.rows ?? 0,
      rows_sha256: change.rowsSha256 ?? "",
      first_event: before.event_count + 1,
      events: events.length,
      events_sha256: eventsDigest(events),
      operator: this.#context.operator,
      time,
      ...(change.forgetting === undefined ? {} : { forgetting: forgettingOf(change.forgetting, tombstones) }),
      previous: before.head,
      hash: "",
    };
    const commit = { ...unhashed, hash: commitHash(before.session_id, unhashed) };
    const session: SessionRow = {
      ...change.session,
      source: [place.host, place.path],
      chain: commit.n,
      head: commit.hash,
      event_count: before.event_count + events.length,
      forgotten_count:
        tombstones.length === 0 ? before.forgotten_count : (before.forgotten_count ?? 0) + tombstones.length,
      last_updated: time,
      created_at: before.chain === 0 ? time : before.created_at,
    };
    this.#session = session;
    if (source !== null) this.#source = source;
    return {
      session,
      source,
      commit,
      expectedSource,
      messages: change.messages ?? [],
      records: change.records ?? [],
      quarantine: change.quarantine ?? [],
      segments: change.segments ?? [],
      events,
      verdicts: change.findings?.verdicts ?? [],
      unresolvedSet: change.findings?.unresolvedSet ?? [],
      unresolvedRemoved: change.findings?.unresolvedRemoved ?? [],
      pieceRemoved: change.pieceRemoved ?? null,
      removed: change.removed ?? [],
      restored: change.restored ?? [],
      sourceRemoved: change.sourceRemoved ?? null,
      largeContents: change.largeContents ?? [],
      tombstones,
      destroyed: change.destroyed ?? null,
      healing: change.healing ?? null,
    };
  }

  /** Writes a prepared commit. Throws LostRace. */
  async write(step: Step): Promise<void> {
    const outcome = await this.#context.store.commit(step);
    if (outcome === "lost-race") throw new LostRace(step.session.session_id);
    this.#context.heads.advance(step.session.session_id, step.commit.n, step.commit.hash);
    for (const event of step.events) this.eventCounts[event.event_type]++;
    this.#context.onCommit?.(step);
  }
}

/** What a commit changes. What is left out is not touched. */
export interface Change {
  readonly kind: CommitKind;
  /** Of the commit, and of all rows it creates. */
  readonly time: Date;
  /** The row as it shall be; chain, head, times and counts of events are the log's. */
  readonly session: SessionRow;
  /** The checkpoint as it shall be; null leaves it alone. */
  readonly source: SourceRow | null;
  readonly events: readonly NewEvent[];
  readonly findings?: Pick<Findings, "verdicts" | "unresolvedSet" | "unresolvedRemoved"> | null;
  readonly from?: number;
  readonly segmentSha256?: string;
  readonly parsedFrom?: number;
  readonly rows?: number;
  readonly rowsSha256?: string;
  readonly messages?: readonly MessageRow[];
  readonly records?: readonly RecordRow[];
  readonly quarantine?: readonly QuarantineRow[];
  readonly segments?: readonly SegmentRow[];
  readonly pieceRemoved?: number | null;
  readonly removed?: Step["removed"];
  readonly restored?: Step["restored"];
  readonly sourceRemoved?: Step["sourceRemoved"];
  readonly largeContents?: Step["largeContents"];
  readonly healing?: Step["healing"];
  /** In the order of their places; with `forgetting`. */
  readonly tombstones?: readonly Tombstone[];
  readonly forgetting?: Pick<Forgetting, "scope" | "reason" | "redacted">;
  readonly destroyed?: Destroyed;
}

function forgettingOf(why: NonNullable<Change["forgetting"]>, tombstones: readonly Tombstone[]): Forgetting {
  return { ...why, tombstones: tombstones.length, tombstones_sha256: eventsDigest(tombstones) };
}

export interface LookPlan {
  readonly kind: "import" | "append" | "rewrite";
  /** The checkpoint that the look begins with, with the file's facts of this look. */
  readonly source: SourceRow;
  readonly quiet: boolean;
  /** The last DICTIONARY_BYTES that are archived, as the file holds them. */
  readonly before: Buffer;
  /** The same as they are stored. */
  readonly storedBefore: Buffer;
  readonly totals: Totals;
  readonly tracker: Tracker;
  /** Rows of messages that vanished, by `versionKey`. */
  readonly removed: ReadonlyMap<string, RemovedMessage>;
  /** The whole file was compared with the archive, or is being read now. */
  readonly verified: boolean;
}

/**
 * Writes the steps of a look; returns the checkpoint it ended with. With `rewrite` nothing becomes visible: the turn to
 * the new generation is the caller's. A step that would change nothing is not written, unless it completes a look.
 */
export async function writeLook(
  context: SyncContext,
  log: SessionLog,
  plan: LookPlan,
  steps: AsyncIterable<ReadStep>,
): Promise<SourceRow> {
  let { source, before, storedBefore } = plan;
  let inFlight: Promise<void> = Promise.resolve();
  try {
    for await (const step of steps) {
      const rows = buildRows(step, plan, source, context.now());
      const sample = sampleAfter(before, step.raw, step.from, source);
      const { segments, keyframe } = encodeStep(step, storedBefore, source, context.stepLimits.bytes);
      const done = step.last;
      source = {
        ...source,
        ...sample,
        keyframe,
        archived: step.from + step.raw.length,
        parsed: step.parsedTo,
        ...tailAfter(step, source),
        fingerprint: segments.reduce(
          (fingerprint, { hash }) => extendFingerprint(fingerprint, hash),
          source.fingerprint,
        ),
        complete: done && plan.kind !== "rewrite",
        settled: done && plan.quiet && plan.kind !== "rewrite",
        verdicts_due: true,
      };
      if (plan.verified) source = { ...source, verified_size: source.archived, verified_at: context.now() };
      const isSame = storedBefore === before && step.stored === step.raw;
      before = tailOf(before, step.raw);
      storedBefore = isSame ? before : tailOf(storedBefore, step.stored);
      const idle = step.raw.length === 0 && step.entries.length === 0;
      if (!idle || !plan.source.complete) {
        const prepared = log.prepare(
          changeOf(step, plan, log.session, source, rows, segments, done && plan.kind !== "rewrite"),
        );
        await inFlight;
        inFlight = log.write(prepared);
        inFlight.catch(() => {}); // awaited with the next step or at the end
      }
      if (context.signal.aborted && !done) {
        await inFlight;
        throw interrupted();
      }
    }
  } finally {
    await inFlight;
  }
  return source;
}

/** A provisional piece, and how far the bytes go that tell it. A step within its line leaves it as it is. */
function tailAfter(step: ReadStep, source: SourceRow): Pick<SourceRow, "provisional" | "read_to"> {
  if (step.provisional) return { provisional: true, read_to: step.from + step.raw.length };
  if (source.provisional && step.entries.length === 0) return { provisional: true, read_to: source.read_to };
  return { provisional: false, read_to: step.parsedTo };
}

/** Told by the sync when it was asked to stop; what was committed is complete in itself. */
export function interrupted(): RiffError {
  return new RiffError(
    "RIFF_INTERRUPTED",
    "Interrupted. What was committed so far is complete.",
    "Run the same command again: it goes on where this one stopped.",
  );
}

/** What tells a message from its repetitions, across generations. */
export function versionKey(uuid: string, occurrence: number): string {
  return `${occurrence} ${uuid}`;
}

interface BuiltRows {
  readonly time: Date;
  readonly messages: MessageRow[];
  readonly records: RecordRow[];
  readonly quarantine: QuarantineRow[];
  readonly events: NewEvent[];
  readonly digest: RowsDigest;
  readonly pieceRemoved: number | null;
  readonly restored: RemovedMessage[];
  readonly largeContents: { hash: string; text: string }[];
}

function buildRows(step: ReadStep, plan: LookPlan, source: SourceRow, time: Date): BuiltRows {
  const { totals, tracker } = plan;
  const reread = source.provisional && step.entries.length > 0;
  if (reread) {
    totals.removePiece();
    tracker.removePiece(source.parsed);
  }
  const built: BuiltRows = {
    time,
    messages: [],
    records: [],
    quarantine: [],
    events: [],
    digest: new RowsDigest(),
    pieceRemoved: reread ? source.parsed : null,
    restored: [],
    largeContents: [],
  };
  for (const entry of step.entries) {
    totals.add(entry);
    addRow(entry, plan, source, built);
  }
  return built;
}

function addRow(entry: Entry, plan: LookPlan, source: SourceRow, built: BuiltRows): void {
  const { offset, length } = entry;
  if (entry.kind === "piece") {
    plan.tracker.addPiece(entry);
    built.quarantine.push(quarantineRow(entry, built.time));
    return;
  }
  const { digest } = entry;
  built.digest.add(entry.kind, offset, length, digest);
  if (entry.kind === "record") {
    built.records.push(recordRow(entry, built.time, built.largeContents));
    return;
  }
  const added = plan.tracker.add(entry);
  const vanished = plan.removed.get(versionKey(entry.uuid, added.occurrence));
  if (vanished !== undefined) built.restored.push(vanished);
  built.messages.push(messageRow(entry, added, built.time, built.largeContents));
  if (plan.kind !== "rewrite" && offset + length > source.baseline) {
    built.events.push({
      message_uuid: entry.uuid,
      event_type: "message_added",
      reason: "appended to the transcript",
      old_value: null,
      new_value: digest,
      before: null,
      after: { generation: source.generation, offset, length },
    });
  }
}

function encodeStep(
  step: ReadStep,
  before: Buffer,
  source: SourceRow,
  maxBytes: number,
): { segments: SegmentRow[]; keyframe: number } {
  if (step.raw.length === 0) return { segments: [], keyframe: source.keyframe };
  if (step.shared.length > 0) {
    const segments = step.shared.map(
      (row): SegmentRow => ({
        ...row,
        codec: "shared",
        data: null,
        stored_hash: null,
        shared_with: row.shared_with ?? source.generation - 1,
      }),
    );
    return { segments, keyframe: segments.at(-1)!.keyframe };
  }
  const segments: SegmentRow[] = [];
  let { keyframe } = source;
  let tail = before;
  for (let at = 0; at < step.raw.length; at += maxBytes) {
    const stored = step.stored.subarray(at, at + maxBytes);
    const segment = encodeSegment(step.from + at, step.raw.subarray(at, at + maxBytes), tail, keyframe, stored);
    keyframe = segment.keyframe;
    segments.push(segment);
    if (at + maxBytes < step.raw.length) tail = tailOf(tail, stored);
  }
  return { segments, keyframe };
}

function changeOf(
  step: ReadStep,
  plan: LookPlan,
  session: SessionRow,
  source: SourceRow,
  rows: BuiltRows,
  segments: readonly SegmentRow[],
  withFindings: boolean,
): Change {
  const findings = withFindings ? plan.tracker.findings(session.spared) : null;
  const removed_count = session.removed_count - rows.restored.length;
  const visible = plan.kind === "rewrite" ? session : { ...session, ...plan.totals.columns, removed_count };
  const after = findings === null ? visible : withFindingsOf(visible, findings, session.spared);
  return {
    kind: plan.kind,
    time: rows.time,
    session: { ...after, state: "live" },
    source,
    events: session.damage_before === null ? [...rows.events, ...damageFixed(session, after)] : rows.events,
    findings,
    from: step.from,
    segmentSha256: step.raw.length === 0 ? "" : sha256Hex(step.stored),
    parsedFrom: step.parsedFrom,
    rows: rows.digest.count,
    rowsSha256: rows.digest.finish(),
    messages: rows.messages,
    records: rows.records,
    quarantine: rows.quarantine,
    segments,
    pieceRemoved: rows.pieceRemoved,
    restored: rows.restored,
    largeContents: rows.largeContents,
    ...leftOut(step, source.generation),
  };
}

/** What a step says of messages that were forgotten before they were read. */
function leftOut(step: ReadStep, generation: number): Pick<Change, "tombstones" | "forgetting"> {
  if (step.stored === step.raw) return {};
  const tombstones: Tombstone[] = [];
  for (const entry of step.entries) {
    if (entry.kind !== "message" || !entry.forgotten) continue;
    const { kind, offset, length, digest, uuid } = entry;
    tombstones.push({ generation, offset, length, kind, digest, message_uuid: uuid, scope: "message" });
  }
  return { tombstones, forgetting: { scope: "message", reason: "forgotten before it was read", redacted: [] } };
}

/** A session's row with what the graph says now. */
export function withFindingsOf(session: SessionRow, findings: Findings, spared: boolean): SessionRow {
  return {
    ...session,
    thread_count: findings.threadCount,
    orphan_count: findings.orphanCount,
    unresolved_count: findings.unresolvedCount,
    forward_links: findings.forwardLinks,
    cut_off_count: findings.cutOff,
    corruption_score: scoreOf(findings.cutOff, session),
    faults: findings.faults.slice(0, MAX_LISTED_FAULTS) as Fault[],
    fault_count: findings.faults.length,
    spared,
  };
}

function scoreOf(cutOff: number, session: Pick<SessionRow, "conversation_count" | "unreadable_count">): number {
  const whole = session.conversation_count + session.unreadable_count;
  return whole === 0 ? 0 : (cutOff + session.unreadable_count) / whole;
}

/** Cut-off records and unreadable pieces. */
export function damageOf(session: Pick<SessionRow, "cut_off_count" | "unreadable_count">): number {
  return session.cut_off_count + session.unreadable_count;
}

/** The event that a session's damage has fallen, if it has. */
export function damageFixed(
  before: Pick<SessionRow, "cut_off_count" | "unreadable_count" | "corruption_score">,
  after: SessionRow,
): NewEvent[] {
  return damageEvent(damageOf(before), before.corruption_score, after);
}

/** The same, for a damage that was noted earlier. */
export function damageEvent(damageBefore: number, scoreBefore: number, after: SessionRow): NewEvent[] {
  const damage = damageOf(after);
  if (damage >= damageBefore) return [];
  return [
    {
      message_uuid: null,
      event_type: "corruption_fixed",
      reason: `${damageBefore - damage} of ${damageBefore} records or pieces are no longer cut off or unreadable`,
      old_value: scoreBefore,
      new_value: after.corruption_score,
      before: null,
      after: null,
    },
  ];
}
