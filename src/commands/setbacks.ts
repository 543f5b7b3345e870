// Tells that a store is behind what this machine last saw of it.
import type { Setback } from "../store/heads.ts";
import { type Output, plural } from "./output.ts";

const MAX_TOLD = 5;

/** Says nothing when there are none. */
export function reportSetbacks(setbacks: readonly Setback[], output: Output): void {
  if (setbacks.length === 0) return;
  output.note(
    `Warning: the store is behind what this machine last wrote to it, for ${plural(setbacks.length, "session")}: it was rolled back or damaged.`,
  );
  for (const setback of setbacks.slice(0, MAX_TOLD)) output.note(`  ${setback.sessionId}: ${describeSetback(setback)}`);
  if (setbacks.length > MAX_TOLD) output.note(`  … and ${setbacks.length - MAX_TOLD} more`);
  output.note("  `riffd sync --all` reads their files again; `riffd verify --all` tells what is missing.");
}

/** What was expected and what is there. */
function describeSetback({ expected, found }: Setback): string {
  if (found === null) return `commit ${expected.chain} was written, but the session is not in the store`;
  if (found.chain < expected.chain) return `commit ${expected.chain} was written, but the store ends at ${found.chain}`;
  return `commit ${expected.chain} is not the one that was written`;
}
