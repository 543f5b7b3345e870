// Where a sync works: the store that was chosen, or, for a dry run, what would become of it, in memory.
import { localFiles } from "../source/transcript-file.ts";
import type { Setback } from "../store/heads.ts";
import type { OpenStore } from "../store/open.ts";
import type { HeadKeeper } from "../sync/context.ts";
import { DryStore } from "../sync/dry-store.ts";
import { STEP_LIMITS, type StepLimits } from "../sync/steps.ts";
import type { Store } from "../sync/store.ts";
import type { Output } from "./output.ts";
import { openChosenStore, type StoreOptions, viewChosenStore } from "./store.ts";
import type { Outcome } from "./sync-results.ts";

export interface Workplace {
  readonly store: Store;
  readonly stepLimits: StepLimits;
  readonly concurrency: number;
  readonly heads: HeadKeeper;
  readonly host: string;
  readonly setbacks: readonly Setback[];
  /** false: a dry run that found none. */
  readonly storeExists: boolean;
  /** To be called when a pass has gone to its end. */
  finish(outcomes: readonly Outcome[]): Promise<void>;
  close(): Promise<void>;
}

/** Throws the codes of `openChosenStore`. With `dryRun` nothing is written anywhere. */
export async function openWorkplace(
  dryRun: boolean,
  options: StoreOptions,
  output: Output,
  signal: AbortSignal,
): Promise<Workplace> {
  if (dryRun) {
    const view = await viewChosenStore(options, output, signal);
    return {
      store: new DryStore(view.base, localFiles, view.location),
      stepLimits: view.base?.stepLimits ?? STEP_LIMITS,
      concurrency: view.base?.concurrency ?? 2,
      heads: { advance() {} },
      host: view.host,
      setbacks: view.setbacks,
      storeExists: view.base !== null,
      async finish() {},
      close: () => view.close(),
    };
  }
  const opened = await openChosenStore(options, output, signal);
  const { store, heads, host, setbacks } = opened;
  return {
    store,
    stepLimits: store.stepLimits,
    concurrency: store.concurrency,
    heads,
    host,
    setbacks,
    storeExists: true,
    finish: (outcomes) => adoptHeads(opened, outcomes),
    close: () => opened.close(),
  };
}

/**
 * Where a store that was rolled back has been brought up to date from the files, its chains are what this machine knows
 * from now on. A chain that is as long as it was but another one was not rolled back: that stays told.
 */
async function adoptHeads({ store, heads, setbacks }: OpenStore, outcomes: readonly Outcome[]): Promise<void> {
  const read = new Set(outcomes.filter(({ session }) => session !== null).map(({ sessionId }) => sessionId));
  const healed = setbacks.filter(
    ({ sessionId, expected, found }) => found !== null && found.chain < expected.chain && read.has(sessionId),
  );
  if (healed.length === 0) return;
  const chains = new Map((await store.chainHeads()).map((row) => [row.session_id, row]));
  for (const { sessionId } of healed) {
    const now = chains.get(sessionId);
    if (now !== undefined && now.head !== heads.find(sessionId)?.head) heads.advance(sessionId, now.chain, now.head);
  }
}
