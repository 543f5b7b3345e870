// A watcher with short pauses, and what it tells.
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { vi } from "vitest";
import type { WatchFolder } from "../../src/source/watch-folder.ts";
import { createWatcher, type WatcherOptions } from "../../src/source/watcher.ts";
import type { Watcher, WatchListener, WatchTrouble } from "../../src/sync/watching.ts";

/** Everything that a watcher has told, in order within each kind. */
export class Told implements WatchListener {
  readonly changes: string[] = [];
  readonly troubles: WatchTrouble[] = [];
  readonly recoveries: WatchTrouble[] = [];
  missedTimes = 0;

  changed(path: string): void {
    this.changes.push(path);
  }
  missed(): void {
    this.missedTimes++;
  }
  troubled(trouble: WatchTrouble): void {
    this.troubles.push(trouble);
  }
  recovered(trouble: WatchTrouble): void {
    this.recoveries.push(trouble);
  }
}

/** Waits, for long on a machine that is busy, until the condition holds. */
export function eventually(condition: () => void): Promise<void> {
  return vi.waitFor(condition, { timeout: 60_000, interval: 10 });
}

const open: Watcher[] = [];

/** A watcher that has been started, of one root if not told otherwise; `closeWatchers` closes it. */
export async function watching(root: string, options: Partial<WatcherOptions> = {}): Promise<[Watcher, Told]> {
  const told = new Told();
  const watcher = createWatcher(
    {
      roots: [root],
      wanted: () => true,
      mode: "auto",
      platform: "linux",
      pollMs: 20,
      rootCheckMs: 20,
      scanMs: 20,
      retryMs: 50,
      hotMs: 20,
      ...options,
    },
    told,
  );
  open.push(watcher);
  await watcher.start();
  return [watcher, told];
}

/** For `afterEach`. */
export async function closeWatchers(): Promise<void> {
  for (const watcher of open.splice(0)) await watcher.close();
}

/** Writes a file, and the folders around it. */
export function lay(folder: string, ...paths: readonly string[]): string {
  const path = join(folder, ...paths);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "{}\n");
  return path;
}

/** Appends a line, and waits until that is told. */
export async function appendAndHear(told: Told, path: string): Promise<void> {
  appendFileSync(path, "{}\n");
  const before = told.changes.length;
  await eventually(() => {
    if (!told.changes.slice(before).includes(path)) throw new Error(`nothing was told of ${path}`);
  });
}

/** A system that tells nothing. */
export const silence: WatchFolder = () => () => {};
