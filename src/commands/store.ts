// Opens the store that a command is to use: the one asked for, else the one of the environment, else the embedded one.
import { resolvePaths } from "../config/paths.ts";
import { resolveTarget } from "../config/store-target.ts";
import { type OpenStore, openStore } from "../store/open.ts";
import type { Output } from "./output.ts";
import { reportSetbacks } from "./setbacks.ts";

/** What every command that opens a store takes. */
export interface StoreOptions {
  /** `--surrealdb-url`, as typed. */
  readonly surrealdbUrl?: string;
}

/**
 * Opens it, and warns where it is behind what this machine last wrote to it. While a server is away, that is told once,
 * and once that it is back. Throws the codes of `openStore`.
 */
export async function openChosenStore(
  { surrealdbUrl }: StoreOptions,
  output: Output,
  signal: AbortSignal,
  { readOnly = false } = {},
): Promise<OpenStore> {
  const paths = resolvePaths(process.env);
  const target = resolveTarget(surrealdbUrl, process.env, paths.storeDir);
  const events = {
    away: (location: string, error: Error) =>
      output.note(`Warning: the store at ${location} is away (${error.message}). Waiting for it …`),
    back: (location: string) => output.note(`The store at ${location} is back.`),
  };
  const opened = await openStore(target, paths, { readOnly, events, signal });
  reportSetbacks(opened.setbacks, output);
  return opened;
}
