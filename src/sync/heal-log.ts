// What a healing writes: rows are collected and committed in steps of bounded size, each complete in itself. No step
// tells of bytes or logs an event, for nothing in the conversation has changed.
import type { SyncContext } from "./context.ts";
import { SessionLog } from "./look.ts";
import type { LargeContents } from "./rows.ts";
import type {
  EntryTable,
  MessageRow,
  QuarantineRow,
  RecordRow,
  RowId,
  SessionRow,
  SourceRow,
  UnresolvedRow,
  VerdictUpdate,
} from "./store.ts";

/** A session's row and its checkpoint. */
export interface Pair<Missing = never> {
  readonly session: SessionRow | Missing;
  readonly source: SourceRow | Missing;
}

interface Pending {
  readonly cleared: RowId[];
  readonly message: MessageRow[];
  readonly record: RecordRow[];
  readonly quarantine: QuarantineRow[];
  readonly unresolved: UnresolvedRow[];
  readonly verdicts: VerdictUpdate[];
  readonly large: LargeContents;
}

export class HealLog {
  readonly #context: SyncContext;
  readonly #log: SessionLog;
  readonly #sessionId: string;
  readonly #source: SourceRow;
  #storedChain: number | null;
  #generation = 0;
  #pending = nothing();
  #bytes = 0;
  /** Rows of the next commit, and of all before it. */
  #count = 0;
  #healed = 0;

  /** `stored` as they stand in the store; `mended` with what the chain says of them. */
  constructor(context: SyncContext, stored: Pair<null>, mended: Pair) {
    this.#context = context;
    this.#sessionId = mended.session.session_id;
    this.#log = new SessionLog(context, mended.session, stored.source);
    this.#source = { ...mended.source, verdicts_due: true };
    this.#storedChain = stored.session?.chain ?? null;
  }

  /** Rows that were written again or removed, up to now. */
  get healed(): number {
    return this.#healed;
  }

  /** The chain number that the session's row was found with, or that the last commit left it with; null: no row. */
  get storedChain(): number | null {
    return this.#storedChain;
  }

  /** The session as the last commit left it. */
  get session(): SessionRow {
    return this.#log.session;
  }

  get source(): SourceRow {
    return this.#source;
  }

  /** What is written from now on belongs to this generation. */
  async enter(generation: number): Promise<void> {
    if (generation !== this.#generation) await this.flush();
    this.#generation = generation;
  }

  /** A row that nothing in the archive tells of. */
  remove(id: RowId): void {
    this.#pending.cleared.push(id);
    this.#count++;
  }

  /** A row, whatever stands in its place; `large` are the contents of it that are not as they should be. */
  write<T extends EntryTable>(
    table: T,
    row: { message: MessageRow; record: RecordRow; quarantine: QuarantineRow }[T],
    large: LargeContents,
  ): void {
    this.remove({ table, key: [this.#sessionId, this.#generation, row.offset] });
    (this.#pending[table] as (typeof row)[]).push(row);
    this.#pending.large.push(...large);
    this.#bytes += row.length;
  }

  writeUnresolved(row: UnresolvedRow): void {
    this.remove({ table: "unresolved", key: [row.parent_uuid, row.session_id, row.generation, row.offset] });
    this.#pending.unresolved.push(row);
  }

  /** The verdict of a message; `isCounted`: its row was not written by this healing. */
  setVerdict(update: VerdictUpdate, isCounted: boolean): void {
    this.#pending.verdicts.push(update);
    if (isCounted) this.#count++;
  }

  async flushIfFull(): Promise<void> {
    const { rows, bytes } = this.#context.stepLimits;
    const { cleared, verdicts } = this.#pending;
    if (cleared.length + verdicts.length >= rows || this.#bytes >= bytes) await this.flush();
  }

  /** Commits what is collected. */
  async flush(): Promise<void> {
    const { cleared, verdicts } = this.#pending;
    if (cleared.length + verdicts.length > 0) await this.#commit(this.#log.session);
  }

  /**
   * Commits what is left, with the session's row as it shall be; `changed` counts it and the checkpoint, where they are
   * not yet so. Nothing is written where all is as it should be.
   */
  async finish(session: SessionRow, changed: number): Promise<void> {
    this.#count += changed;
    if (this.#count > 0 || this.#pending.verdicts.length > 0) await this.#commit(session);
  }

  async #commit(session: SessionRow): Promise<void> {
    const { cleared, message, record, quarantine, unresolved, verdicts, large } = this.#pending;
    await this.#log.write(
      this.#log.prepare({
        kind: "healed",
        time: this.#context.now(),
        session,
        source: this.#source,
        events: [],
        rows: this.#count,
        messages: message,
        records: record,
        quarantine,
        findings: { verdicts, unresolvedSet: unresolved, unresolvedRemoved: [] },
        largeContents: large,
        healing: { generation: this.#generation, cleared, storedChain: this.#storedChain },
      }),
    );
    this.#storedChain = this.#log.session.chain;
    this.#healed += this.#count;
    this.#count = 0;
    this.#bytes = 0;
    this.#pending = nothing();
  }
}

function nothing(): Pending {
  return { cleared: [], message: [], record: [], quarantine: [], unresolved: [], verdicts: [], large: [] };
}
