// The commands' side of the control socket. Loads neither the server's libraries nor the engine.
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { Backoff } from "../backoff.ts";
import { RiffError } from "../errors.ts";
import type { FedCommit } from "../sync/feed.ts";
import { type Answer, ask, refusal, unresponsive, wholeText } from "./exchange.ts";
import { type DaemonStatus, type Readiness, ROUTES, type SyncMessage, type SyncRequest } from "./protocol.ts";
import { fromWireError, parseWire } from "./wire.ts";

export interface ClientOptions {
  /** How long an answer may take. */
  readonly answerMs?: number;
  /** How long a stream may be silent; the daemon says every 15 s that it is there. */
  readonly silenceMs?: number;
}

export interface FollowOptions {
  /** Behind this one; absent: from now on. */
  readonly cursor?: string | undefined;
  /** Of this session alone. */
  readonly session?: string | undefined;
  /** The daemon has gone; it is looked for again and again. Told once, until `back`. */
  readonly away?: (error: RiffError) => void;
  readonly back?: () => void;
}

/** All of it throws RIFF_DAEMON_NOT_RUNNING, RIFF_DAEMON_UNRESPONSIVE, or what the daemon refuses with. */
export class ControlClient {
  readonly #socketPath: string;
  readonly #answerMs: number;
  readonly #silenceMs: number;

  constructor(socketPath: string, { answerMs = 10_000, silenceMs = 45_000 }: ClientOptions = {}) {
    this.#socketPath = socketPath;
    this.#answerMs = answerMs;
    this.#silenceMs = silenceMs;
  }

  async status(): Promise<DaemonStatus> {
    const answer = await this.#ask("GET", ROUTES.status);
    return (await this.#read(answer, 200)) as DaemonStatus;
  }

  async readiness(): Promise<Readiness> {
    const answer = await this.#ask("GET", ROUTES.ready);
    return (await this.#read(answer, 200, 503)) as Readiness;
  }

  /** Tells the daemon to drain and end; it has not yet when this resolves. */
  async stop(): Promise<void> {
    const answer = await this.#ask("POST", ROUTES.stop);
    await this.#read(answer, 202);
  }

  /**
   * Has the daemon sync, and tells what happens, in order. Resolves when all is done. Throws what it failed with.
   * Aborting `signal` lets the daemon begin nothing new, and throws RIFF_INTERRUPTED.
   */
  async sync(request: SyncRequest, onMessage: (message: SyncMessage) => void, signal?: AbortSignal): Promise<void> {
    try {
      const answer = await this.#stream("POST", ROUTES.sync, { body: JSON.stringify(request), signal });
      if (answer.status !== 200) throw await refusal(answer);
      for await (const line of lines(answer.text)) {
        const message = parse(line) as SyncMessage;
        onMessage(message);
        if (message.kind === "failed") throw fromWireError(message.error);
        if (message.kind === "done") return;
      }
    } catch (thrown) {
      throw signal?.aborted ? interrupted() : thrown;
    }
    throw unresponsive("it broke off in the middle of the sync");
  }

  /**
   * The commits of the store as they come, each once, until `signal` is aborted. Once it was there, a daemon that goes
   * away is waited for. The next commit is asked for when the last was taken.
   */
  async *follow(options: FollowOptions = {}, signal?: AbortSignal): AsyncGenerator<FedCommit, void> {
    const { session, away, back } = options;
    const place: Place = { cursor: options.cursor ?? null };
    let wasThere = false;
    let isAway = false;
    const newBackoff = () => new Backoff(signal === undefined ? {} : { signal });
    let backoff = newBackoff();
    for (;;) {
      try {
        for await (const event of this.#events(place, session, signal)) {
          if (isAway) {
            back?.();
            backoff = newBackoff();
          }
          isAway = false;
          wasThere = true;
          if (event.event === "commit") yield parse(event.data) as FedCommit;
        }
      } catch (thrown) {
        if (signal?.aborted) return;
        if (!wasThere || !(thrown instanceof RiffError) || thrown.code === "RIFF_USAGE") throw thrown;
        if (!isAway) away?.(thrown);
        isAway = true;
      }
      await backoff.wait();
    }
  }

  /** The events of one connection. Moves `place` on to behind each that was taken. */
  async *#events(place: Place, session: string | undefined, signal?: AbortSignal): AsyncGenerator<EventSourceMessage> {
    const query = new URLSearchParams({
      ...(place.cursor !== null && { cursor: place.cursor }),
      ...(session !== undefined && { session }),
    });
    const answer = await this.#stream("GET", `${ROUTES.commits}?${query}`, { signal });
    if (answer.status !== 200) throw await refusal(answer);
    const events: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (event) => events.push(event) });
    for await (const piece of answer.text) {
      parser.feed(piece);
      for (const event of events.splice(0)) {
        yield event;
        place.cursor = event.id ?? place.cursor;
      }
    }
    throw unresponsive("it ended the stream of commits");
  }

  #ask(method: "GET" | "POST", path: string): Promise<Answer> {
    return ask({ socketPath: this.#socketPath, method, path, silenceMs: this.#answerMs });
  }

  #stream(method: "GET" | "POST", path: string, more: { body?: string; signal?: AbortSignal | undefined }) {
    return ask({ socketPath: this.#socketPath, method, path, silenceMs: this.#silenceMs, ...more });
  }

  async #read(answer: Answer, ...expected: readonly number[]): Promise<unknown> {
    if (!expected.includes(answer.status)) throw await refusal(answer);
    return parse(await wholeText(answer));
  }
}

/** Behind the last event that was taken; null: there was none. */
interface Place {
  cursor: string | null;
}

async function* lines(text: AsyncIterable<string>): AsyncGenerator<string, void> {
  let rest = "";
  for await (const piece of text) {
    const whole = (rest + piece).split("\n");
    rest = whole.pop()!;
    for (const line of whole) if (line !== "") yield line;
  }
}

function parse(text: string): unknown {
  try {
    const value = parseWire(text);
    if (typeof value === "object" && value !== null) return value;
  } catch (thrown) {
    throw unresponsive("what it says cannot be read", thrown);
  }
  throw unresponsive("what it says cannot be read");
}

function interrupted(): RiffError {
  return new RiffError(
    "RIFF_INTERRUPTED",
    "Interrupted. What was committed so far is complete.",
    "Run the same command again: it goes on where this one stopped.",
  );
}
