import { RiffError } from "../errors.ts";

const STOPPING = new Set([
  "RIFF_STORE_IO",
  "RIFF_DISK_FULL",
  "RIFF_STORE_UNREACHABLE",
  "RIFF_CREDENTIALS_REFUSED",
  "RIFF_PERMISSION_DENIED",
  "RIFF_STATE_UNWRITABLE",
  "RIFF_INTERRUPTED",
]);

/** Failures of the store or of this machine, and interrupts: no other session would fare better. */
export function stopsEverything(error: Error): boolean {
  if (!(error instanceof RiffError)) return false;
  return STOPPING.has(error.code);
}
