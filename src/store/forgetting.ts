// The queries of forgetting: what a transaction destroys of earlier ones, and the look-ups that lead to it.
import { RecordId } from "surrealdb";
import { RiffError } from "../errors.ts";
import type { CommitKind, Destroyed, ForgetScope, Forgotten } from "../sync/store.ts";
import type { DbRow } from "./rows.ts";

/** Runs a query; throws the store's failures. */
export type Run = <T extends unknown[]>(text: string, parameters?: Record<string, unknown>) => Promise<T>;

/** Records looked up at a time. */
const BATCH = 500;

/** The statements that destroy, for a transaction in which `$s` is the session; adds to its parameters. */
export function destroying(destroyed: Destroyed, parameters: Record<string, unknown>): string {
  parameters.destroyed = {
    segments: destroyed.segments.map(({ generation, offset, codec, data, stored_hash }) => ({
      id: [parameters.s, generation, offset],
      codec,
      data,
      stored_hash: stored_hash ?? undefined,
    })),
    emptied: destroyed.emptied,
    contents: destroyed.largeContents,
    notAgain: destroyed.notAgain.map(([scope, id]) => ({ id: [scope, id] })),
  };
  return `
    FOR $row IN $destroyed.segments {
      IF array::len(UPDATE type::record('source_segment', $row.id) SET codec = $row.codec, data = $row.data,
           stored_hash = $row.stored_hash, shared_with = NONE RETURN VALUE length) != 1
        { THROW 'riffd: denied source_segment' }
    };
    FOR $row IN $destroyed.emptied {
      UPDATE message:[$s, $row.generation, $row.from]..=[$s, $row.generation, $row.to]
        SET content = '', content_kind = 'none', content_parts = NONE, content_hash = NONE RETURN NONE;
      UPDATE record:[$s, $row.generation, $row.from]..=[$s, $row.generation, $row.to]
        SET content = '', content_kind = 'none', content_parts = NONE, content_hash = NONE RETURN NONE;
    };
    FOR $hash IN $destroyed.contents { DELETE content_part:[$hash, NONE]..[$hash, ..] RETURN NONE };
    INSERT IGNORE INTO not_again $destroyed.notAgain RETURN NONE;`;
}

export async function readForgotten(run: Run): Promise<Forgotten> {
  const [ids] = await run<[RecordId[]]>("SELECT VALUE id FROM not_again");
  const keys = ids.map((id) => id.id as unknown as readonly [ForgetScope, string]);
  const of = (scope: ForgetScope) => new Set(keys.filter(([of]) => of === scope).map(([, id]) => id));
  return { messages: of("message"), sessions: of("session") };
}

export async function readSharers(
  run: Run,
  sessionId: string,
  holder: number,
  generations: readonly number[],
  offsets: readonly number[],
): Promise<{ generation: number; offset: number }[]> {
  const places = generations.flatMap((generation) => offsets.map((offset) => ({ generation, offset })));
  const held = await lookUp<number>(
    run,
    "RETURN $ids.map(|$id| (SELECT VALUE shared_with FROM ONLY $id))",
    places.map(({ generation, offset }) => new RecordId("source_segment", [sessionId, generation, offset])),
  );
  return places.filter((_, at) => held[at] === holder);
}

export async function readUnsharedContents(
  run: Run,
  sessionId: string,
  ranges: Destroyed["emptied"],
  hashes: readonly string[],
): Promise<string[]> {
  if (hashes.length === 0) return [];
  const tables = await run<[DbRow[], DbRow[]]>(
    `SELECT id, content_hash FROM message WHERE content_hash IN $hashes;
     SELECT id, content_hash FROM record WHERE content_hash IN $hashes;`,
    { hashes },
  );
  const isWithin = (row: DbRow) => {
    const [session, generation, offset] = keyOf(row.id as RecordId);
    return (
      session === sessionId &&
      ranges.some((range) => range.generation === generation && range.from <= offset && offset <= range.to)
    );
  };
  const kept = new Set(
    tables
      .flat()
      .filter((row) => !isWithin(row))
      .map((row) => row.content_hash),
  );
  return hashes.filter((hash) => !kept.has(hash));
}

