// One pass over one file: gate → read the new bytes → diff → commit. What it finds of other sessions' parents is left
// to settle.ts, which runs when the files of a pass have been read.
import { Backoff } from "../backoff.ts";
import { RiffError } from "../errors.ts";
import { compareWithArchive, gateByFacts, isQuiet, readVerifiedTail, sampleOf } from "./checkpoint.ts";
import type { ReadingContext } from "./context.ts";
import type { FileFacts, Files, OpenTranscript } from "./files.ts";
import { type Healed, heal } from "./heal.ts";
import { interrupted, LostRace, outrun, SessionLog, versionKey, writeLook } from "./look.ts";
import { factColumns, NOTHING_READ, newSession, newSource, type Place } from "./new-rows.ts";
import { reload, TombstoneCursor } from "./reload.ts";
import { DICTIONARY_BYTES } from "./segment-codec.ts";
import { type ReadStep, readSteps, type StepPlan } from "./steps.ts";
import type { EventType, RemovedMessage, SegmentRow, SessionRow, SourceKey, SourceRow } from "./store.ts";
import { Totals } from "./totals.ts";
import { AppendTracker, GraphTracker, type Tracker } from "./tracker.ts";
import { candidateIds } from "./transcript.ts";
import { turnGeneration } from "./turn.ts";

/** A file, and the session that its bytes belong to. */
export interface Target {
  readonly path: string;
  readonly project: string;
  readonly sessionId: string;
  /** The id it has unless another file's session has it: see `candidateIds`. */
  readonly plainId: string;
  readonly kind: "main" | "agent";
  readonly parentSession: string | null;
  /** Its checkpoint; null: the file was never read. */
  readonly source: SourceRow | null;
  /** The checkpoint of a file that is gone and whose session this file goes on with. */
  readonly takesOver: SourceRow | null;
}

export type SyncStatus = "imported" | "appended" | "rewritten" | "settled" | "moved" | "back" | "healed" | "unchanged";

export interface FileReport {
  readonly status: SyncStatus;
  /** As it was found; null: it is new. */
  readonly before: SessionRow | null;
  readonly session: SessionRow;
  readonly events: Readonly<Record<EventType, number>>;
  /** Uuids of messages that are new to the store; null: too many to list. */
  readonly newcomers: ReadonlySet<string> | null;
  /** The graph as it was written, where the look had it in memory and parents of it are unresolved. */
  readonly tracker: GraphTracker | null;
  /** Rows that were not what the archived bytes say, and were written again or removed. */
  readonly healedRows: number;
}

/** Looks that find the checkpoint where the one before found it, and are outrun all the same. */
const MAX_STANDING_RACES = 5;
/** Looks that are outrun, whatever they find. */
const MAX_RACES = 100;

/** More new uuids than this are not listed. */
const MAX_NEWCOMERS = 500;

/**
 * Brings the store up to date with one file. null: nothing was opened, for nothing has changed. May be called again at
 * any time, also after it was interrupted. Throws RIFF_FILE_UNREADABLE and the store's failures.
 */
export async function syncFile(
  given: ReadingContext,
  files: Files,
  target: Target,
  force: boolean,
): Promise<FileReport | null> {
  let context = given;
  let current = target;
  let standing = 0;
  const backoff = new Backoff({ signal: context.signal, longest: 2_000 });
  for (let race = 1; ; race++) {
    try {
      return await lookOnce(context, files, current, force);
    } catch (thrown) {
      if (!(thrown instanceof LostRace)) throw thrown;
      // As long as the other writer moves on, it does this file's work: it is let ahead.
      const source = await context.store.findSource([context.host, target.path]);
      context = { ...given, forgotten: await given.store.forgotten() };
      standing = isSamePlace(source, current.source) ? standing + 1 : 0;
      if (standing === MAX_STANDING_RACES || race === MAX_RACES) throw outrun(target.sessionId, thrown);
      if (context.signal.aborted) throw interrupted();
      await backoff.wait();
      const sessionId = source === null ? await freeId(context, current) : source.session_id;
      current = { ...target, sessionId, source, takesOver: source === null ? target.takesOver : null };
    }
  }
}

