// Where a sync works: the store that was chosen, in this process or at the daemon that has it; or, for a dry run, what
// would become of it, in memory.
import { localFiles } from "../source/transcript-file.ts";
import type { Setback } from "../store/heads.ts";
import { adoptHeads } from "../store/open.ts";
import type { HeadKeeper } from "../sync/context.ts";
import { DryStore } from "../sync/dry-store.ts";
import { STEP_LIMITS } from "../sync/steps.ts";
import type { Store } from "../sync/store.ts";
import type { Output } from "./output.ts";
import { openStoreToSync, type StoreOptions, viewChosenStore } from "./store.ts";
import { type Pass, passAtDaemon, passHere } from "./sync-pass.ts";
import type { Outcome } from "./sync-results.ts";

const NO_HEADS: HeadKeeper = { advance() {} };

export interface Workplace {
  readonly store: Store;
  readonly pass: Pass;
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
    const store = new DryStore(view.base, localFiles, view.location);
    const { stepLimits, concurrency } = view.base ?? { stepLimits: STEP_LIMITS, concurrency: 2 };
    return {
      store,
      pass: passHere({ store, heads: NO_HEADS, host: view.host, stepLimits, concurrency, isRehearsal: true }),
      host: view.host,
      setbacks: view.setbacks,
      storeExists: view.base !== null,
      async finish() {},
      close: () => view.close(),
    };
  }
  const opened = await openStoreToSync(options, output, signal);
  const { store, heads, host, setbacks, daemon } = opened;
  const { stepLimits, concurrency } = store;
  return {
    store,
    pass: daemon === null ? passHere({ store, heads, host, stepLimits, concurrency }) : passAtDaemon(daemon),
    host,
    setbacks,
    storeExists: true,
    finish: (outcomes) =>
      adoptHeads(opened, new Set(outcomes.filter(({ session }) => session !== null).map(({ sessionId }) => sessionId))),
    close: () => opened.close(),
  };
}
