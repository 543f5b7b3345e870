// A step as one guarded transaction. The guard rows are written by every commit, so that of two racing ones one fails.
// A server that denies a write does so silently: there, rows are counted inside the transaction.
import { DateTime, RecordId } from "surrealdb";
import type { Step } from "../sync/store.ts";
import type { CallLimits } from "./database.ts";
import { destroying } from "./forgetting.ts";
import {
  commitToDb,
  eventToDb,
  messagesToDb,
  placed,
  segmentToDb,
  sessionRecord,
  sessionToDb,
  sourceRecord,
  toDb,
  tombstoneToDb,
  unresolvedToDb,
} from "./rows.ts";

export interface StepQuery {
  readonly text: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Rows of `staged`, to be written before, one call for each. */
  readonly ahead: readonly object[];
}

/** The query that writes a step, whole or not at all; it may be sent again. */
export function stepQuery(step: Step, limits: CallLimits): StepQuery {
  return new Builder(step, limits).build();
}

class Builder {
  readonly #step: Step;
  readonly #limits: CallLimits;
  readonly #parts: string[] = [];
  readonly #parameters: Record<string, unknown> = {};
  readonly #ahead: object[] = [];

  constructor(step: Step, limits: CallLimits) {
    this.#step = step;
    this.#limits = limits;
  }