/** Removes large contents that were written ahead of commit `n` of a session, if what came instead of it was a forgetting. */
export async function takeBackContents(run: Run, sessionId: string, n: number, hashes: readonly string[]) {
  if (hashes.length === 0) return;
  const [kinds] = await run<[CommitKind[]]>("SELECT VALUE kind FROM commit:[$s, $n]..[$s, ..]", { s: sessionId, n });
  if (!kinds.includes("forgotten")) return;
  for (const hash of await readUnsharedContents(run, sessionId, [], hashes)) {
    await run("DELETE content_part:[$hash, NONE]..[$hash, ..] RETURN NONE", { hash });
  }
}

/**
 * Sessions with a row of the message, and those with a generation that readers never saw: its rows are gone without a
 * trace, but its bytes are not.
 */
export async function readSessionsWithMessage(run: Run, uuid: string): Promise<string[]> {
  const [holding, turns, sources] = await run<
    [string[], { session_id: string; turns: number }[], { session_id: string; generation: number }[]]
  >(
    `SELECT VALUE session_id FROM message WHERE message_uuid = $uuid;
     SELECT session_id, count() AS turns FROM commit WHERE kind = 'turn' GROUP BY session_id;
     SELECT session_id, generation FROM source WHERE generation > 1;`,
    { uuid },
  );
  const turned = new Map(turns.map((row) => [row.session_id, row.turns]));
  const unseen = sources.filter((row) => (turned.get(row.session_id) ?? 0) < row.generation - 1);
  return [...new Set([...holding, ...unseen.map((row) => row.session_id)])].sort();
}

export async function readNotForgotten(
  run: Run,
  uuids: readonly string[],
): Promise<{ uuid: string; session_id: string }[]> {
  const found: { uuid: string; session_id: string }[] = [];
  for (let i = 0; i < uuids.length; i += BATCH) {
    const [pages] = await run<[RecordId[][]]>(
      "RETURN $uuids.map(|$uuid| (SELECT VALUE id FROM message WHERE message_uuid = $uuid))",
      { uuids: uuids.slice(i, i + BATCH) },
    );
    const rows = pages.flatMap((ids, at) => ids.map((id) => ({ uuid: uuids[i + at]!, key: keyOf(id) })));
    const tombstones = rows.map(({ key }) => new RecordId("forgotten", key as unknown as [string, number, number]));
    const lengths = await lookUp<number>(run, "RETURN $ids.map(|$id| (SELECT VALUE length FROM ONLY $id))", tombstones);
    const left = rows.filter((_, at) => typeof lengths[at] !== "number");
    const inSessions = new Map(left.map(({ uuid, key }) => [`${uuid} ${key[0]}`, { uuid, session_id: key[0] }]));
    found.push(...inSessions.values());
  }
  return found;
}

/** What a query over `$ids` gives for each of them. */
async function lookUp<T>(run: Run, text: string, ids: readonly RecordId[]): Promise<(T | null | undefined)[]> {
  const found: (T | null | undefined)[] = [];
  for (let i = 0; i < ids.length; i += BATCH) {
    const [values] = await run<[(T | null | undefined)[]]>(text, { ids: ids.slice(i, i + BATCH) });
    found.push(...values);
  }
  return found;
}

function keyOf(id: RecordId): readonly [session: string, generation: number, offset: number] {
  return id.id as unknown as [string, number, number];
}

/** RocksDB keeps replaced values in its log and its files until it writes them anew. */
export async function compactEngine(run: Run): Promise<boolean> {
  try {
    await run("ALTER SYSTEM COMPACT");
    return true;
  } catch (thrown) {
    if (thrown instanceof RiffError && thrown.code !== "RIFF_PERMISSION_DENIED") throw thrown;
    return false; // a server lets its own administrators do it alone
  }
}
