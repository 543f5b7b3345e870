/** What whoever owns the database can do to rows by plain queries. */
import fc from "fast-check";
import { DateTime, RecordId } from "surrealdb";
import type { DbRow } from "../../src/store/rows.ts";
import { run } from "../../src/store/transaction.ts";
import type { Workbench } from "./workbench.ts";

/** Tables whose rows follow from what is archived. */
export const HEALED_TABLES = ["session", "message", "record", "quarantine", "unresolved", "content_part"] as const;
type Table = (typeof HEALED_TABLES)[number];

/** Rows and columns are counted round, so that any number names one. */
type Act =
  | { readonly do: "delete"; readonly table: Table; readonly row: number }
  | { readonly do: "delete all"; readonly table: Table }
  | { readonly do: "alter"; readonly table: Table; readonly row: number; readonly column: number }
  | {
      readonly do: "add";
      readonly table: Exclude<Table, "session" | "content_part">;
      readonly row: number;
      readonly by: number;
    };

const rowArb = fc.nat(40);

const actArb: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("delete" as const), table: fc.constantFrom(...HEALED_TABLES), row: rowArb }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("delete all" as const), table: fc.constantFrom(...HEALED_TABLES) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("alter" as const),
      table: fc.constantFrom(...HEALED_TABLES),
      row: rowArb,
      column: fc.nat(40),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("add" as const),
      table: fc.constantFrom("message" as const, "record" as const, "quarantine" as const, "unresolved" as const),
      row: rowArb,
      by: fc.nat(5),
    }),
  },
);

/** One to six acts, one after another. */
export const vandalismArb: fc.Arbitrary<readonly Act[]> = fc.array(actArb, { minLength: 1, maxLength: 6 });

export async function vandalise({ store }: Workbench, acts: readonly Act[]): Promise<void> {
  for (const act of acts) {
    const [rows] = await run<[DbRow[]]>(store.db, `SELECT * FROM ${act.table}`);
    if (act.do === "delete all") await run(store.db, `DELETE ${act.table}`);
    else if (rows.length > 0) await commit(store.db, act, rows[act.row % rows.length]!);
  }
}

async function commit(
  db: Workbench["store"]["db"],
  act: Exclude<Act, { do: "delete all" }>,
  row: DbRow,
): Promise<void> {
  const { id, ...columns } = row;
  if (act.do === "delete") await run(db, "DELETE $id", { id });
  else if (act.do === "alter") {
    const names = Object.keys(columns).filter((name) => !SPARED.has(`${act.table}.${name}`));
    names.sort();
    const column = names[act.column % names.length]!;
    await run(db, `UPDATE $id SET ${column} = $value`, { id, value: another(column, columns[column]) });
  } else {
    const added = new RecordId(act.table, elsewhere((id as RecordId).id as unknown as unknown[], act.by));
    await run(db, "UPSERT $added CONTENT $columns", { added, columns });
  }
}

/**
 * Left alone: an unresolved parent of no session is no session's to heal, and nothing follows from `spared` where an
 * agent has no phantom.
 */
const SPARED = new Set(["unresolved.session_id", "session.spared"]);

/** Values of columns that take only some. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  parent_state: ["root", "resolved", "pending", "external", "phantom"],
  reason: ["nul", "invalid", "too_long", "unfinished"],
};

/** Another value that the schema takes for a column. */
export function another(column: string, value: unknown): unknown {
  const choices =
    CHOICES[column] ??
    (value === "pending" || value === "external" || value === "phantom" ? ["pending", "external", "phantom"] : null) ??
    (value === "live" || value === "gone" ? ["live", "gone"] : null) ??
    (value === "main" || value === "agent" ? ["main", "agent"] : null);
  if (choices !== null) return choices[(choices.indexOf(value as string) + 1) % choices.length];
  if (typeof value === "number") return value + 1;
  if (typeof value === "string") return `${value}x`;
  if (typeof value === "boolean") return !value;
  if (value instanceof DateTime) return new DateTime(new Date(0));
  if (value instanceof RecordId) return new RecordId(value.table, ["host", "nowhere"]);
  return Array.isArray(value) ? [...value, { kind: "phantom", offset: 3 }] : { damage: 0, score: 0 };
}

/** The id of a row that nothing was written at: beside the one it is a copy of, or where no bytes are at all. */
function elsewhere(key: readonly unknown[], by: number): unknown[] {
  const [offset, generation] = [Number(key.at(-1)), Number(key.at(-2))];
  const before = key.slice(0, -2);
  switch (by) {
    case 0:
      return [...before, generation, offset + 1];
    case 1:
      return [...before, generation, offset + 0.5];
    case 2:
      return [...before, generation, offset + 1e9];
    case 3:
      return [...before, generation + 7, offset];
    case 4:
      return [...before, 0, offset];
    default:
      return [...key, "more"];
  }
}
