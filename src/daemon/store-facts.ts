// How large the store is: asked for in the background now and then, so that nobody who asks for the status waits for a slow
// or absent store.
import type { StoreTarget } from "../config/store-target.ts";
import type { Database } from "../store/database.ts";
import { storeSize } from "../store/store-size.ts";
import type { Clock } from "../sync/clock.ts";

export interface StoreSize {
  /** Of an embedded store's files. */
  readonly size_bytes: number | null;
  readonly sessions: number | null;
  readonly messages: number | null;
  readonly archive_bytes: number | null;
}

const UNKNOWN: StoreSize = { size_bytes: null, sessions: null, messages: null, archive_bytes: null };
/** For how long an answer is good enough, at least; and how many times what it took to get it. */
const FRESH_MS = 2_000;
const FRESH_SHARE = 20;
/** Whoever asks when it is not fresh any more waits this long for a better answer. */
const WAIT_MS = 500;

export class StoreFacts {
  readonly #target: StoreTarget;
  readonly #clock: Clock;
  #known: StoreSize = UNKNOWN;
  #freshUntil = 0;
  #asking: Promise<void> | null = null;

  constructor(target: StoreTarget, clock: Clock) {
    this.#target = target;
    this.#clock = clock;
  }

  /** As it was a moment ago. `database`: null while it cannot be asked. Never rejects. */
  async read(database: Database | null): Promise<StoreSize> {
    if (database === null) return this.#known;
    if (this.#clock.now().getTime() >= this.#freshUntil) {
      this.#asking ??= this.#ask(database).finally(() => {
        this.#asking = null;
      });
    }
    if (this.#asking !== null) {
      await Promise.race([this.#asking, new Promise<void>((resolve) => this.#clock.after(WAIT_MS, resolve))]);
    }
    return this.#known;
  }

  async #ask(database: Database): Promise<void> {
    const started = this.#clock.now().getTime();
    try {
      const [sessions, sources] = await database.run<[Row[], Row[]]>(
        `SELECT count() AS sessions, math::sum(message_count) AS messages FROM session GROUP ALL;
         SELECT math::sum(archived) AS bytes FROM source GROUP ALL`,
      );
      this.#known = {
        size_bytes: this.#target.kind === "embedded" ? await storeSize(this.#target.dir) : null,
        sessions: sessions[0]?.sessions ?? 0,
        messages: sessions[0]?.messages ?? 0,
        archive_bytes: sources[0]?.bytes ?? 0,
      };
    } catch {
      // It is away; what was known stays, and the status says that it is away.
    }
    const now = this.#clock.now().getTime();
    this.#freshUntil = now + Math.max(FRESH_MS, FRESH_SHARE * (now - started));
  }
}

interface Row {
  readonly sessions?: number;
  readonly messages?: number;
  readonly bytes?: number;
}
