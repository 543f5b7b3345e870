// Those who follow the commits. Many of them wait at the same place, so that what one of them reads is read for all.
import { RiffError } from "../errors.ts";
import type { FedCommit, Feed } from "../sync/feed.ts";
import { Bell } from "./bell.ts";
import type { Controlled } from "./protocol.ts";

export interface Following {
  /** null: from now on. */
  readonly cursor: string | null;
  /** null: all sessions. */
  readonly session: string | null;
}

/** How long somebody waits for commits that nobody tells of, as another machine's. */
const LOOK_AGAIN_MS = 15_000;

export class Followers {
  readonly #controlled: Pick<Controlled, "feed" | "onCommit">;
  readonly #pageCommits: number;
  readonly #bells = new Set<Bell>();
  /** By the cursor they begin at. */
  readonly #pages = new Map<string, Promise<readonly FedCommit[]>>();
  #unsubscribe: () => void = () => {};

  constructor(controlled: Pick<Controlled, "feed" | "onCommit">, pageCommits: number) {
    this.#controlled = controlled;
    this.#pageCommits = pageCommits;
  }

  start(): void {
    this.#unsubscribe = this.#controlled.onCommit(() => {
      // A page that is being read may lack what has just been committed: whoever is woken reads anew.
      this.#pages.clear();
      for (const bell of this.#bells) bell.ring();
    });
  }

  close(): void {
    this.#unsubscribe();
  }

  /**
   * Server-sent events: a `position` where the follower begins and wherever it passes by commits of other sessions, and
   * a `commit` for each that is asked for. Throws, before any of them, where the cursor is none or there is no feed.
   */
  async begin({ cursor, session }: Following): Promise<(signal: AbortSignal) => AsyncGenerator<string, void>> {
    const start = cursor ?? (await this.#feed().latest());
    const first = await this.#read(start);
    return (signal) => this.#events(start, first, session, signal);
  }

  async *#events(
    start: string,
    first: readonly FedCommit[],
    session: string | null,
    signal: AbortSignal,
  ): AsyncGenerator<string, void> {
    const bell = new Bell();
    this.#bells.add(bell);
    // What was committed before the bell hung has rung for nobody.
    bell.ring();
    try {
      yield position(start);
      let cursor = start;
      let page = first;
      for (;;) {
        const last = page.at(-1);
        if (last === undefined) await bell.heard(signal, LOOK_AGAIN_MS);
        else {
          cursor = last.cursor;
          yield eventsOf(page, session);
        }
        const next = await unlessAborted(signal, this.#read(cursor));
        // The server closes, or the store is away: the follower comes back, and is told why it cannot go on.
        if (next === null) return;
        page = next;
      }
    } finally {
      this.#bells.delete(bell);
    }
  }

  #read(cursor: string): Promise<readonly FedCommit[]> {
    const known = this.#pages.get(cursor);
    if (known !== undefined) return known;
    const page = Promise.resolve()
      .then(() => this.#feed().read(cursor, this.#pageCommits))
      .finally(() => {
        if (this.#pages.get(cursor) === page) this.#pages.delete(cursor);
      });
    this.#pages.set(cursor, page);
    return page;
  }

  #feed(): Feed {
    const { feed } = this.#controlled;
    if (feed !== null) return feed;
    throw storeNotOpen();
  }
}

/** null: it failed, or was no longer wanted. */
function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | null> {
  return new Promise((resolve) => {
    const leave = () => resolve(null);
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    void work.then(resolve, leave).finally(() => signal.removeEventListener("abort", leave));
  });
}

/** The commits of a page that are asked for, and where it ends if that is behind the last of them. */
function eventsOf(page: readonly FedCommit[], session: string | null): string {
  const asked = session === null ? page : page.filter(({ session_id }) => session_id === session);
  const end = page.at(-1)!.cursor;
  const events = asked.map((commit) => event("commit", commit.cursor, commit));
  return events.join("") + (asked.at(-1)?.cursor === end ? "" : position(end));
}

function position(cursor: string): string {
  return event("position", cursor, {});
}

function event(name: string, cursor: string, data: object): string {
  return `id: ${cursor}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

export function storeNotOpen(): RiffError {
  return new RiffError(
    "RIFF_STORE_UNREACHABLE",
    "The store is not open.",
    "Ask again when `riffd status` says that it is.",
  );
}
