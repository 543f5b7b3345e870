// The daemon's store, from before it is open on: where it is, whether it answers, and how large it is.
import { setTimeout as sleep } from "node:timers/promises";
import type { Paths } from "../config/paths.ts";
import { locationOf, type StoreTarget } from "../config/store-target.ts";
import type { DaemonStatus, Problem } from "../control/protocol.ts";
import { RiffError, toError } from "../errors.ts";
import { type OpenStore, openStore } from "../store/open.ts";
import { ENDLESS_PATIENCE, type Patience, type RemoteEvents } from "../store/remote-database.ts";
import type { Clock } from "../sync/clock.ts";
import type { Logger } from "../sync/logger.ts";
import { interrupted } from "../sync/look.ts";
import { StoreFacts } from "./store-facts.ts";

/** Between two attempts at a store that another process has open, beside the seconds for which each of them waits. */
const LOCKED_MS = 1_000;

export class StoreState implements RemoteEvents {
  readonly target: StoreTarget;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #facts: StoreFacts;
  readonly #patience: Patience;
  #state: DaemonStatus["store"]["state"] = "opening";
  #since: Date;
  #opened: OpenStore | null = null;
  #trouble: Error | null = null;

  /** `patience`: with a server. */
  constructor(target: StoreTarget, logger: Logger, clock: Clock, patience: Patience = ENDLESS_PATIENCE) {
    this.target = target;
    this.#logger = logger;
    this.#clock = clock;
    this.#since = clock.now();
    this.#facts = new StoreFacts(target, clock);
    this.#patience = patience;
  }

  /**
   * Opens it, and waits for a server that is away, or for another process to close it, until `signal` is aborted. Throws
   * RIFF_INTERRUPTED, and the other codes of `openStore`.
   */
  async open(paths: Pick<Paths, "stateDir">, signal: AbortSignal): Promise<OpenStore> {
    for (;;) {
      try {
        const options = { readOnly: false, events: this, signal, patience: this.#patience };
        this.#opened = await openStore(this.target, paths, options);
        this.#turn("open", null);
        return this.#opened;
      } catch (thrown) {
        const error = toError(thrown);
        if (!(error instanceof RiffError) || error.code !== "RIFF_STORE_LOCKED") throw error;
        if (this.#trouble === null) this.#logger.warn({ error }, "the store is in use; waiting until it is free");
        this.#trouble = error;
      }
      await sleep(LOCKED_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw interrupted();
    }
  }

  /** null: before it is open, and after it is closed. */
  get opened(): OpenStore | null {
    return this.#opened;
  }

  get isAnswering(): boolean {
    return this.#state === "open";
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = null;
    await opened?.close();
  }

  away(location: string, error: Error): void {
    this.#logger.warn({ store: location, error }, "the store is away; changes wait in their files");
    if (this.#state === "open") this.#turn("away", error);
    else this.#trouble = error;
    this.#awaitReturn();
  }

  /** Asks until there is an answer: where nothing is to be written, nobody else would notice that it is back. */
  #awaitReturn(): void {
    this.#opened?.store.database.run("RETURN true").catch((error: Error) => {
      this.#logger.debug({ error }, "the store was not waited for any longer");
    });
  }

  back(location: string): void {
    this.#logger.info({ store: location }, "the store is back");
    if (this.#state === "away") this.#turn("open", null);
    this.#trouble = null;
  }

  /** Why nothing can be written now; null: it can. */
  get problem(): Problem | null {
    if (this.#state === "open") return null;
    const location = locationOf(this.target);
    const because = this.#trouble === null ? "" : `: ${this.#trouble.message}`;
    const hint =
      this.#trouble instanceof RiffError ? this.#trouble.hint : "Check that its server runs and can be reached.";
    if (this.#state === "away")
      return { message: `The store at ${location} is away${because}`, hint, since: this.#since };
    return this.#trouble === null
      ? null
      : { message: `The store ${location} is not open yet${because}`, hint, since: this.#since };
  }

  async status(): Promise<DaemonStatus["store"]> {
    const size = await this.#facts.read(this.#state === "open" ? (this.#opened?.store.database ?? null) : null);
    const kind = this.target.kind === "remote" ? "remote" : "embedded";
    return { kind, location: locationOf(this.target), state: this.#state, since: this.#since, ...size };
  }

  #turn(state: DaemonStatus["store"]["state"], trouble: Error | null): void {
    this.#state = state;
    this.#trouble = trouble;
    this.#since = this.#clock.now();
  }
}
