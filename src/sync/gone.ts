// Sessions whose files are gone: nothing of them is removed, they are only marked.
import type { SyncContext } from "./context.ts";
import { LostRace, SessionLog } from "./look.ts";
import type { SessionRow, SourceRow } from "./store.ts";
import type { Scan } from "./sync.ts";

/** Whether a missing file's folder was read, or is missing below a folder that was. */
export function inScan({ path }: Pick<SourceRow, "path">, scan: Pick<Scan, "folders" | "skipped">): boolean {
  for (let folder = parentOf(path); folder !== ""; folder = parentOf(folder)) {
    if (scan.skipped?.has(folder)) return false;
    if (scan.folders.has(folder)) return true;
  }
  return false;
}

function parentOf(path: string): string {
  const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return at < 0 ? "" : path.slice(0, at);
}

/** Marks a session whose file is gone; all rows stay. null: another writer was faster, or there is none. */
export async function markGone(context: SyncContext, planned: SourceRow): Promise<SessionRow | null> {
  const session = await context.store.findSession(planned.session_id);
  const source = await context.store.findSource([planned.host, planned.path]); // it may have been healed since
  if (session === null || source === null) return null;
  const log = new SessionLog(context, session, source);
  const step = log.prepare({
    kind: "gone",
    time: context.now(),
    session: { ...session, state: "gone" },
    source: { ...source, gone: true, settled: true, verdicts_due: true },
    events: [],
  });
  try {
    await log.write(step);
  } catch (thrown) {
    if (thrown instanceof LostRace) return null; // a later pass looks again
    throw thrown;
  }
  return log.session;
}
