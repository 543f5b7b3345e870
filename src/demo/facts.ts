// What each act of the demo finds in the store. `riffd demo --json` prints it.
import type { Exported, Proof } from "./reader.ts";

/** Two sessions were written, line by line. */
interface Live {
  readonly sessions: readonly { readonly session_id: string; readonly prompt: string; readonly messages: number }[];
  readonly messages: number;
  /** Of the log, by then; and the median time from when a message was written until it was in the log. */
  readonly message_added: number;
  readonly median_ms: number;
}

/** A line was torn in the middle. */
interface Torn {
  readonly session_id: string;
  readonly messages: number;
  readonly unreadable: number;
  readonly unreadable_bytes: number;
  readonly corruption_score: number;
}

/** The other half of it came. */
interface Completed {
  readonly title: string | null;
  readonly messages: number;
  readonly unreadable: number;
  /** Scores, of the event `corruption_fixed`. */
  readonly score_before: number;
  readonly score_after: number;
}

/** A message's parent is not there any more. */
interface Broken {
  readonly generation: number;
  readonly cut_off: number;
  readonly conversation: number;
  readonly corruption_score: number;
}

/** It is there again. Of the last events `parent_repaired` and `corruption_fixed`. */
interface Repaired {
  readonly generation: number;
  readonly message_uuid: string | null;
  readonly parent_before: string;
  readonly parent_after: string;
  readonly score_before: number;
  readonly score_after: number;
}

/** The daemon was killed while a session was written, and started again. */
interface Killed {
  readonly pid_before: number;
  readonly pid: number;
  readonly messages: number;
  /** Different ones. */
  readonly distinct: number;
  readonly cut_off: number;
  readonly conversation: number;
  readonly unreadable: number;
  readonly corruption_score: number;
}

/** A transcript was deleted, and given back. */
interface Deleted {
  readonly state: "live" | "gone";
  readonly given_back: Exported;
  /** As it was while its parent was broken. */
  readonly earlier: Exported;
}

/** All of it was proved, and the daemon stopped. */
interface Proved {
  readonly proof: Proof;
  readonly events: Readonly<Record<string, number>>;
}

/** In the order in which they are played. */
export interface DemoFacts {
  readonly live: Live;
  readonly torn: Torn;
  readonly completed: Completed;
  readonly broken: Broken;
  readonly repaired: Repaired;
  readonly killed: Killed;
  readonly deleted: Deleted;
  readonly proved: Proved;
}

export type ActName = keyof DemoFacts;

/** Something that was found in the store, and is not what it must be. */
export interface Wrong {
  readonly act: ActName;
  readonly what: string;
  readonly found: unknown;
  readonly expected: unknown;
}
