// The folders below one projects folder that hold transcripts, each watched by itself.
//
// A folder is watched before it is read, so what is made in between is told by the watch. Which files there are is not
// kept: where a folder goes away with what is in it, only a scan tells what has gone.
import type { BigIntStats, Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isAbsent } from "../absent.ts";
import { toError } from "../errors.ts";
import { holdsTranscripts, isBelow, transcriptAt } from "./discover.ts";
import { identityOf } from "./identity.ts";
import type { ProjectFilter } from "./project-filter.ts";
import type { WatchFolder } from "./watch-folder.ts";

export interface TreeEvents {
  /** A transcript may have appeared, changed or vanished. */
  changed(path: string): void;
  /** A folder has gone, with files in it that were not told. */
  missed(): void;
  /** The root itself was moved, deleted or replaced. */
  uprooted(): void;
  /** `refused` may have changed. */
  settled(): void;
}

interface WatchedFolder {
  /** Null: another folder may have taken its place. */
  identity: string | null;
  readonly stop: () => void;
}

export class WatchedTree {
  readonly #root: string;
  readonly #wanted: ProjectFilter;
  readonly #watch: WatchFolder;
  readonly #events: TreeEvents;
  readonly #watched = new Map<string, WatchedFolder>();
  readonly #refused = new Map<string, Error>();
  #settled: ReadonlyMap<string, Error> = new Map();
  /** Paths to be looked at, in this order, one at a time. */
  readonly #pending = new Set<string>();
  #looking: Promise<void> | null = null;
  #hasLost = false;
  #isClosed = false;

  /** `root` must be free of links. */
  constructor(root: string, wanted: ProjectFilter, watch: WatchFolder, events: TreeEvents) {
    this.#root = root;
    this.#wanted = wanted;
    this.#watch = watch;
    this.#events = events;
  }

  /** Watches all folders that are there; their transcripts are not told. */
  async start(): Promise<void> {
    this.#looking = this.#adopt(this.#root, () => {}).then(() => this.#lookAtPending());
    await this.#looking;
  }

  /** How many folders are watched. */
  get folders(): number {
    return this.#watched.size;
  }

  /** Folders that cannot be watched, nor those in them, and why; as it was when everything had been looked at. */
  get refused(): ReadonlyMap<string, Error> {
    return this.#settled;
  }

  /** Tries again to watch what is refused. */
  async retry(): Promise<void> {
    for (const folder of this.#refused.keys()) this.#lookAt(folder);
    await this.#looking;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { stop } of this.#watched.values()) stop();
    this.#watched.clear();
    await this.#looking;
  }

  #happened(folder: string, kind: "rename" | "change", name: string | null): void {
    if (this.#isClosed) return;
    // What happens to a folder itself is told in it with its own name.
    if (name === null || (kind === "rename" && name === basename(folder))) this.#suspect(folder);
    if (name === null) return;
    const path = join(folder, name);
    if (kind === "change" && transcriptAt(this.#root, path) !== null) this.#events.changed(path);
    else this.#lookAt(path);
  }

  #suspect(folder: string): void {
    const watched = this.#watched.get(folder);
    if (watched !== undefined) watched.identity = null;
    if (folder === this.#root) this.#events.uprooted();
    else this.#lookAt(folder);
  }

  #lookAt(path: string): void {
    this.#pending.add(path);
    this.#looking ??= this.#lookAtPending();
  }

  async #lookAtPending(): Promise<void> {
    for (const path of this.#pending) {
      this.#pending.delete(path);
      if (!this.#isClosed) await this.#look(path);
    }
    this.#looking = null;
    this.#settle();
    if (this.#hasLost && !this.#isClosed) this.#events.missed();
    this.#hasLost = false;
  }

  #settle(): void {
    this.#settled = new Map(this.#refused);
    if (!this.#isClosed) this.#events.settled();
  }

  async #look(path: string): Promise<void> {
    const found = await findStats(path).catch(() => null);
    if (this.#isClosed) return;
    if (found?.isDirectory()) {
      if (this.#isWanted(path)) await this.#adopt(path, (transcript) => this.#events.changed(transcript));
      return;
    }
    this.#forget(path);
    if (!found?.isSymbolicLink() && transcriptAt(this.#root, path) !== null) this.#events.changed(path);
  }

  #isWanted(folder: string): boolean {
    if (folder === this.#root) return true;
    if (dirname(folder) === this.#root && !this.#wanted(basename(folder))) return false;
    return holdsTranscripts(this.#root, folder);
  }

  /** Watches a folder and all below it, and tells of the transcripts in them. */
  async #adopt(folder: string, tell: (path: string) => void): Promise<void> {
    try {
      const stats = await findStats(folder);
      if (this.#isClosed) return;
      const identity = stats === null ? null : identityOf(stats);
      const watched = this.#watched.get(folder);
      if (identity !== null && watched?.identity === identity) return;
      if (identity === null || watched !== undefined) this.#forget(folder);
      if (identity === null || !this.#watchOne(folder, identity)) return;
      const entries = await readdir(folder, { withFileTypes: true });
      this.#refused.delete(folder);
      for (const entry of entries) await this.#take(folder, entry, tell);
    } catch (thrown) {
      this.#refuse(folder, toError(thrown));
    }
  }

  async #take(folder: string, entry: Dirent, tell: (path: string) => void): Promise<void> {
    if (this.#isClosed) return;
    const path = join(folder, entry.name);
    if (entry.isDirectory() && this.#isWanted(path)) await this.#adopt(path, tell);
    else if (entry.isFile() && transcriptAt(this.#root, path) !== null) tell(path);
  }

  #watchOne(folder: string, identity: string): boolean {
    const stop = this.#watch(folder, {
      happened: (kind, name) => this.#happened(folder, kind, name),
      failed: (error) => {
        this.#refuse(folder, error);
        if (this.#looking === null) this.#settle();
      },
    });
    if (stop !== null) this.#watched.set(folder, { identity, stop });
    return stop !== null;
  }

  #refuse(folder: string, error: Error): void {
    this.#watched.get(folder)?.stop();
    this.#watched.delete(folder);
    if (!isAbsent(error)) this.#refused.set(folder, error);
  }

  /** A folder that has gone, or another one is in its place, and all below it. */
  #forget(path: string): void {
    const concerns = (folder: string) => folder === path || isBelow(path, folder);
    for (const folder of this.#refused.keys()) if (concerns(folder)) this.#refused.delete(folder);
    for (const [folder, { stop }] of this.#watched) {
      if (!concerns(folder)) continue;
      stop();
      this.#watched.delete(folder);
      this.#hasLost = true;
    }
  }
}

/** Null: there is nothing at this path. */
async function findStats(path: string): Promise<BigIntStats | null> {
  try {
    return await lstat(path, { bigint: true });
  } catch (thrown) {
    if (isAbsent(thrown)) return null;
    throw thrown;
  }
}
