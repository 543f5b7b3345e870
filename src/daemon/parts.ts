import type { Settings } from "../config/config.ts";
import type { Setback } from "../store/heads.ts";
import type { Pipeline } from "../sync/pipeline.ts";
import type { Watcher } from "../sync/watching.ts";
import type { Activity } from "./activity.ts";
import type { RpcAccess } from "./rpc-access.ts";
import type { StoreState } from "./store-state.ts";

/** The daemon's parts as they come and go; null: not yet, or not any more. */
export interface Parts {
  readonly store: StoreState;
  readonly activity: Activity;
  /** As they are followed now. */
  settings: Settings;
  watcher: Watcher;
  pipeline: Pipeline | null;
  rpc: RpcAccess | null;
  /** Where the store stays behind what this machine wrote to it. */
  setbacks: readonly Setback[];
}
