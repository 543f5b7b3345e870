// The commits of a store in one order. A commit cannot know its place in it: transactions become visible in another order
// than they begin, and a counter that all of them move would let only one through at a time. So a commit leaves a row in
// `feed_waiting`, and whoever reads the feed gives places to those that wait, in a transaction that moves `feed_head`: of
// two at once one fails, and places have no gaps. (A sequence of the engine cannot do this. In batches of one it takes
// longer the older it is, 5.7 ms after 30,000 numbers in 3.0.2; in larger ones every restart leaves numbers out, and nodes
// of a cluster hand out low ones after high ones, so that nobody can tell whether a missing number is still to come.)
import type { DateTime } from "surrealdb";
import { xxh64Hex } from "../core/hash.ts";
import { RiffError, toError } from "../errors.ts";
import { FEED_START, type FedCommit, type Feed } from "../sync/feed.ts";
import type { CommitRow } from "../sync/store.ts";
import type { Database } from "./database.ts";
import { isConflict, isDenied } from "./transaction.ts";

/** Places given out, and commits read, at a time. */
const BATCH = 500;

/** A commit's place. */
interface Place {
  readonly place: number;
  readonly session_id: string;
  readonly n: number;
}

type CommitColumns = Pick<
  CommitRow,
  "kind" | "host" | "path" | "generation" | "from" | "to" | "rows" | "first_event" | "events" | "operator"
> & { readonly time: DateTime };

export class SurrealFeed implements Feed {
  readonly #db: Database;

  constructor(database: Database) {
    this.#db = database;
  }

  async latest(): Promise<string> {
    const [waiting] = await this.#db.run<[{ count: number }[]]>("SELECT count() FROM feed_waiting GROUP ALL");
    for (let left = waiting[0]?.count ?? 0; left > 0; left -= BATCH) await this.#givePlaces();
    const [last] = await this.#db.run<[number | null | undefined]>("SELECT VALUE last FROM ONLY feed_head:feed");
    const [place] = typeof last === "number" ? await this.#places(last, last) : [];
    return place === undefined ? FEED_START : cursorOf(place);
  }

  async read(cursor: string, limit: number): Promise<readonly FedCommit[]> {
    const after = await this.#placeOf(cursor);
    const commits: FedCommit[] = [];
    while (commits.length < limit) {
      const from = after + commits.length + 1;
      const places = await this.#placesFrom(from, Math.min(BATCH, limit - commits.length));
      if (places.length === 0) break;
      commits.push(...(await this.#commits(places)));
    }
    return commits;
  }

  /** Throws RIFF_USAGE where there is no such commit at that place. */
  async #placeOf(cursor: string): Promise<number> {
    if (cursor === FEED_START) return 0;
    const place = /^[1-9]\d{0,14}-[0-9a-f]{8}$/.test(cursor) ? Number.parseInt(cursor, 10) : null;
    const [found] = place === null ? [] : await this.#places(place, place);
    if (found !== undefined && cursorOf(found) === cursor) return found.place;
    throw new RiffError(
      "RIFF_USAGE",
      `${JSON.stringify(cursor)} is no cursor of the store ${this.#db.location}: ${place === null ? "it does not look like one" : "another store gave it, or this one before a backup was restored"}.`,
      `Begin with the cursor ${FEED_START}, which stands before the first commit, or without one.`,
    );
  }

  /** With those that are given now, if there are none yet. */
  async #placesFrom(from: number, count: number): Promise<Place[]> {
    const places = await this.#places(from, from + count - 1);
    if (places.length > 0) return places;
    await this.#givePlaces();
    return this.#places(from, from + count - 1); // also where nothing waited: another reader may have been faster
  }

  async #places(from: number, to: number): Promise<Place[]> {
    const [rows] = await this.#db.run<[Place[]]>(
      "SELECT record::id(id)[0] AS place, session_id, n FROM feed:[$from]..=[$to]",
      { from, to },
    );
    return rows;
  }

  async #commits(places: readonly Place[]): Promise<FedCommit[]> {
    const [rows] = await this.#db.run<[(CommitColumns | null | undefined)[]]>(
      `RETURN $ids.map(|$id| (SELECT kind, host, path, generation, from, to, rows, first_event, events, operator, time
         FROM ONLY type::record('commit', $id)))`,
      { ids: places.map(({ session_id, n }) => [session_id, n]) },
    );
    return places.map((place, at) => {
      const row = rows[at];
      if (!row) throw missingCommit(place);
      const { from, to, time, ...columns } = row;
      const { session_id, n } = place;
      return { cursor: cursorOf(place), session_id, n, ...columns, bytes: to - from, time: time.toDate() };
    });
  }

  /**
   * Gives places to commits that wait for one, each session's in the order of their numbers. Where the user may not write,
   * or others are always faster, it is for them to give places.
   */
  async #givePlaces(): Promise<void> {
    const [waiting] = await this.#db.run<[unknown[]]>("SELECT VALUE id FROM feed_waiting LIMIT 1");
    if (waiting.length === 0) return;
    try {
      await this.#db.run(GIVE_PLACES, { batch: BATCH });
    } catch (thrown) {
      const error = toError(thrown);
      if (!isDenied(error) && !isConflict(error)) throw thrown;
    }
  }
}

/** May run twice: the second time it finds others waiting, or none. A server that denies a write may do so silently. */
const GIVE_PLACES = `BEGIN;
  LET $waiting = (SELECT VALUE id FROM feed_waiting LIMIT $batch);
  LET $last = (SELECT VALUE last FROM ONLY feed_head:feed) ?? 0;
  LET $next = $last + array::len($waiting);
  IF array::len(INSERT INTO feed $waiting.map(|$id, $i| {
      id: [$last + $i + 1], session_id: record::id($id)[0], n: record::id($id)[1]
    }) RETURN VALUE n) != array::len($waiting) { THROW 'riffd: denied feed' };
  IF array::len(UPSERT feed_head:feed SET last = $next RETURN VALUE last) != 1 { THROW 'riffd: denied feed' };
  IF array::len(DELETE $waiting RETURN BEFORE) != array::len($waiting) { THROW 'riffd: denied feed' };
  COMMIT;`;

/** Names the commit as well, so that a cursor of another history is not taken for one of this. */
function cursorOf({ place, session_id, n }: Place): string {
  return `${place}-${xxh64Hex(Buffer.from(`${session_id}\0${n}`)).slice(0, 8)}`;
}

function missingCommit({ place, session_id, n }: Place): RiffError {
  return new RiffError(
    "RIFF_STORE_DAMAGED",
    `Place ${place} of the feed is that of commit ${n} of session ${session_id}, which is not there.`,
    "Run `riffd verify --all` to see all that is damaged, and restore the store from a backup.",
  );
}
