// What riffd doctor finds: a line for each thing it looked at.

export type CheckState = "ok" | "warning" | "problem";

/** One line; part of riffd's contract for `--json`. */
export interface Check {
  /** What was looked at: its group, and behind a dot what of it. */
  readonly id: string;
  readonly state: CheckState;
  readonly message: string;
  /** What to do; null where nothing is to be done. */
  readonly hint: string | null;
}

export function ok(id: string, message: string): Check {
  return { id, state: "ok", message, hint: null };
}

/** Something that is not as it should be, or soon will not; riffd works. */
export function warning(id: string, message: string, hint: string): Check {
  return { id, state: "warning", message, hint };
}

/** Something that cannot be looked at as long as the state folder cannot be used. */
export function notLookedAt(id: string): Check {
  return warning(id, "Not looked at: it needs the state folder.", "Mend that first, and ask again.");
}

/** Something that keeps riffd from its work. */
export function problem(id: string, message: string, hint: string): Check {
  return { id, state: "problem", message, hint };
}
