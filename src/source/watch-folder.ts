// The edge to chokidar: one folder, told of what happens in it.
//
// Its own walk is not used. It reads a folder again and looks at each file in it with every append (18 ms of CPU where
// 1,000 files lie), begins to watch a folder only after it has read it, so that what is made in between is missed, and
// watches the folder around one that has gone. What is left is its handler of single paths. Its version is pinned.
import { FSWatcher } from "chokidar";
import { toError } from "../errors.ts";

/** What is told of a folder that is watched. */
interface FolderEvents {
  /**
   * Something of this name in the folder, or the folder itself, appeared or vanished (`rename`) or changed. The name is
   * null where the system does not tell it.
   */
  happened(kind: "rename" | "change", name: string | null): void;
  /** The folder is not watched any more. */
  failed(error: Error): void;
}

/**
 * Watches a folder, but none of those in it, until what it gives back is called, which may be done once. Null: there is
 * no such folder. Throws what the system says if it refuses.
 */
export type WatchFolder = (folder: string, events: FolderEvents) => (() => void) | null;

export const watchFolder: WatchFolder = (folder, events) => {
  const chokidar = new FSWatcher();
  // Whatever CHOKIDAR_USEPOLLING says: polling folders shows no appends.
  chokidar.options = { ...chokidar.options, usePolling: false };
  let refusal: Error | null = null;
  let report = (error: Error) => {
    refusal = error;
  };
  chokidar.on("error", (thrown) => report(toError(thrown)));
  chokidar.on("raw", (kind, name: string | null) => events.happened(kind, name));
  const stop = chokidar._nodeFsHandler._watchWithNodeFs(folder, () => {});
  if (refusal !== null) throw refusal;
  report = (error) => events.failed(error);
  return stop ?? null;
};
