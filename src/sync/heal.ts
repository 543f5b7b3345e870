// Heals a session: proves chain, events and bytes, and writes again every row that is not what they say. What is
// archived decides, so it needs no file. Commits, events and archived bytes are append-only and cannot be made again:
// a fault in them is told as RIFF_STORE_DAMAGED, and nothing behind it is written.
import type { Fault } from "../core/graph.ts";
import { RiffError } from "../errors.ts";
import type { SyncContext } from "./context.ts";
import { HealLog, type Pair } from "./heal-log.ts";
import { type Due, RowsHealer } from "./heal-rows.ts";
import { recoverVerdicts } from "./heal-verdicts.ts";
import { interrupted, LostRace, versionKey, withFindingsOf } from "./look.ts";
import { mendedSession, mendedSource } from "./mended.ts";
import type { Place } from "./new-rows.ts";
import { BytesProof } from "./proof/bytes.ts";
import { type Chain, type GenerationLinks, proveChain } from "./proof/chain.ts";
import { Difference, differentColumn } from "./proof/difference.ts";
import { DigestProof } from "./proof/digests.ts";
import { proveEvents, type VanishedMessages } from "./proof/events.ts";
import { VerdictNotes } from "./proof/verdicts.ts";
import { archivedEntries } from "./reload.ts";
import { isServiceAgent, isSpared } from "./settle.ts";
import type { Entry } from "./steps.ts";
import type { EntryTable, SessionRow, SourceRow, Store } from "./store.ts";
import { Totals } from "./totals.ts";
import { GraphTracker } from "./tracker.ts";

export interface Healed {
  readonly session: SessionRow;
  readonly source: SourceRow;
  /** Rows that were written again or removed. */
  readonly rows: number;
  /** false: a look waits to be completed; what it has not written yet is to be healed after it. */
  readonly isWhole: boolean;
}

/**
 * Heals the session of the file at `place`. null: the store has nothing of it. Writes nothing where all is as it should
 * be; may be called again, also after it was interrupted. Throws RIFF_STORE_DAMAGED for what cannot be healed, and
 * LostRace.
 */
export async function heal(context: SyncContext, place: Place): Promise<Healed | null> {
  const { store } = context;
  const stored = {
    session: await store.findSession(place.sessionId),
    source: await store.findSource([place.host, place.path]),
  };
  if (stored.session === null && stored.source === null && (await hasNoCommits(store, place.sessionId))) return null;
  let healer: SessionHealer | null = null;
  try {
    const chain = await proveChain(place.sessionId, flattened(store.commits(place.sessionId)));
    const { host, path } = chain.last;
    if (host !== place.host || path !== place.path) throw new Difference(`its chain ends with another file: ${path}`);
    const vanished = await proveEvents(flattened(store.events(place.sessionId)), chain.links);
    const project = agreedProject(stored) ?? place.project;
    const mended = {
      session: mendedSession({ ...place, project }, chain, stored.session),
      source: await mendedSource(store, { ...place, project }, chain, stored.source),
    };
    healer = new SessionHealer(context, place.sessionId, chain, vanished, stored, mended);
    return await healer.run();
  } catch (thrown) {
    const isDamage = thrown instanceof RiffError && thrown.code === "RIFF_STORE_DAMAGED";
    if (!(thrown instanceof Difference) && !isDamage) throw thrown;
    // What another writer changes while it is read fits nothing.
    const now = await store.findSession(place.sessionId);
    const left = healer === null ? stored.session?.chain : healer.storedChain;
    if ((now?.chain ?? null) !== (left ?? null)) throw new LostRace(place.sessionId);
    throw thrown instanceof Difference ? beyondHealing(place.sessionId, thrown) : thrown;
  }
}

/** The project that both rows name: it is not always that of the folders which are read now. */
function agreedProject({ session, source }: Pair<null>): string | null {
  return session !== null && session.project === source?.project ? session.project : null;
}

