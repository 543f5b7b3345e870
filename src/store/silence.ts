// How long a server has said nothing. One that is asked nothing, and one that has stood still, are silent alike: only a
// question tells them apart.

/** In milliseconds. */
export interface SilenceLimits {
  /** A server that has said nothing for so long is asked whether it is there. */
  readonly silence: number;
  /** How long it may take to say so. */
  readonly answer: number;
}

export class Silence {
  readonly #limitMs: number;
  readonly #ask: () => Promise<void>;
  #heardAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  /** `ask` is called whenever it has lasted for so long, and not again while that goes on. Never rejects. */
  constructor(limitMs: number, ask: () => Promise<void>) {
    this.#limitMs = limitMs;
    this.#ask = ask;
    this.#wait(limitMs);
  }

  /** Something was heard: it begins anew. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  /** Nothing is asked any more. Idempotent. */
  close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #wait(ms: number): void {
    if (this.#isOver) return;
    // Rounded up, so that it is not asked a moment too early and then at once again. Nobody's end waits for it.
    this.#timer = setTimeout(() => void this.#look(), Math.ceil(ms)).unref();
  }

  async #look(): Promise<void> {
    const left = this.#heardAt + this.#limitMs - performance.now();
    if (left > 0) return this.#wait(left);
    await this.#ask();
    this.#wait(this.#limitMs);
  }
}
