import type { SyncContext } from "./context.ts";
import type { SourceRow } from "./store.ts";

/** Rows of older generations that a pass before was too short-lived to remove. */
export async function removeLeftovers(context: SyncContext, sources: Map<string, SourceRow>): Promise<void> {
  for (const source of [...sources.values()].filter((row) => row.superseded)) {
    const session = await context.store.findSession(source.session_id);
    if (session === null) continue;
    await context.store.removeSuperseded(session.session_id, session.generation);
    const clean = { ...source, superseded: false };
    if (await context.store.updateSource(clean, source)) sources.set(source.path, clean);
  }
}