function beyondHealing(sessionId: string, cause: Difference): RiffError {
  return new RiffError(
    "RIFF_STORE_DAMAGED",
    `Session ${sessionId} cannot be healed: ${cause.message}.`,
    "Commits, events and archived bytes cannot be made again: restore the store from a backup. Without --force, `riffd sync` still takes what is new in the file.",
    cause,
  );
}

/** Entries compared with the store at a time: as many, or as many bytes. */
const BATCH_ROWS = 1000;
const BATCH_BYTES = 1024 * 1024;

/** Rows that stand where no bytes are, removed at a time. */
const STRAYS = 500;

const TABLES = ["message", "record", "quarantine"] as const satisfies readonly EntryTable[];

/** A message that vanished and did not come back; its row stays. */
interface Gone {
  readonly generation: number;
  readonly offset: number;
  readonly time: Date;
}

class SessionHealer {
  readonly #context: SyncContext;
  readonly #id: string;
  readonly #chain: Chain;
  readonly #vanished: VanishedMessages;
  readonly #stored: Pair<null>;
  readonly #mended: Pair;
  readonly #log: HealLog;
  /** By uuid and occurrence. */
  readonly #gone = new Map<string, Gone>();

  constructor(
    context: SyncContext,
    sessionId: string,
    chain: Chain,
    vanished: VanishedMessages,
    stored: Pair<null>,
    mended: Pair,
  ) {
    this.#context = context;
    this.#id = sessionId;
    this.#chain = chain;
    this.#vanished = vanished;
    this.#stored = stored;
    this.#mended = mended;
    this.#log = new HealLog(context, stored, mended);
  }

  /** The chain number that the session's row holds, as long as nobody else writes. */
  get storedChain(): number | null {
    return this.#log.storedChain;
  }

  async run(): Promise<Healed> {
    const { session, source } = this.#mended;
    const isWhole = source.complete && source.generation === session.generation;
    if (isWhole) await this.#healWhole();
    else {
      await this.#removeWhatWouldBeInTheWay();
      await this.#finish(session);
    }
    const { healed } = this.#log;
    return healed === 0
      ? { session, source, rows: 0, isWhole }
      : { session: this.#log.session, source: this.#log.source, rows: healed, isWhole };
  }

  /** A look is to be completed: its rows are written where nothing may stand. */
  async #removeWhatWouldBeInTheWay(): Promise<void> {
    const { parsed, provisional } = this.#mended.source;
    const ranges = this.#chain.generations.map(({ generation, archived }) => ({ generation, end: archived }));
    const newest = ranges.at(-1)!;
    for (const table of TABLES) {
      const end = table === "quarantine" && provisional ? parsed + 1 : parsed;
      await this.#removeStrays(table, [...ranges.slice(0, -1), { ...newest, end }]);
    }
  }