function isSamePlace(a: SourceRow | null, b: SourceRow | null): boolean {
  if (a === null || b === null) return a === b;
  return a.generation === b.generation && a.archived === b.archived && a.parsed === b.parsed;
}

/** Another machine may have taken the id for a file of its own since this one was named. */
async function freeId({ store, host }: ReadingContext, target: Target): Promise<string> {
  if (target.takesOver !== null) return target.sessionId;
  const owner = (await store.owners([target.plainId])).get(target.plainId);
  const ids = candidateIds(target.plainId, target, host, owner);
  const owners = await store.owners(ids);
  const isFree = (id: string) => !owners.has(id) || isSameFile(owners.get(id), { host, path: target.path });
  return ids.find(isFree) ?? target.sessionId;
}

async function lookOnce(
  context: ReadingContext,
  files: Files,
  target: Target,
  force: boolean,
): Promise<FileReport | null> {
  const { source } = target;
  if (source !== null && !force) {
    const facts = await files.findFacts(target.path);
    if (
      facts !== null &&
      gateByFacts(source, facts, isQuiet(facts, context.now(), context.quietMs), context.now()) === "unchanged"
    ) {
      return null;
    }
  }
  const file = await files.open(target.path);
  try {
    return force ? await healAndLook(context, file, target) : await lookAt(context, file, target, false);
  } finally {
    await file.close();
  }
}

/** Heals what the store holds of the file, and reads it from the first byte to the last. */
async function healAndLook(context: ReadingContext, file: OpenTranscript, target: Target): Promise<FileReport | null> {
  const place = placeOf(context, target);
  const { host, path } = target.takesOver ?? place;
  const before = await heal(context, { ...place, host, path });
  if (before === null) return lookAt(context, file, target, true);
  const { source } = before;
  const known = target.takesOver === null ? { ...target, source } : { ...target, takesOver: source };
  const report = await lookAt(context, file, known, true);
  if (report === null) return healedReport(context, before);
  const after = before.isWhole || context.isRehearsal === true ? null : await heal(context, place);
  return withHealing(report, before, after);
}

/** Heals the session of a file that is not there, from its archive. */
export async function healWithoutFile(context: ReadingContext, source: SourceRow): Promise<FileReport | null> {
  const { session_id: sessionId } = source;
  const backoff = new Backoff({ signal: context.signal, longest: 2_000 });
  for (let race = 1; ; race++) {
    try {
      const healed = await heal(context, { ...source, sessionId });
      return healed === null ? null : healedReport(context, healed);
    } catch (thrown) {
      if (!(thrown instanceof LostRace)) throw thrown;
      if (race === MAX_STANDING_RACES) throw outrun(sessionId, thrown);
      if (context.signal.aborted) throw interrupted();
      await backoff.wait();
    }
  }
}

/** The report where nothing was read; null: nothing was written either. */
function healedReport(context: ReadingContext, { session, source, rows }: Healed): FileReport | null {
  if (rows === 0) return null;
  const { eventCounts } = new SessionLog(context, session, source);
  const told = { before: session, session, events: eventCounts, newcomers: null, tracker: null };
  return { status: "healed", ...told, healedRows: rows };
}

/** `after`: what was healed once a look that had been interrupted was completed. */
function withHealing(report: FileReport, before: Healed, after: Healed | null): FileReport {
  const healedRows = before.rows + (after?.rows ?? 0);
  if (healedRows === 0) return report;
  const readNothing =
    report.status === "unchanged" ||
    report.status === "settled" ||
    (report.status === "appended" && after?.source.archived === before.source.archived);
  return {
    ...report,
    status: readNothing ? "healed" : report.status,
    session: after?.session ?? report.session,
    newcomers: null,
    tracker: after === null || after.rows === 0 ? report.tracker : null,
    healedRows,
  };
}

