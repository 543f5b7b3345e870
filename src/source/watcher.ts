// Watches the projects folders: which of them are there, which way changes are found, and what stands against it. A scan
// finds whatever is missed here.
import { toError } from "../errors.ts";
import type { Watcher, WatchListener, WatchMode, WatchStatus, WatchTrouble } from "../sync/watching.ts";
import { outermost } from "./discover.ts";
import { every } from "./every.ts";
import { PolledFiles } from "./polled-files.ts";
import type { ProjectFilter } from "./project-filter.ts";
import { findRoot, type PresentRoot } from "./projects-root.ts";
import { type WatchFolder, watchFolder } from "./watch-folder.ts";
import { failureTrouble, isForbidden, isLimit, limitTrouble, rootTrouble, WatchTroubles } from "./watch-troubles.ts";
import { WatchedTree } from "./watched-tree.ts";

export interface WatcherOptions {
  readonly roots: readonly string[];
  readonly wanted: ProjectFilter;
  /** `poll`: for folders of whose changes the system does not tell, as on network and container mounts. */
  readonly mode: "auto" | "poll";
  /** With `poll`: between two looks at the files that changed lately. All are looked at in slower rounds. */
  readonly pollMs?: number;
  /** Between two looks at whether the roots are there, and are the same. */
  readonly rootCheckMs?: number;
  /** Between two scans while the system refuses to watch. */
  readonly scanMs?: number;
  /** Between two attempts to watch what the system refused. */
  readonly retryMs?: number;
  /** On macOS, which does not tell of appends to a file that stays open: between two looks at files that changed lately. */
  readonly hotMs?: number;
  /** Lately is no longer ago than this. */
  readonly hotForMs?: number;
  readonly platform?: NodeJS.Platform;
  readonly watchFolder?: WatchFolder;
}

const DEFAULTS = {
  pollMs: 1_000,
  rootCheckMs: 2_000,
  scanMs: 5_000,
  retryMs: 60_000,
  hotMs: 250,
  hotForMs: 10 * 60_000,
  platform: process.platform,
  watchFolder,
} as const satisfies Partial<WatcherOptions>;

/** A look takes some 30 µs: no more than 4 ms in a round. */
const MAX_HOT = 128;
/**
 * All polled files are looked at after so many times `pollMs`, but after at least so many times as long as the last look
 * took: for no more than 1 % of the time, or a third of that where the system tells of most changes.
 */
const POLLS_TO_ALL = 5;
const REST_AFTER_ALL = { poll: 100, auto: 300 } as const;

/** Tells of the transcripts that `discover` finds, by the same paths. */
export function createWatcher(options: WatcherOptions, listener: WatchListener): Watcher {
  return new FolderWatcher({ ...DEFAULTS, ...options }, listener);
}

interface TakenRoot {
  readonly identity: string;
  /** Null: its files are only polled. */
  readonly tree: WatchedTree | null;
}

class FolderWatcher implements Watcher {
  readonly #options: Required<WatcherOptions>;
  readonly #listener: WatchListener;
  readonly #troubles: WatchTroubles;
  readonly #polled: PolledFiles | null;
  /** By their real paths. */
  readonly #taken = new Map<string, TakenRoot>();
  readonly #uprooted = new Set<string>();
  /** By the names they were given. */
  #present: ReadonlyMap<string, PresentRoot> | null = null;
  #taking: Promise<void> = Promise.resolve();
  readonly #rounds: (() => Promise<void>)[] = [];
  #starting: Promise<void> | null = null;
  #isStarted = false;
  #isScanning = false;
  #isClosed = false;
  #closed: Promise<void> | null = null;

  constructor(options: Required<WatcherOptions>, listener: WatchListener) {
    this.#options = options;
    const whileOpen =
      <T extends unknown[]>(tell: (...what: T) => void) =>
      (...what: T) => {
        if (!this.#isClosed) tell(...what);
      };
    this.#listener = {
      changed: whileOpen((path) => listener.changed(path)),
      missed: whileOpen(() => listener.missed()),
      troubled: whileOpen((trouble) => listener.troubled(trouble)),
      recovered: whileOpen((trouble) => listener.recovered(trouble)),
    };
    this.#troubles = new WatchTroubles(this.#listener);
    const { wanted, hotForMs, mode, platform } = options;
    const { changed } = this.#listener;
    this.#polled =
      mode === "poll" || platform === "darwin" ? new PolledFiles({ wanted, hotForMs, maxHot: MAX_HOT, changed }) : null;
  }

