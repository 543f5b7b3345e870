// What the pipeline is told by whoever watches the projects folders; implemented by source/watcher.ts. Watching only makes
// it fast: a scan finds whatever the watcher missed.

/** `watching`: the system tells. `polling`: files are looked at again and again. `scanning`: only scans find changes. */
export type WatchMode = "watching" | "polling" | "scanning";

/** Something that keeps changes from being seen at once. */
export interface WatchTrouble {
  /** `limit`: the system has no watches or descriptors left. `root`: a projects folder is missing or unreadable. */
  readonly kind: "limit" | "root" | "failure";
  /** The folder it is about; null: all of them. */
  readonly path: string | null;
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
}

/** All calls are cheap and never throw. */
export interface WatchListener {
  /** The file at this path may have appeared, changed or vanished: told as often as it is seen, rather too often than not. */
  changed(path: string): void;
  /** Events may have been lost, or a folder came back: only a scan tells what has changed. */
  missed(): void;
  /** Told once for each trouble as it begins, and once as it ends. */
  troubled(trouble: WatchTrouble): void;
  recovered(trouble: WatchTrouble): void;
}

export interface WatchStatus {
  readonly mode: WatchMode;
  /** None before it was looked whether they are there. */
  readonly roots: readonly { readonly path: string; readonly present: boolean }[];
  /** Folders that are watched. */
  readonly folders: number;
  /** Those that have not ended, and since when. */
  readonly troubles: readonly (WatchTrouble & { readonly since: Date })[];
}

export interface Watcher {
  /** Resolves when changes are seen from now on, or cannot be; a missing root is no error. May be called once. */
  start(): Promise<void>;
  status(): WatchStatus;
  /** Idempotent; nothing is told afterwards. */
  close(): Promise<void>;
}