async function lookAt(
  context: ReadingContext,
  file: OpenTranscript,
  target: Target,
  force: boolean,
): Promise<FileReport | null> {
  const { store } = context;
  const facts = await file.facts();
  const quiet = isQuiet(facts, context.now(), context.quietMs);
  const known = target.source ?? target.takesOver;
  if (known === null) return importFile(context, file, target, facts, quiet);

  const session = await store.findSession(known.session_id);
  if (session === null) {
    throw new RiffError(
      "RIFF_STORE_DAMAGED",
      `The store has a checkpoint for ${file.path}, but not its session ${known.session_id}.`,
      `\`riffd sync ${known.session_id} --force\` makes it again from the archive; \`riffd verify\` tells all that is damaged.`,
    );
  }
  if (session.forgotten_at !== null) return null;
  const log = new SessionLog(context, session, target.source);
  const look: Look = { context, file, log, facts, quiet, newcomers: new Newcomers(), tracker: null };

  let source = known;
  let status: SyncStatus = "unchanged";
  if (target.source === null) {
    source = await takeOver(look, target, known);
    status = "moved";
  } else if (session.state === "gone") {
    source = { ...known, gone: false };
    await log.write(
      log.prepare({ kind: "back", time: context.now(), session: { ...session, state: "live" }, source, events: [] }),
    );
    status = "back";
  }

  const gate = force || target.source === null ? "all" : gateByFacts(source, facts, quiet, context.now());
  const tail = gate === "all" || facts.size < source.archived ? null : await readVerifiedTail(file, source);
  if (tail !== null) {
    return report(look, await append(look, source, tail, false), status);
  }
  const comparison = await compareWithArchive(file, store, source.session_id, source.generation, source.archived);
  if (comparison.equal) {
    const before = await file.read(Math.max(0, source.archived - DICTIONARY_BYTES), source.archived);
    const sampled = { ...source, ...(await sampleOf(file, source.archived)) };
    return report(look, await append(look, sampled, before, true), status);
  }
  await rewrite(look, source, comparison.shared);
  return report(look, "rewritten", status);
}

/** One look at one file, as its parts need it. */
interface Look {
  readonly context: ReadingContext;
  readonly file: OpenTranscript;
  readonly log: SessionLog;
  readonly facts: FileFacts;
  readonly quiet: boolean;
  readonly newcomers: Newcomers;
  /** The graph that the look ended with. */
  tracker: Tracker | null;
}

/** The uuids that a look brought, as long as they are few. */
class Newcomers {
  #uuids: Set<string> | null = new Set();

