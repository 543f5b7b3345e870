// Runs a text that somebody typed. A read-only one runs in a transaction that is never committed, so that nothing it
// could do to the database stays; what a rollback does not undo is refused beforehand.
import type { QueryResponse, Surreal, SurrealTransaction } from "surrealdb";
import { RiffError, toError } from "../errors.ts";
import { findEffect } from "./effects.ts";

/** What one statement gave. */
export type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string };

/**
 * Runs `text` and leaves the database as it was. Throws RIFF_QUERY_FAILED where it is not valid, would write, or the
 * connection has no transactions (HTTP).
 */
export async function queryReadOnly(db: Surreal, text: string): Promise<Answer[]> {
  const effect = findEffect(text);
  if (effect !== null) {
    throw new RiffError(
      "RIFF_QUERY_FAILED",
      `The query ${effect}. Nothing of it was run.`,
      "Let it write with --write. If it is only a name, put it in backticks.",
    );
  }
  const transaction = await begin(db);
  try {
    return await answers(transaction, text);
  } finally {
    // Where the connection is gone, the transaction is too.
    await transaction.cancel().catch(() => {});
  }
}

async function begin(db: Surreal): Promise<SurrealTransaction> {
  const { UnavailableFeatureError, UnsupportedFeatureError } = await import("surrealdb");
  try {
    return await db.beginTransaction();
  } catch (thrown) {
    if (!(thrown instanceof UnsupportedFeatureError || thrown instanceof UnavailableFeatureError)) throw thrown;
    throw new RiffError(
      "RIFF_QUERY_FAILED",
      "Over this connection a query cannot be kept from writing: it has no transactions.",
      "Use the ws:// or wss:// address of a server from version 3 on, or allow it to write with --write.",
      thrown,
    );
  }
}

/** Runs `text`, which may write. Throws RIFF_QUERY_FAILED where it is not valid. */
export async function queryAndWrite(db: Surreal, text: string): Promise<Answer[]> {
  return await answers(db, text);
}

async function answers(queryable: Pick<Surreal, "query">, text: string): Promise<Answer[]> {
  let responses: QueryResponse[];
  try {
    responses = await queryable.query(text).responses();
  } catch (thrown) {
    const error = toError(thrown);
    throw new RiffError(
      "RIFF_QUERY_FAILED",
      `The database did not run the query: ${error.message.trimEnd()}`,
      "See docs/querying.md for queries that work.",
      error,
    );
  }
  return responses.map((response) =>
    response.success
      ? { ok: true, value: response.result }
      : { ok: false, message: toError(response.error).message.trimEnd() },
  );
}
