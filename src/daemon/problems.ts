// What needs somebody, with what to do: told in the status as long as it lasts.
import type { Problem } from "../control/protocol.ts";
import type { Setback } from "../store/heads.ts";
import type { PipelineStatus } from "../sync/pipeline-status.ts";
import type { WatchStatus } from "../sync/watching.ts";

/** Files that could not be read, told one by one. */
const MAX_FILES = 10;

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
  for (const { message, hint } of watch.troubles) problems.push({ message, hint, since: started });
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
  const problems: Problem[] = unread.slice(0, MAX_FILES).map(({ path, state, error, changed_at }) => ({
    message: `${path} ${state === "quarantined" ? "is set aside until it changes" : "is tried again"}: ${error?.message}`,
    hint: error?.hint ?? "This is a bug: please report it with what the log says of it.",
    since: changed_at,
  }));
  const more = Math.max(unread.length, backlog.quarantined + backlog["backing-off"]) - problems.length;
  if (more > 0)
    problems.push({ message: `${more} more files could not be read`, hint: "The log names them.", since: started });
  return problems;
}
