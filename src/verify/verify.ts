// Proves a store: each session as it is at one moment, then what holds them together. One bad session never stops the others.
import type { Setback } from "../store/heads.ts";
import { show } from "../sync/proof/difference.ts";
import { problemOf, type SessionVerdict, type VerifyContext, verifySession } from "./session.ts";
import { verifyGuards, verifyWhole } from "./whole.ts";

/** Proves sessions in the order given; those that this machine knows but the store does not are told as well. */
export async function* verifySessions(
  context: VerifyContext,
  sessionIds: readonly string[],
  setbacks: readonly Setback[],
): AsyncGenerator<SessionVerdict> {
  const lost = new Map(setbacks.filter(({ found }) => found === null).map((setback) => [setback.sessionId, setback]));
  for (const id of sessionIds) {
    const setback = lost.get(id);
    if (setback === undefined) {
      yield await context.reader.atOneMoment((reader) => verifySession({ ...context, reader }, id));
    } else {
      const problem = `the session is not in the store, but this machine wrote its commit ${setback.expected.chain}`;
      yield { sessionId: id, problem, notes: [], commits: 0, events: 0, messages: 0, bytes: 0 };
    }
  }
}

/** The ids of all sessions, in the order of their keys. Rows that are no sessions are told as problems. */
export async function listSessions({ reader }: VerifyContext): Promise<{ ids: string[]; problems: string[] }> {
  const keys = await reader.sessionKeys();
  return {
    ids: keys.filter((key) => typeof key === "string"),
    problems: keys.filter((key) => typeof key !== "string").map((key) => `session:${show(key)} is no session`),
  };
}

/** What is wrong with the store as a whole, in words. */
export async function verifyStore(context: VerifyContext): Promise<string[]> {
  const { reader } = context;
  try {
    const guards = await verifyGuards(reader);
    const whole = await reader.atOneMoment(async (moment) => {
      const { ids } = await listSessions({ ...context, reader: moment });
      return verifyWhole(moment, ids);
    });
    return [...guards, ...whole];
  } catch (thrown) {
    return [problemOf(thrown)];
  }
}
