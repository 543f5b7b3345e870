// What needs somebody, with what to do: told in the status as long as it lasts.
import type { Problem } from "../control/protocol.ts";
import type { Setback } from "../store/heads.ts";
import type { PipelineStatus } from "../sync/pipeline-status.ts";
import type { WatchStatus, WatchTrouble } from "../sync/watching.ts";

/** Files that could not be read, told one by one. */
const MAX_FILES = 10;

/** Says that one has ended. */
export function recoveryOf({ kind, path }: WatchTrouble): string {
  switch (kind) {
    case "limit":
      return "The system lets riffd watch all folders again.";
    case "root":
      return `The projects folder ${path} can be read.`;
    case "failure":
      return `Nothing keeps riffd from watching the folder ${path} any more.`;
    default:
      return kind satisfies never;
  }
}

export interface Troubled {
  readonly store: Problem | null;
  readonly pipeline: PipelineStatus;
  readonly watch: WatchStatus;
  /** Sessions that the store was behind on, and that could not be read again. */
  readonly setbacks: readonly Setback[];
  readonly started: Date;
}

export function problemsOf({ store, pipeline, watch, setbacks, started }: Troubled): Problem[] {
  const problems: Problem[] = store === null ? [] : [store];
  for (const { message, hint, since } of watch.troubles) problems.push({ message, hint, since });
  problems.push(...unreadFiles(pipeline, started));
  if (setbacks.length > 0) {
    problems.push({
      message: `The store was behind what this machine last wrote to it, for ${setbacks.length} sessions: it was rolled back or damaged.`,
      hint: "`riffd verify --all` tells what is missing.",
      since: started,
    });
  }
  return problems;
}

/** Those that are tried again too: what cannot be read now may not be read for long. */
function unreadFiles({ live, backlog }: PipelineStatus, started: Date): Problem[] {
  const unread = live.filter(({ error }) => error !== null);
  const problems: Problem[] = unread.slice(0, MAX_FILES).map(({ path, state, error, failed_at }) => ({
    message: `${path} ${state === "quarantined" ? "is set aside until it changes" : "is tried again"}: ${error?.message}`,
    hint: error?.hint ?? "This is a bug: please report it with what the log says of it.",
    since: failed_at ?? started,
  }));
  const more = Math.max(unread.length, backlog.quarantined + backlog["backing-off"]) - problems.length;
  if (more > 0) {
    const times = unread.slice(MAX_FILES).map(({ failed_at }) => (failed_at ?? started).getTime());
    const since = times.length === 0 ? started : new Date(Math.min(...times));
    problems.push({ message: `${more} more files could not be read`, hint: "The log names them.", since });
  }
  return problems;
}
