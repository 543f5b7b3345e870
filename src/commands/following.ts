// How commands follow the commits of a store that others write to.
import { setTimeout as sleep } from "node:timers/promises";
import type { ControlClient } from "../control/client.ts";
import { RiffError } from "../errors.ts";
import type { OpenStore } from "../store/open.ts";
import type { FedCommit, Feed } from "../sync/feed.ts";
import type { Output } from "./output.ts";
import { choiceOf, openChosenStore, type StoreOptions } from "./store.ts";
import { wayTo } from "./store-way.ts";

/** All commits behind a cursor, of one session or all (null), and those to come, until the signal is aborted. */
export type FollowCommits = (
  cursor: string,
  session: string | null,
  signal: AbortSignal,
) => AsyncIterable<Pick<FedCommit, "session_id" | "first_event" | "events">>;

export interface FollowedStore extends OpenStore {
  readonly follow: FollowCommits;
}

/** How often a store is asked that nobody tells of. */
const POLL_MS = 1_000;
/** Commits asked for at a time. */
const PAGE = 100;

/** Opens the store. Throws RIFF_DAEMON_NOT_RUNNING where only a daemon could write to it, and the codes of `openStore`. */
export async function openFollowedStore(
  options: StoreOptions,
  output: Output,
  signal: AbortSignal,
): Promise<FollowedStore> {
  const { target } = await wayTo(choiceOf(options));
  if (target.kind === "embedded") throw noDaemon();
  // That a daemon is away is told by the following itself.
  const told = target.kind === "daemon" ? { ...output, note: () => {} } : output;
  const opened = await openChosenStore(options, told, signal, { readOnly: true });
  const { daemon, store } = opened;
  return { ...opened, follow: daemon === null ? polling(store.feed, POLL_MS) : toldBy(daemon, output) };
}

/** Follows what the daemon tells. */
function toldBy(daemon: ControlClient, output: Output): FollowCommits {
  const trouble = {
    away: (error: Error) => output.note(`Warning: ${error.message} Waiting until it is back …`),
    back: () => output.note("The daemon is back."),
  };
  return (cursor, session, signal) => daemon.follow({ cursor, ...(session && { session }), ...trouble }, signal);
}

/** Follows by asking the feed every `ms` milliseconds. */
function polling(feed: Feed, ms: number): FollowCommits {
  return async function* (cursor, session, signal) {
    for (let at = cursor; !signal.aborted; ) {
      const commits = await feed.read(at, PAGE);
      for (const commit of commits) if (session === null || commit.session_id === session) yield commit;
      at = commits.at(-1)?.cursor ?? at;
      if (commits.length < PAGE) await sleep(ms, undefined, { signal }).catch(() => {});
    }
  };
}

function noDaemon(): RiffError {
  return new RiffError(
    "RIFF_DAEMON_NOT_RUNNING",
    "Nothing is written to the store that could be followed: no daemon is running.",
    "Start it with `riffd start`. Without --follow, `riffd events` tells what is in the log.",
  );
}
