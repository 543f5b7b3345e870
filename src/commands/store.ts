// Opens the store that a command is to use: the one asked for, else the one of the environment, else the embedded one,
// which may be open at the daemon.
import { resolveSettings, type Settings } from "../config/config.ts";
import type { ControlClient } from "../control/client.ts";
import type { Database } from "../store/database.ts";
import {
  type OpenOptions,
  type OpenStore,
  openDatabase,
  openStore,
  openStoreView,
  type StoreView,
} from "../store/open.ts";
import type { RemoteEvents } from "../store/remote-database.ts";
import type { Output } from "./output.ts";
import { reportSetbacks } from "./setbacks.ts";
import { type Choice, chosenStore, embeddedStore, reached } from "./store-way.ts";

/** What every command that opens a store takes. */
export interface StoreOptions {
  /** `--surrealdb-url`, as typed. */
  readonly surrealdbUrl?: string;
}

/** A store, and who else works on it. */
export interface ReachedStore extends OpenStore {
  /** It does what is to be written, and tells what was; null: there is none that works on this store. */
  readonly daemon: ControlClient | null;
}

/**
 * Opens it, and warns where it is behind what this machine last wrote to it. While a server is away, that is told once,
 * and once that it is back. Throws the codes of `openStore` and `wayTo`.
 */
export function openChosenStore(
  options: StoreOptions,
  output: Output,
  signal: AbortSignal,
  reading: Partial<Pick<OpenOptions, "readOnly" | "takesOlderSchema">> = {},
): Promise<ReachedStore> {
  const settings = settingsFor(options);
  return open(chosenStore(settings), settings, output, signal, () => ({ readOnly: false, ...reading }));
}

/** The same for the embedded store, whatever server the settings name. */
export function openEmbeddedStore(settings: Settings, output: Output, signal: AbortSignal): Promise<OpenStore> {
  return open(embeddedStore(settings), settings, output, signal, () => ({ readOnly: false }));
}

/** The same for a sync; where a daemon is to do that, only for reading. */
export function openStoreToSync(options: StoreOptions, output: Output, signal: AbortSignal): Promise<ReachedStore> {
  const settings = settingsFor(options);
  return open(chosenStore(settings), settings, output, signal, (daemon) => ({ readOnly: daemon !== null }));
}

async function open(
  choice: Choice,
  settings: Settings,
  output: Output,
  signal: AbortSignal,
  reading: (daemon: ControlClient | null) => Pick<OpenOptions, "readOnly" | "takesOlderSchema">,
): Promise<ReachedStore> {
  const opened = await reached(choice, async ({ target, daemon }) => {
    const options = { ...openOptions(output, signal), ...reading(daemon) };
    return { ...(await openStore(target, settings, options)), daemon };
  });
  reportSetbacks(opened.setbacks, output);
  return opened;
}

/** The same to look at, for a dry run: nothing is written, and no store is made where there is none. */
export async function viewChosenStore(options: StoreOptions, output: Output, signal: AbortSignal): Promise<StoreView> {
  const settings = settingsFor(options);
  const view = await reached(chosenStore(settings), ({ target }) =>
    openStoreView(target, settings, eventsFor(output), signal),
  );
  reportSetbacks(view.setbacks, output);
  return view;
}

/** Opens its database as it is, without looking at the schema. Throws the codes of `openDatabase` and `wayTo`. */
export function openChosenDatabase(options: StoreOptions, output: Output, signal: AbortSignal): Promise<Database> {
  return reached(choiceOf(options), ({ target }) =>
    openDatabase(target, { ...openOptions(output, signal), readOnly: false }),
  );
}

/** The store that the options and the environment name. */
export function choiceOf(options: StoreOptions): Choice {
  return chosenStore(settingsFor(options));
}

function settingsFor({ surrealdbUrl }: StoreOptions): Settings {
  return resolveSettings({ surrealdb_url: surrealdbUrl }, process.env);
}

/** The lock of an embedded store is tried once: who waits for it looks for a daemon in between. */
function openOptions(output: Output, signal: AbortSignal): Omit<OpenOptions, "readOnly"> {
  return { events: eventsFor(output), signal, lockWaitMs: 0 };
}

function eventsFor(output: Output): RemoteEvents {
  return {
    away: (location, error) => output.note(`Warning: the store at ${location} is away (${error.message}). Waiting …`),
    back: (location) => output.note(`The store at ${location} is back.`),
  };
}
