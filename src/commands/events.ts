// riffd events: what happened to transcripts, as the audit log has it: the latest events, and those to come.
import { RiffError } from "../errors.ts";
import { type EventFilter, EventLog, isMeant, type LoggedEvent } from "../store/event-log.ts";
import type { OpenStore } from "../store/open.ts";
import { EVENT_TYPES, type EventType } from "../sync/store.ts";
import { EventLines, jsonLine } from "./event-lines.ts";
import { type FollowCommits, openFollowedStore } from "./following.ts";
import type { Output } from "./output.ts";
import { resolveSession } from "./resolve.ts";
import { openChosenStore, type StoreOptions } from "./store.ts";
import { styleFor } from "./style.ts";
import { parsePeriod } from "./when.ts";

export interface EventsOptions extends StoreOptions {
  readonly follow: boolean;
  readonly since?: string;
  readonly until?: string;
  /** As typed. */
  readonly type: readonly string[];
  readonly operator?: string;
  readonly limit?: string;
  readonly json: boolean;
}

/** Events that are told where no limit is given. */
const USUAL_LIMIT = 50;

/** Runs the command; `query` names a session, undefined all. Returns its exit code. Throws RiffError. */
export async function eventsCommand(
  query: string | undefined,
  options: EventsOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const filter = filterOf(options);
  const limit = limitOf(options.limit);
  const tell = teller(options, output);
  if (!options.follow) {
    const opened = await openChosenStore(options, output, signal, { readOnly: true });
    try {
      const events = await latest(opened, await sessionOf(query, opened), filter, limit + 1);
      tell(limit === 0 ? [] : events.slice(-limit));
      if (!options.json) tellOfOthers(events.length, limit, options.limit === undefined, output);
      return 0;
    } finally {
      await opened.close();
    }
  }
  const opened = await openFollowedStore(options, output, signal);
  try {
    const session = await sessionOf(query, opened);
    await follow(opened, session, filter, limit, tell, signal);
    return 0;
  } finally {
    await opened.close();
  }
}

type Tell = (events: readonly LoggedEvent[]) => void;

/** Tells the latest events, then those of every commit to come, each once. */
async function follow(
  opened: OpenStore & { readonly follow: FollowCommits },
  session: string | null,
  filter: EventFilter,
  limit: number,
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  const { store } = opened;
  const log = new EventLog(store.database);
  const cursor = await store.feed.latest();
  const events = await latest(opened, session, filter, limit);
  tell(events);
  const told = new Set(events.map(nameOf));
  try {
    for await (const commit of opened.follow(cursor, session, signal)) {
      for await (const page of commit.events === 0 ? [] : log.ofCommit(commit)) {
        tell(page.filter((event) => isMeant(filter, event) && !told.has(nameOf(event))));
      }
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown; // to be stopped is its end
  }
}

function nameOf({ session_id, n }: LoggedEvent): string {
  return `${session_id} ${n}`;
}

async function latest({ store }: OpenStore, session: string | null, filter: EventFilter, limit: number) {
  const log = new EventLog(store.database);
  return session === null ? await log.ofAll(filter, limit) : await log.ofSession(session, filter, limit);
}

async function sessionOf(query: string | undefined, { store }: OpenStore): Promise<string | null> {
  if (query === undefined) return null;
  const candidates = (await store.summaries()).map(({ session_id, source }) => ({
    sessionId: session_id,
    path: source[1],
  }));
  return resolveSession(query, candidates, `the store ${store.location}`).sessionId;
}

function teller({ json }: EventsOptions, output: Output): Tell {
  if (json) {
    return (events) => {
      for (const event of events) output.line(jsonLine(event));
    };
  }
  const lines = new EventLines(styleFor(process.stdout, process.env));
  return (events) => {
    lines.fit(events);
    for (const event of events) output.line(lines.line(event));
  };
}

function tellOfOthers(found: number, limit: number, isUsual: boolean, output: Output): void {
  if (found === 0) output.note("There are no such events.");
  else if (found > limit && isUsual) output.note(`These are the last ${limit}; --limit shows more of them.`);
}

function filterOf({ since, until, type, operator, follow }: EventsOptions): EventFilter {
  if (follow && until !== undefined) {
    throw new RiffError(
      "RIFF_USAGE",
      "--follow tells what is to come, --until what was before: not both at once.",
      "Leave one of them out.",
    );
  }
  const period = parsePeriod(since, until, new Date()) ?? { since: null, until: null };
  return { ...period, types: type.length === 0 ? null : new Set(type.map(typeOf)), operator: operator ?? null };
}

function typeOf(text: string): EventType {
  const type = EVENT_TYPES.find((one) => one === text);
  if (type !== undefined) return type;
  throw new RiffError(
    "RIFF_USAGE",
    `There are no events of type ${JSON.stringify(text)}.`,
    `The types are ${EVENT_TYPES.join(", ")}.`,
  );
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return USUAL_LIMIT;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new RiffError(
    "RIFF_USAGE",
    `--limit ${JSON.stringify(text)} is no number of events.`,
    "For example: --limit 200",
  );
}