  async #healWhole(): Promise<void> {
    const { generations } = this.#chain;
    const visible = generations.at(-1)!;
    const older = generations.slice(0, -1).filter(({ wasVisible }) => wasVisible);
    if (this.#vanished.size > 0) for (const links of older) await this.#followGone(links);
    const { tracker, totals, notes } = await this.#healVisible(visible);
    const kept = new Set([...this.#gone.values()].map(({ generation }) => generation));
    for (const links of older) if (kept.has(links.generation)) await this.#healGone(links);
    const ranges = [...older.filter(({ generation }) => kept.has(generation)), visible].map(
      ({ generation, archived }) => ({ generation, end: archived }),
    );
    for (const table of TABLES) await this.#removeStrays(table, ranges);
    await this.#log.enter(visible.generation);
    await this.#finish(await this.#healVerdicts(tracker, totals, notes));
  }

  /** Which messages vanish and come back in a generation that readers have seen. */
  async #followGone(links: GenerationLinks): Promise<void> {
    const { generation } = links;
    const uuids = new Set([...this.#vanished.values()].flatMap((ones) => [...ones.values()].map(({ uuid }) => uuid)));
    const occurrences = new Map<string, number>();
    for await (const batch of this.#entries(links)) {
      for (const { entry } of batch) {
        if (entry.kind !== "message" || !uuids.has(entry.uuid)) continue;
        const occurrence = (occurrences.get(entry.uuid) ?? 0) + 1;
        occurrences.set(entry.uuid, occurrence);
        const key = versionKey(entry.uuid, occurrence);
        this.#gone.delete(key);
        const vanished = this.#vanished.get(generation)?.get(entry.offset);
        if (vanished?.uuid === entry.uuid)
          this.#gone.set(key, { generation, offset: entry.offset, time: vanished.time });
      }
    }
  }

  async #healVisible(links: GenerationLinks) {
    const tracker = new GraphTracker(this.#id, links.generation);
    const totals = new Totals();
    const notes = new VerdictNotes();
    const rows = this.#rowsHealer(links, (row, isLost) => notes.add(row, isLost));
    for await (const batch of this.#entries(links)) {
      const due = batch.map(({ entry, createdAt }): Due => {
        totals.add(entry);
        if (entry.kind === "piece") tracker.addPiece(entry);
        const added = entry.kind === "message" ? tracker.add(entry) : null;
        if (entry.kind === "message") this.#gone.delete(versionKey(entry.uuid, added!.occurrence));
        return { entry, added, createdAt, removedAt: null };
      });
      await rows.heal(due, due.at(-1)!.entry.offset + 1);
    }
    await rows.heal([], links.archived);
    return { tracker, totals, notes };
  }

  /** The rows of messages that vanished from a generation are all that is left of it. */
  async #healGone(links: GenerationLinks): Promise<void> {
    const tracker = new GraphTracker(this.#id, links.generation);
    const times = new Map(
      [...this.#gone.values()]
        .filter(({ generation }) => generation === links.generation)
        .map(({ offset, time }) => [offset, time]),
    );
    const rows = this.#rowsHealer(links, () => {});
    for await (const batch of this.#entries(links)) {
      const due: Due[] = [];
      for (const { entry, createdAt } of batch) {
        if (entry.kind !== "message") continue;
        const added = tracker.add(entry);
        const removedAt = times.get(entry.offset);
        if (removedAt !== undefined) due.push({ entry, added, createdAt, removedAt });
      }
      await rows.heal(due, batch.at(-1)!.entry.offset + 1);
    }
    await rows.heal([], links.archived);
  }

  #rowsHealer(links: GenerationLinks, onMessage: ConstructorParameters<typeof RowsHealer>[3]): RowsHealer {
    const { generation } = links;
    const lastTime = links.links.findLast(({ kind }) => kind !== "healed")!.time;
    const place = { sessionId: this.#id, generation, lastTime };
    return new RowsHealer(this.#context.store, this.#log, place, onMessage);
  }

  /** Heals verdicts and unresolved parents; returns the session's row as it shall be. */
  async #healVerdicts(tracker: GraphTracker, totals: Totals, notes: VerdictNotes): Promise<SessionRow> {
    const { store } = this.#context;
    const { session } = this.#mended;
    const recovered = recoverVerdicts(
      { sessionId: this.#id, generation: session.generation },
      tracker,
      notes,
      await store.storedUnresolved(this.#id),
      this.#stored.session,
    );
    for (const id of recovered.surplus) {
      this.#log.remove(id);
      await this.#log.flushIfFull();
    }
    for (const row of recovered.broken) {
      this.#log.writeUnresolved(row);
      await this.#log.flushIfFull();
    }
    tracker.restore(recovered.rows, []);

    // A session that is being forgotten has no title before the last of it has gone.
    const named = session.forgotten_at === null ? {} : { cwd: null, title: null };
    const counted = { ...session, ...totals.columns, ...named, removed_count: this.#gone.size };
    const judged = (spared: boolean) => {
      const findings = tracker.findings(spared);
      return { row: withFindingsOf(counted, findings, spared), faults: findings.faults };
    };
    let wanted = judged(session.spared && isServiceAgent(session));
    if (this.#stored.session === null || differentColumn(wanted.row, this.#stored.session) !== null) {
      wanted = judged(await isSpared(store, session));
    }
    await this.#writeVerdicts(tracker, notes, wanted.faults);
    if (!recovered.isDoubtful) return wanted.row;
    // The damage may be less once the verdicts are decided, without anything having been fixed.
    return { ...wanted.row, damage_before: session.damage_before ?? { damage: 0, score: 0 } };
  }

  async #writeVerdicts({ graph }: GraphTracker, notes: VerdictNotes, faults: readonly Fault[]): Promise<void> {
    const scored = new Set(faults.filter((fault) => fault.cut_off > 0).map((fault) => fault.offset));
    for (let i = 0; i < notes.count; i++) {
      const { offset, state, isScored, isMarked } = notes.at(i);
      const parent_state = graph.stateOf(i);
      if (state === parent_state && isScored === scored.has(offset)) continue;
      const corruption_score = scored.has(offset) ? 1 : 0;
      this.#log.setVerdict(
        { offset, parent_state, is_orphaned: parent_state === "phantom", corruption_score },
        !isMarked,
      );
      await this.#log.flushIfFull();
    }
  }

  async #finish(session: SessionRow): Promise<void> {
    const stored = this.#stored;
    const isChanged = stored.session === null || differentColumn(session, stored.session) !== null;
    const isOther = stored.source === null || differentColumn(this.#mended.source, stored.source) !== null;
    await this.#log.finish(session, (isChanged ? 1 : 0) + (isOther ? 1 : 0));
  }

  async #removeStrays(
    table: EntryTable,
    generations: readonly { readonly generation: number; readonly end: number }[],
  ): Promise<void> {
    for (;;) {
      const keys = await this.#context.store.strayRows(table, this.#id, generations, STRAYS);
      for (const key of keys) this.#log.remove({ table, key });
      if (keys.length < STRAYS) return;
      await this.#log.flush();
    }
  }

  /** The entries of a generation in batches, from bytes that are what its commits wrote, with the time of each. */
  async *#entries(links: GenerationLinks): AsyncGenerator<{ entry: Entry; createdAt: Date | null }[]> {
    const digests = new DigestProof(links.links);
    let batch: { entry: Entry; createdAt: Date | null }[] = [];
    let bytes = 0;
    const { generation, readTo } = links;
    const archive = {
      readArchive: (_id: string, _of: number, _from: number, to: number) => this.#proven(links, to),
      tombstones: (id: string, of: number) => this.#context.store.tombstones(id, of),
    };
    for await (const entries of archivedEntries(archive, this.#id, { generation, end: readTo })) {
      for (const entry of entries) {
        batch.push({ entry, createdAt: digests.add(entry) });
        bytes += entry.length;
        if (batch.length < BATCH_ROWS && bytes < BATCH_BYTES) continue;
        yield batch;
        batch = [];
        bytes = 0;
      }
    }
    digests.finish();
    if (batch.length > 0) yield batch;
  }

  /** The archived bytes up to `end`, each commit's once they are proved; those behind are only proved. */
  async *#proven(links: GenerationLinks, end: number): AsyncGenerator<Buffer> {
    const { store, signal } = this.#context;
    const proof = new BytesProof(links);
    let held: Buffer[] = [];
    let position = 0;
    for await (const chunk of store.readArchive(this.#id, links.generation, 0, links.archived)) {
      if (signal.aborted) throw interrupted();
      proof.take(chunk);
      if (proof.difference !== null) throw proof.difference;
      held.push(chunk);
      position += chunk.length;
      if (proof.proven < position) continue;
      let at = position - held.reduce((sum, { length }) => sum + length, 0);
      for (const part of held) {
        if (at < end) yield part.subarray(0, end - at);
        at += part.length;
      }
      held = [];
    }
  }
}

async function hasNoCommits(store: Store, sessionId: string): Promise<boolean> {
  for await (const page of store.commits(sessionId)) if (page.length > 0) return false;
  return true;
}

async function* flattened<T>(pages: AsyncIterable<readonly T[]>): AsyncGenerator<T> {
  for await (const page of pages) yield* page;
}