  start(): Promise<void> {
    if (this.#starting !== null) throw new Error("a watcher is started once");
    this.#starting = this.#begin();
    return this.#starting;
  }

  async #begin(): Promise<void> {
    await this.#takeRoots();
    await this.#polled?.begin([...this.#taken.keys()]);
    if (this.#isClosed) return;
    this.#isStarted = true;
    this.#beginRounds();
  }

  #beginRounds(): void {
    const { rootCheckMs, scanMs, retryMs, mode, pollMs, hotMs } = this.#options;
    this.#round(rootCheckMs, () => this.#takeRoots());
    this.#round(scanMs, () => {
      if (this.#isScanning) this.#listener.missed();
    });
    this.#round(retryMs, () => this.#retry());
    const polled = this.#polled;
    if (polled === null) return;
    this.#round(mode === "poll" ? pollMs : hotMs, () => polled.lookAtHot());
    let tookMs = 0;
    this.#round(
      () => Math.max(POLLS_TO_ALL * pollMs, REST_AFTER_ALL[mode] * tookMs),
      async () => {
        const began = performance.now();
        await polled.lookAtAll([...this.#taken.keys()]);
        tookMs = performance.now() - began;
      },
    );
  }

  #round(pauseMs: number | (() => number), job: () => unknown): void {
    this.#rounds.push(every(typeof pauseMs === "number" ? () => pauseMs : pauseMs, job));
  }

  status(): WatchStatus {
    const present = this.#present;
    let folders = 0;
    for (const { tree } of this.#taken.values()) folders += tree?.folders ?? 0;
    return {
      mode: this.#mode(),
      roots: present === null ? [] : this.#options.roots.map((path) => ({ path, present: present.has(path) })),
      folders,
      troubles: this.#troubles.list(),
    };
  }

  #mode(): WatchMode {
    if (this.#options.mode === "poll") return "polling";
    return this.#isScanning ? "scanning" : "watching";
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    await Promise.all([...this.#taken.values()].map(({ tree }) => tree?.close()));
    await this.#starting;
    await Promise.all(this.#rounds.map((stop) => stop()));
    await this.#taking;
  }

  /** Takes the roots that are there now, and leaves those that are not, or are not the same. Once at a time. */
  #takeRoots(): Promise<void> {
    this.#taking = this.#taking.then(() => this.#takeRootsNow());
    return this.#taking;
  }

  async #takeRootsNow(): Promise<void> {
    const found = new Map<string, PresentRoot>();
    const troubles = new Map<string, WatchTrouble>();
    for (const root of this.#options.roots) {
      try {
        found.set(root, await findRoot(root));
      } catch (thrown) {
        const before = this.#present?.get(root);
        if (before && isLimit(toError(thrown))) found.set(root, before);
        else troubles.set(root, rootTrouble(root, thrown));
      }
    }
    const areNew = await this.#change(new Map([...found.values()].map(({ real, identity }) => [real, identity])));
    this.#present = found;
    for (const root of this.#options.roots) this.#troubles.settle(`root ${root}`, troubles.get(root) ?? null);
    this.#settle();
    if (areNew && this.#isStarted) this.#listener.missed();
  }

  /** Gives back whether there are roots that were not taken before. */
  async #change(identities: ReadonlyMap<string, string>): Promise<boolean> {
    const outer = outermost(identities.keys());
    for (const [real, { identity, tree }] of this.#taken) {
      if (outer.includes(real) && identity === identities.get(real) && !this.#uprooted.has(real)) continue;
      this.#taken.delete(real);
      await tree?.close();
    }
    const added = outer.filter((real) => !this.#taken.has(real));
    for (const real of added) {
      if (!this.#isClosed) await this.#take(real, identities.get(real)!);
    }
    return added.length > 0;
  }

  async #take(real: string, identity: string): Promise<void> {
    const { mode, wanted, watchFolder } = this.#options;
    const tree =
      mode === "poll"
        ? null
        : new WatchedTree(real, wanted, watchFolder, {
            changed: (path) => {
              this.#polled?.heat(path);
              this.#listener.changed(path);
            },
            missed: () => this.#listener.missed(),
            uprooted: () => this.#leave(real),
            settled: () => this.#settle(),
          });
    this.#uprooted.delete(real);
    this.#taken.set(real, { identity, tree });
    await tree?.start();
  }

  #leave(real: string): void {
    this.#uprooted.add(real);
    void this.#takeRoots();
  }

  async #retry(): Promise<void> {
    for (const { tree } of [...this.#taken.values()]) await tree?.retry();
  }

  /** Says what the system refuses now, and what that means. */
  #settle(): void {
    const refused = [...this.#taken.values()].flatMap(({ tree }) => [...(tree?.refused ?? [])]);
    const limit = refused.find(([, error]) => isLimit(error));
    const failure = refused.find(([, error]) => !isLimit(error));
    const wasScanning = this.#isScanning;
    this.#isScanning = refused.some(([, error]) => !isForbidden(error));
    this.#troubles.settle("limit", limit ? limitTrouble(limit[1], this.#options.platform) : null);
    this.#troubles.settle("failure", failure ? failureTrouble(...failure) : null);
    if (wasScanning && !this.#isScanning && this.#isStarted) this.#listener.missed();
  }
}