  add(step: ReadStep): void {
    for (const entry of step.entries) {
      if (entry.kind !== "message" || this.#uuids === null) continue;
      if (this.#uuids.size >= MAX_NEWCOMERS) this.#uuids = null;
      else this.#uuids.add(entry.uuid);
    }
  }

  tooMany(): void {
    this.#uuids = null;
  }

  get uuids(): ReadonlySet<string> | null {
    return this.#uuids;
  }
}

function report(look: Look, did: SyncStatus, first: SyncStatus): FileReport {
  const { log, newcomers } = look;
  return {
    status: did === "unchanged" || (first === "moved" && did === "settled") ? first : did,
    before: log.before,
    session: log.session,
    events: log.eventCounts,
    newcomers: newcomers.uuids,
    tracker: look.tracker instanceof GraphTracker && log.session.unresolved_count > 0 ? look.tracker : null,
    healedRows: 0,
  };
}

async function importFile(
  context: ReadingContext,
  file: OpenTranscript,
  target: Target,
  facts: FileFacts,
  quiet: boolean,
): Promise<FileReport> {
  const place = placeOf(context, target);
  const existing = await context.store.findSession(target.sessionId);
  if (existing !== null) throw await meeting(context, existing, place);
  const source = newSource(place, facts);
  const { kind, parentSession: parent_session } = target;
  const log = new SessionLog(context, newSession(place, { kind, parent_session }, context.now()), null);
  const look: Look = { context, file, log, facts, quiet, newcomers: new Newcomers(), tracker: null };
  look.newcomers.tooMany();
  await write(look, "import", source, Buffer.alloc(0), new Totals(), new GraphTracker(target.sessionId, 1), [], true);
  return report(look, "imported", "imported");
}

/** Why there is a session where none was planned: another writer was faster, or its checkpoint is lost. */
async function meeting({ store }: ReadingContext, { source }: SessionRow, place: Place): Promise<Error> {
  const isOwn = isSameFile(source, place) && (await store.findSource(source)) === null;
  return isOwn ? withoutCheckpoint(place) : new LostRace(place.sessionId);
}

/** Whether a session's file is this one. */
export function isSameFile(key: SourceKey | undefined, { host, path }: Pick<Place, "host" | "path">): boolean {
  return key?.[0] === host && key[1] === path;
}

function withoutCheckpoint({ sessionId, path }: Place): RiffError {
  return new RiffError(
    "RIFF_STORE_DAMAGED",
    `The store has the session ${sessionId}, but not the checkpoint of its file ${path}.`,
    `\`riffd sync ${sessionId} --force\` makes it again from the archive; \`riffd verify\` tells all that is damaged.`,
  );
}

/** A session whose file is gone goes on in this one. */
async function takeOver(look: Look, target: Target, known: SourceRow): Promise<SourceRow> {
  const { log, context, file } = look;
  const source: SourceRow = { ...known, host: context.host, path: file.path, project: target.project, gone: false };
  const step = log.prepare({
    kind: "moved",
    time: context.now(),
    session: { ...log.session, project: target.project, state: "live" },
    source,
    events: [],
    sourceRemoved: [known.host, known.path],
  });
  await log.write(step);
  return source;
}

/** Reads what came behind the archived bytes; they were found to be as they were. */
async function append(look: Look, source: SourceRow, before: Buffer, verified: boolean): Promise<SyncStatus> {
  const { context, log, file, facts, quiet } = look;
  const building = source.generation !== log.session.generation;
  const limit = await archiveLimit(look, source.archived);
  const seen = withFacts(source, facts);
  const nothingNew = limit === source.archived;

  // Bytes behind the last whole line are only archived when the file is quiet, and then they are parsed with it.
  if (nothingNew && source.complete) {
    const settled = quiet;
    const next: SourceRow = {
      ...seen,
      settled,
      verdicts_due: source.verdicts_due || (settled && !source.settled),
      ...(verified ? { verified_size: source.archived, verified_at: context.now() } : {}),
    };
    await context.store.updateSource(next, source);
    return settled && !source.settled ? "settled" : "unchanged";
  }

  if (building) {
    const { totals, tracker } = await reload(context.store, source, null);
    const done = await write(look, "rewrite", source, before, totals, tracker, [], verified);
    await turn(look, done, totals, tracker);
    return "rewritten";
  }
  const plan: StepPlan = {
    parsed: source.parsed,
    archived: source.archived,
    limit,
    quiet,
    shared: [],
    limits: context.stepLimits,
    forgotten: context.forgotten.messages,
  };
  const steps = readSteps(file, plan);
  const first = await steps.next();
  if (first.done) throw new Error("a look has at least one step");
  const ahead = prepend(first.value, steps);

  let tracker: Tracker | null = null;
  let totals = new Totals(log.session);
  if (source.complete && first.value.last) {
    tracker = await AppendTracker.create(context.store, log.session, first.value.entries);
  }
  if (tracker === null) {
    ({ totals, tracker } = await reload(context.store, source, log.session));
  }
  look.tracker = tracker;
  const kind = source.archived < source.baseline ? "import" : "append";
  const storedBefore = await storedTail(look, source, before);
  await writeLook(
    context,
    log,
    { kind, source: seen, quiet, before, storedBefore, totals, tracker, removed: await removedOf(look), verified },
    noting(look, ahead),
  );
  return kind === "import" && !source.complete ? "imported" : "appended";
}

/** The bytes that are archived are no longer the file's: a new generation. */
async function rewrite(look: Look, source: SourceRow, shared: readonly SegmentRow[]): Promise<void> {
  const { log } = look;
  const building = source.generation !== log.session.generation;
  const limit = await archiveLimit(look, 0);
  const fresh: SourceRow = {
    ...withFacts(source, look.facts),
    generation: source.generation + 1,
    baseline: limit,
    visible_end: building ? source.visible_end : source.read_to,
    ...NOTHING_READ,
    prior_incomplete: building ? source.prior_incomplete : !source.complete,
  };
  look.newcomers.tooMany();
  const totals = new Totals();
  const tracker = new GraphTracker(source.session_id, fresh.generation);
  // What the abandoned generation shares with an older one, this one shares with that; else its bytes are there anyway.
  const reused = await reusable(look, source, shared, limit);
  const done = await write(look, "rewrite", fresh, Buffer.alloc(0), totals, tracker, reused, true);
  await turn(look, done, totals, tracker);
}

/** Of the segments that the file still begins with, those that end before anything that was or must be forgotten. */
async function reusable(
  { context, file, log }: Look,
  { session_id, generation, read_to }: SourceRow,
  shared: readonly SegmentRow[],
  limit: number,
): Promise<SegmentRow[]> {
  let end = limit;
  if (context.forgotten.messages.size > 0) {
    const common = shared.reduce((sum, segment) => sum + segment.length, 0);
    end = Math.min(end, await file.lastLineEnd(0, Math.min(common, read_to)));
  }
  if (log.session.forgotten_count !== null) {
    const [first] = await new TombstoneCursor(context.store.tombstones(session_id, generation)).upTo(end);
    if (first !== undefined) end = Math.min(end, first.offset);
  }
  return shared.filter((segment) => segment.offset + segment.length <= end);
}

/** The bytes before the archived end as they are stored; `before` as the file holds them. */
async function storedTail({ context, log }: Look, source: SourceRow, before: Buffer): Promise<Buffer> {
  if (log.session.forgotten_count === null) return before;
  const { session_id, generation, archived } = source;
  const chunks = context.store.readArchive(session_id, generation, archived - before.length, archived);
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

async function turn(look: Look, building: SourceRow, totals: Totals, tracker: Tracker): Promise<void> {
  const { context, log, quiet } = look;
  look.newcomers.tooMany();
  const source = await turnGeneration(context, log, building, { totals, tracker, quiet });
  await context.store.removeSuperseded(log.session.session_id, log.session.generation);
  await context.store.updateSource({ ...source, superseded: false }, source);
}

/** Writes the look's steps from a checkpoint on. */
async function write(
  look: Look,
  kind: "import" | "rewrite",
  source: SourceRow,
  before: Buffer,
  totals: Totals,
  tracker: Tracker,
  shared: readonly SegmentRow[],
  verified: boolean,
): Promise<SourceRow> {
  const { context, log, file, quiet } = look;
  look.tracker = tracker;
  const limit = await archiveLimit(look, source.archived);
  const { parsed, archived } = source;
  const forgotten = context.forgotten.messages;
  const steps = readSteps(file, { parsed, archived, limit, quiet, shared, limits: context.stepLimits, forgotten });
  const storedBefore = await storedTail(look, source, before);
  const plan = { kind, source: withFacts(source, look.facts), quiet, before, storedBefore, totals, tracker, verified };
  return writeLook(context, log, { ...plan, removed: new Map() }, noting(look, steps));
}

/** The rows of messages that vanished: one that comes back is told by its new row. */
async function removedOf(look: Look): Promise<Map<string, RemovedMessage>> {
  const { session } = look.log;
  if (session.removed_count === 0) return new Map();
  const rows = await look.context.store.removedMessages(session.session_id);
  return new Map(rows.map((row) => [versionKey(row.message_uuid, row.occurrence), row]));
}

async function* noting(look: Look, steps: AsyncIterable<ReadStep>): AsyncGenerator<ReadStep> {
  for await (const step of steps) {
    look.newcomers.add(step);
    yield step;
  }
}

async function* prepend(first: ReadStep, rest: AsyncGenerator<ReadStep>): AsyncGenerator<ReadStep> {
  yield first;
  yield* rest;
}

/** Where archiving ends: at the end of a quiet file, behind the last whole line of a live one. */
async function archiveLimit(look: Look, archived: number): Promise<number> {
  const { file, facts, quiet } = look;
  if (facts.size <= archived) return archived;
  return quiet ? facts.size : file.lastLineEnd(archived, facts.size);
}

function placeOf({ host }: ReadingContext, { path, project, sessionId }: Target): Place {
  return { host, path, project, sessionId };
}

function withFacts(source: SourceRow, facts: FileFacts): SourceRow {
  return { ...source, ...factColumns(facts) };
}
