// Makes guessing passwords slow. Every refusal takes its time, so that it does not tell whether the user exists; more of
// them in a row for one name take ever longer, whatever connections they come over. A success is never held back.
import { setTimeout as sleep } from "node:timers/promises";

/** What a refusal takes at least: longer than a password is checked. */
const FLOOR_MS = 150;
/** Refusals that come at the floor: a client may try a user at the levels root, namespace and database. */
const FREE_TRIES = 4;
const CEILING_MS = 5_000;
/** After that long without a refusal, a name is forgotten. */
const MEMORY_MS = 10 * 60_000;
const MAX_NAMES = 10_000;
/** Passwords checked at a time: each takes 19 MiB and a core. */
const MAX_CONCURRENT = 2;

interface Clock {
  now(): number;
  sleep(ms: number): Promise<unknown>;
}

const CLOCK: Clock = { now: () => performance.now(), sleep: (ms) => sleep(ms, undefined, { ref: false }) };

export class SigninPace {
  readonly #clock: Clock;
  readonly #refusals = new Map<string, { count: number; last: number }>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(clock: Clock = CLOCK) {
    this.#clock = clock;
  }

  /** Runs `attempt` in its turn, and holds back what it returns when `refused` says so. */
  async run<T>(name: string, attempt: () => Promise<T>, refused: (result: T) => boolean): Promise<T> {
    const started = this.#clock.now();
    const result = await this.#inTurn(attempt);
    if (!refused(result)) {
      this.#refusals.delete(name);
      return result;
    }
    await this.#clock.sleep(Math.max(0, this.#holdBack(name) - (this.#clock.now() - started)));
    return result;
  }

  async #inTurn<T>(attempt: () => Promise<T>): Promise<T> {
    if (this.#running >= MAX_CONCURRENT) await new Promise<void>((turn) => this.#waiting.push(turn));
    else this.#running++;
    try {
      return await attempt();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }

  /** Counts a refusal, and says how long it is to take. */
  #holdBack(name: string): number {
    const now = this.#clock.now();
    const before = this.#refusals.get(name);
    const count = before !== undefined && now - before.last < MEMORY_MS ? before.count + 1 : 1;
    this.#refusals.delete(name);
    this.#refusals.set(name, { count, last: now });
    if (this.#refusals.size > MAX_NAMES) this.#refusals.delete(this.#refusals.keys().next().value!);
    return Math.min(CEILING_MS, FLOOR_MS * 2 ** Math.max(0, count - FREE_TRIES));
  }
}
