// Answers that go on for as long as there is something to tell. The client sets the pace: the next piece is asked for
// when it has taken the last.

export interface StreamOptions {
  readonly contentType: string;
  /** What says nothing, and that the daemon is there. */
  readonly heartbeat: string;
  /** What is told; must not throw. Aborting `signal` ends it: the client has gone, or the server closes. */
  readonly source: (signal: AbortSignal) => AsyncGenerator<string, void>;
}

export class Streams {
  readonly #heartbeatMs: number;
  readonly #open = new Set<AbortController>();
  #isEnding = false;

  constructor(heartbeatMs: number) {
    this.#heartbeatMs = heartbeatMs;
  }

  /** The answer that a stream is. */
  respond({ contentType, heartbeat, source }: StreamOptions): Response {
    const end = new AbortController();
    const pieces = source(end.signal);
    const utf8 = new TextEncoder();
    const leave = () => {
      this.#open.delete(end);
      clearInterval(beat);
    };
    let isWaiting = false;
    let beat: NodeJS.Timeout | undefined;
    this.#open.add(end);
    if (this.#isEnding) end.abort();
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          beat = setInterval(() => {
            // Only to a client that has read everything: one that has stopped reading is sent no more.
            if (isWaiting && controller.desiredSize === 0) controller.enqueue(utf8.encode(heartbeat));
          }, this.#heartbeatMs);
        },
        pull: async (controller) => {
          isWaiting = true;
          const piece = await pieces.next().catch((bug: unknown) => {
            leave();
            throw bug;
          });
          isWaiting = false;
          if (!this.#open.has(end)) return;
          if (!piece.done) {
            controller.enqueue(utf8.encode(piece.value));
            return;
          }
          leave();
          controller.close();
        },
        cancel: async () => {
          leave();
          end.abort();
          await pieces.return();
        },
      },
      { highWaterMark: 0 },
    );
    return new Response(body, {
      headers: { "Content-Type": contentType, "Cache-Control": "no-store", "Transfer-Encoding": "chunked" },
    });
  }

  /** Asks all of them to end, and those that are yet to come. */
  end(): void {
    this.#isEnding = true;
    for (const stream of this.#open) stream.abort();
  }
}
