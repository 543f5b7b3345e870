// Runs queries whose every statement must succeed. The SDK's own error for a failed transaction says only that it
// failed; the statement that was the cause is found among the responses.
import type { SurrealQueryable } from "surrealdb";
import { Backoff } from "../backoff.ts";
import { toError } from "../errors.ts";

/** Times that statements are sent which meet others. */
const MAX_ATTEMPTS = 10;

/**
 * Runs `text` with `parameters` and returns the results of its statements. Throws the error of the statement that
 * failed first, not that of its followers.
 */
export async function run<T extends unknown[]>(
  db: SurrealQueryable,
  text: string,
  parameters: Record<string, unknown> = {},
): Promise<T> {
  const responses = await db.query(text, parameters).responses();
  const failures = responses.filter((response) => !response.success).map((response) => toError(response.error));
  if (failures.length > 0) throw failures.find((error) => !isFollower(error)) ?? failures[0];
  return responses.map((response) => (response.success ? response.result : undefined)) as T;
}

/** A statement that failed only because another one of its transaction did. */
function isFollower(error: Error): boolean {
  return /not executed due to a (failed|cancelled) transaction/.test(error.message);
}

/** The database says that the user may not do this, or a transaction that counts its rows has found some left out. */
export function isDenied(error: Error): boolean {
  if ("kind" in error && error.kind === "NotAllowed") return true;
  return /riffd: denied|IAM error|Not enough permissions/i.test(error.message);
}

/** Two transactions met; engines tell it in many ways, and some of them only at the end. */
export function isConflict(error: Error): boolean {
  return /conflict|can be retried|Resource busy|Cannot COMMIT|internal error/i.test(error.message);
}

/** What `work` gives, which may run twice: where it meets other transactions, it does. */
export async function despiteConflicts<T>(work: () => Promise<T>): Promise<T> {
  const backoff = new Backoff({ first: 20, longest: 1_000 });
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      if (attempt === MAX_ATTEMPTS || !isConflict(toError(thrown))) throw thrown;
    }
    await backoff.wait();
  }
}
