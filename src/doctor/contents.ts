// What is in a store: its schema, how much it holds, whether its chains end where this machine last saw them, and whether its
// times are in the past.
import { RiffError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import type { Heads, Setback } from "../store/heads.ts";
import type { Patience } from "../store/remote-database.ts";
import {
  applyMigrations,
  label,
  readMigrations,
  type SchemaStatus,
  schemaFault,
  schemaStatus,
} from "../store/schema.ts";
import { storeSize } from "../store/store-size.ts";
import { SurrealStore } from "../store/surreal-store.ts";
import { type Check, ok, problem, warning } from "./check.ts";
import { inBytes, inCount, TOLERATED_MS } from "./measures.ts";
import type { Patient } from "./patient.ts";

/** A store that does not answer is told of, not waited for. */
export const SHORT_PATIENCE: Patience = { first: 5_000, away: 5_000, connect: 5_000, call: 10_000 };

/** How the store is reached. A copy may be written to. */
export type Reached = { readonly kind: "copy" | "daemon"; readonly dir: string } | { readonly kind: "remote" };

/** `heads`: as they were before the store was looked at; what is written meanwhile only makes it newer than they are. */
export async function checkContents(
  { now }: Pick<Patient, "now">,
  database: Database,
  heads: Heads,
  reached: Reached,
): Promise<Check[]> {
  const migrations = readMigrations();
  const status = await schemaStatus(database, migrations);
  const schema = checkSchema(status, reached);
  if (status.state !== "current" && (status.state !== "older" || reached.kind !== "copy")) return [schema];
  if (reached.kind === "copy") await applyMigrations(database, migrations);
  return [
    await checkSize(database, reached),
    schema,
    await checkHeads(heads, new SurrealStore(database)),
    await checkTimes(now, database),
  ];
}

function checkSchema(status: SchemaStatus, { kind }: Reached): Check {
  const id = "store.schema";
  const newest = status.applied.at(-1);
  if (status.state === "current" && newest !== undefined) return ok(id, `${label(newest)}, this riffd's`);
  if (status.state === "older" && kind !== "remote") {
    return warning(
      id,
      `The schema is older than this riffd's: ${status.missing.map(label).join(", ")} missing.`,
      kind === "daemon"
        ? "Start the daemon again with this riffd: that brings it up to date."
        : "The next command that writes brings it up to date; `riffd backup` before it, if you may go back.",
    );
  }
  if (status.state === "fresh" && kind !== "remote") return ok(id, "none yet: the first sync sets it up");
  const { message, hint } = schemaFault(status) ?? new RiffError("RIFF_SCHEMA_MISSING", "There is none.", "");
  return problem(id, message, hint);
}

interface Totals {
  readonly sessions?: number;
  readonly messages?: number;
  readonly bytes?: number;
}

async function checkSize(database: Database, reached: Reached): Promise<Check> {
  const [sessions, sources] = await database.run<[Totals[], Totals[]]>(
    `SELECT count() AS sessions, math::sum(message_count) AS messages FROM session GROUP ALL;
     SELECT math::sum(archived) AS bytes FROM source GROUP ALL`,
  );
  const held = [
    inCount(sessions[0]?.sessions ?? 0, "session"),
    inCount(sessions[0]?.messages ?? 0, "message"),
    `${inBytes(sources[0]?.bytes ?? 0)} archived`,
    ...(reached.kind === "remote" ? [] : [`${inBytes(await storeSize(reached.dir))} on disk`]),
  ];
  const way = { copy: "", daemon: " (asked by way of the daemon)", remote: "" }[reached.kind];
  return ok("store", `${database.location}: ${held.join(", ")}${way}`);
}

async function checkHeads(heads: Heads, store: SurrealStore): Promise<Check> {
  const id = "store.heads";
  const setbacks = heads.setbacks(await store.chainHeads());
  if (setbacks.length === 0) return ok(id, `${inCount(heads.size, "chain")} end where this machine last saw them`);
  return problem(
    id,
    `The store is behind what this machine last wrote to it, for ${inCount(setbacks.length, "session")} (${firstOf(setbacks)}): it was rolled back or damaged.`,
    "`riffd sync --all` reads their files again; `riffd verify --all` tells what is missing.",
  );
}

function firstOf(setbacks: readonly Setback[]): string {
  const { sessionId } = setbacks[0]!;
  return setbacks.length === 1 ? sessionId : `${sessionId}, …`;
}

/** Times of a machine whose clock was ahead stay in the store, and everything after them seems to come before. */
async function checkTimes(now: Date, database: Database): Promise<Check> {
  const id = "clock.store";
  const [latest] = await database.run<[{ toDate(): Date } | undefined]>(
    "RETURN time::max((SELECT VALUE last_updated FROM session))",
  );
  const time = latest?.toDate?.() ?? null;
  if (time === null || time.getTime() <= now.getTime() + TOLERATED_MS)
    return ok(id, "the store's times are in the past");
  return warning(
    id,
    `The store was last written to at ${time.toISOString()}, which is yet to come: it is ${now.toISOString()}.`,
    "Check this machine's clock, and those of others that write to the store (timedatectl). Orders by time are not to be trusted in between; the order within sessions is.",
  );
}