  build(): StepQuery {
    const { session, commit, healing } = this.#step;
    const id = session.session_id;
    Object.assign(this.#parameters, {
      held: sessionRecord(id),
      s: id,
      g: this.#generation,
      chain: healing === null ? commit.n - 1 : (healing.storedChain ?? 0),
      row: sessionToDb(session),
      log: commitToDb(commit, id),
    });
    this.#add("BEGIN; IF ((SELECT VALUE chain FROM ONLY $held) ?? 0) != $chain { THROW 'riffd: chain' };");
    this.#checkpoint();
    this.#clearing();
    this.#rows();
    this.#changes();
    this.#add(this.#one("INSERT INTO commit $log RETURN VALUE n", "commit"));
    this.#add(this.#one("INSERT INTO feed_waiting { id: $log.id } RETURN VALUE id", "feed"));
    this.#forgetting();
    this.#add(this.#one("UPSERT $held CONTENT $row RETURN VALUE chain", "session"));
    if (this.#ahead.length > 0) this.#add("DELETE staged:[$step, NONE]..[$step, ..] RETURN NONE;");
    this.#add("COMMIT;");
    return { text: this.#parts.join("\n"), parameters: this.#parameters, ahead: this.#ahead };
  }

  #checkpoint(): void {
    const { source, expectedSource } = this.#step;
    if (source === null) return;
    this.#parameters.file = sourceRecord([source.host, source.path]);
    this.#parameters.checkpoint = toDb(source);
    this.#parameters.at =
      expectedSource === null ? [] : [expectedSource.generation, expectedSource.archived, expectedSource.parsed];
    this.#add(
      `LET $now = (SELECT generation, archived, parsed FROM ONLY $file);
       IF (IF $now IS NONE OR $now IS NULL { [] } ELSE { [$now.generation, $now.archived, $now.parsed] }) != $at
         { THROW 'riffd: checkpoint' };`,
    );
    this.#add(this.#one("UPSERT $file CONTENT $checkpoint RETURN VALUE archived", "source"));
  }

  /** Makes way for the rows of a healing. */
  #clearing(): void {
    const cleared = this.#step.healing?.cleared ?? [];
    const ids = cleared.map(({ table, key }) => new RecordId(table, [...key]));
    if (!this.#list("cleared", ids)) return;
    this.#add("FOR $id IN $cleared { DELETE $id RETURN NONE };");
    if (!this.#limits.mayDeny) return;
    this.#add(
      "IF array::len(SELECT VALUE id FROM $cleared WHERE id IS NOT NONE) != 0 { THROW 'riffd: denied cleared' };",
    );
  }

  /** The generation of the step's rows and verdicts. */
  get #generation(): number {
    return this.#step.healing?.generation ?? this.#step.commit.generation;
  }

  #rows(): void {
    const { session, messages, records, quarantine, segments, events, pieceRemoved } = this.#step;
    const id = session.session_id;
    const generation = this.#generation;
    this.#insert("message", messagesToDb(messages, id, generation), "length");
    this.#insert(
      "record",
      records.map((row) => placed(row, id, generation)),
      "length",
    );
    if (pieceRemoved !== null) {
      this.#parameters.piece = new RecordId("quarantine", [id, generation, pieceRemoved]);
      this.#add("DELETE $piece RETURN NONE;");
    }
    this.#insert(
      "quarantine",
      quarantine.map((row) => placed(row, id, generation)),
      "length",
    );
    this.#insert(
      "source_segment",
      segments.map((row) => segmentToDb(row, id, generation)),
      "length",
    );
    this.#insert(
      "repair_event",
      events.map((row) => eventToDb(row, id)),
      "event_type",
    );
  }

  /** Changes of rows that were written before. */
  #changes(): void {
    const { commit, unresolvedSet, unresolvedRemoved, verdicts, removed, restored, sourceRemoved } = this.#step;
    if (this.#list("unresolved", unresolvedSet.map(unresolvedToDb))) {
      const insert = `INSERT INTO unresolved $unresolved
         ON DUPLICATE KEY UPDATE state = $input.state, found_in = $input.found_in`;
      this.#add(this.#all(insert, "unresolved", "state"));
    }
    const left = unresolvedRemoved.map(
      (row) => new RecordId("unresolved", [row.parent_uuid, row.session_id, row.generation, row.offset]),
    );
    if (this.#list("settled", left)) this.#add("FOR $id IN $settled { DELETE $id RETURN NONE };");
    if (this.#list("verdicts", verdicts)) {
      const update = `UPDATE type::record('message', [$s, $g, $v.offset]) SET parent_state = $v.parent_state,
           is_orphaned = $v.is_orphaned, corruption_score = $v.corruption_score`;
      this.#add(`FOR $v IN $verdicts { ${this.#one(`${update} RETURN VALUE length`, "verdict")} };`);
    }
    if (this.#list("removed", removed)) {
      this.#parameters.time = new DateTime(commit.time);
      const update = "UPDATE type::record('message', [$s, $r.generation, $r.offset]) SET removed_at = $time";
      this.#add(`FOR $r IN $removed { ${this.#one(`${update} RETURN VALUE length`, "removal")} };`);
    }
    if (this.#list("restored", restored)) {
      this.#add("FOR $r IN $restored { DELETE type::record('message', [$s, $r.generation, $r.offset]) RETURN NONE };");
    }
    if (sourceRemoved !== null) {
      this.#parameters.left = sourceRecord(sourceRemoved);
      this.#add("DELETE $left RETURN NONE;");
    }
  }

  /** Between the commit and the session's row: only there the segments let themselves be changed. */
  #forgetting(): void {
    const { session, commit, tombstones, destroyed } = this.#step;
    this.#insert(
      "forgotten",
      tombstones.map((row) => tombstoneToDb(row, session.session_id, commit.n)),
      "length",
    );
    if (destroyed !== null) this.#add(destroying(destroyed, this.#parameters));
  }

  #insert(table: string, rows: readonly object[], column: string): void {
    if (this.#list(table, rows)) this.#add(this.#all(`INSERT INTO ${table} $${table}`, table, column));
  }

  /** Gives the query a list by its name; a long one is written ahead. False for an empty one. */
  #list(name: string, rows: readonly unknown[]): boolean {
    const { listRows } = this.#limits;
    if (rows.length <= listRows) {
      if (rows.length > 0) this.#parameters[name] = rows;
      return rows.length > 0;
    }
    const { step_id } = this.#step.commit;
    for (let from = 0, n = 0; from < rows.length; from += listRows, n++) {
      this.#ahead.push({ id: [step_id, name, n], rows: rows.slice(from, from + listRows) });
    }
    this.#parameters.step = step_id;
    this.#parameters[`${name}_count`] = rows.length;
    this.#add(
      `LET $${name} = array::flatten((SELECT VALUE rows FROM staged:[$step, '${name}', NONE]..[$step, '${name}', ..]));
       IF array::len($${name}) != $${name}_count { THROW 'riffd: denied staged' };`,
    );
    return true;
  }

  /** A statement that writes all rows of the list of that name. */
  #all(statement: string, name: string, column: string): string {
    if (!this.#limits.mayDeny) return `${statement} RETURN NONE;`;
    return `IF array::len(${statement} RETURN VALUE ${column}) != array::len($${name}) { THROW 'riffd: denied ${name}' };`;
  }

  /** A statement that writes one row and returns it. */
  #one(statement: string, what: string): string {
    if (!this.#limits.mayDeny) return `${statement.replace(/RETURN VALUE \w+$/, "RETURN NONE")};`;
    return `IF array::len(${statement}) != 1 { THROW 'riffd: denied ${what}' };`;
  }

  #add(text: string): void {
    this.#parts.push(text);
  }
}
