// What keeps changes from being seen: in words, and told once as it begins and once as it ends.
import { isAbsent } from "../absent.ts";
import { systemCode, toError } from "../errors.ts";
import type { WatchListener, WatchStatus, WatchTrouble } from "../sync/watching.ts";

/** Begun and not ended, each in a slot of its own. */
export class WatchTroubles {
  readonly #listener: Pick<WatchListener, "troubled" | "recovered">;
  readonly #now: () => Date;
  readonly #begun = new Map<string, { readonly trouble: WatchTrouble; readonly since: Date }>();

  constructor(listener: Pick<WatchListener, "troubled" | "recovered">, now: () => Date = () => new Date()) {
    this.#listener = listener;
    this.#now = now;
  }

  list(): WatchStatus["troubles"] {
    return [...this.#begun.values()].map(({ trouble, since }) => ({ ...trouble, since }));
  }

  /** What is so now in this slot; null: nothing is wrong. Nothing is told if the same kind of trouble stays where it was. */
  settle(slot: string, trouble: WatchTrouble | null): void {
    const before = this.#begun.get(slot)?.trouble;
    if (before && trouble && before.kind === trouble.kind && before.path === trouble.path) return;
    if (before) {
      this.#begun.delete(slot);
      this.#listener.recovered(before);
    }
    if (trouble) {
      this.#begun.set(slot, { trouble, since: this.#now() });
      this.#listener.troubled(trouble);
    }
  }
}

/** Whether the system refuses because there are no watches or descriptors left. */
export function isLimit(error: Error): boolean {
  return ["ENOSPC", "EMFILE", "ENFILE"].includes(systemCode(error) ?? "");
}

/** Whether riffd may not read the folder: a scan would not find more. */
export function isForbidden(error: Error): boolean {
  return ["EACCES", "EPERM"].includes(systemCode(error) ?? "");
}

export function limitTrouble(error: Error, platform: NodeJS.Platform): WatchTrouble {
  return {
    kind: "limit",
    path: null,
    message: `The system lets riffd watch no more folders: ${error.message}`,
    hint: `${howToRaise(error, platform)} Until then riffd finds changes in all folders by scanning.`,
  };
}

function howToRaise(error: Error, platform: NodeJS.Platform): string {
  if (platform !== "linux")
    return "Raise the limit of open files (ulimit -n) of the shell or service that starts riffd.";
  if (systemCode(error) === "ENOSPC") return "Raise it: sudo sysctl fs.inotify.max_user_watches=524288.";
  return "Raise it: sudo sysctl fs.inotify.max_user_instances=1024, and the limit of open files (ulimit -n, LimitNOFILE).";
}

export function failureTrouble(folder: string, error: Error): WatchTrouble {
  return {
    kind: "failure",
    path: folder,
    message: `Cannot watch the folder ${folder}: ${error.message}`,
    hint: isForbidden(error)
      ? "Check its owner and rights; riffd tries again by itself."
      : "riffd finds changes by scanning and tries again by itself; if this stays, start it with --poll.",
  };
}

export function rootTrouble(root: string, thrown: unknown): WatchTrouble {
  const isMissing = isAbsent(thrown);
  return {
    kind: "root",
    path: root,
    message: isMissing
      ? `There is no projects folder ${root}.`
      : `Cannot read the projects folder ${root}: ${toError(thrown).message}`,
    hint: isMissing
      ? "riffd takes it up as soon as it is there; if your transcripts are elsewhere, name their folder with --projects DIR."
      : "Check its owner and rights; riffd takes it up as soon as it can be read.",
  };
}
