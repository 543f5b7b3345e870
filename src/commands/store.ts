// Opens the store that a command is to use: the one asked for, else the one of the environment, else the embedded one.
import { resolveSettings, type Settings } from "../config/config.ts";
import { resolveTarget, type StoreTarget } from "../config/store-target.ts";
import type { Database } from "../store/database.ts";
import { type OpenStore, openDatabase, openStore, openStoreView, type StoreView } from "../store/open.ts";
import type { RemoteEvents } from "../store/remote-database.ts";
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
  options: StoreOptions,
  output: Output,
  signal: AbortSignal,
  { readOnly = false } = {},
): Promise<OpenStore> {
  const settings = settingsFor(options);
  const opened = await openStore(resolveTarget(settings), settings, { readOnly, events: eventsFor(output), signal });
  reportSetbacks(opened.setbacks, output);
  return opened;
}

/** The same to look at, for a dry run: nothing is written, and no store is made where there is none. */
export async function viewChosenStore(options: StoreOptions, output: Output, signal: AbortSignal): Promise<StoreView> {
  const settings = settingsFor(options);
  const view = await openStoreView(resolveTarget(settings), settings, eventsFor(output), signal);
  reportSetbacks(view.setbacks, output);
  return view;
}

/** Opens its database as it is, without looking at the schema. Throws the codes of `openDatabase`. */
export function openChosenDatabase(options: StoreOptions, output: Output, signal: AbortSignal): Promise<Database> {
  return openDatabase(chosenTarget(options), { readOnly: false, events: eventsFor(output), signal });
}

export function chosenTarget(options: StoreOptions): StoreTarget {
  return resolveTarget(settingsFor(options));
}

function settingsFor({ surrealdbUrl }: StoreOptions): Settings {
  return resolveSettings({ surrealdb_url: surrealdbUrl }, process.env);
}

function eventsFor(output: Output): RemoteEvents {
  return {
    away: (location, error) => output.note(`Warning: the store at ${location} is away (${error.message}). Waiting …`),
    back: (location) => output.note(`The store at ${location} is back.`),
  };
}
