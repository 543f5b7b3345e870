// The progress of one sync, on its way to whoever asked for it. The sync does not wait for its client: what it wrote is
// summed up until the client reads on, and a client that has stopped reading is given up.
import { Bell } from "./bell.ts";
import type { Controlled, SyncMessage, SyncRequest, WrittenStep } from "./protocol.ts";
import { toWireError } from "./wire.ts";

export interface SyncClient {
  /** Aborted: begin nothing new. */
  readonly signal: AbortSignal;
  /** What the client may leave unread. */
  readonly unreadBytes: number;
  /** Called once, when it has left more. */
  readonly giveUp: () => void;
}

/** The messages of a sync that begins now, as lines of JSON, until it has ended. */
export async function* syncProgress(
  controlled: Pick<Controlled, "sync">,
  request: SyncRequest,
  { signal, unreadBytes, giveUp }: SyncClient,
): AsyncGenerator<string, void> {
  const unread = new UnreadProgress();
  const bell = new Bell();
  const untilTheEnd = new AbortController();
  let isGivenUp = false;
  const tell = (message: SyncMessage) => {
    if (isGivenUp) return;
    unread.put(message);
    bell.ring();
    if (unread.size <= unreadBytes) return;
    isGivenUp = true;
    giveUp();
  };
  const ended = controlled
    .sync(request, tell, signal)
    .catch((thrown: unknown) => tell({ kind: "failed", error: toWireError(thrown) }))
    .finally(() => untilTheEnd.abort());
  for (;;) {
    await bell.heard(untilTheEnd.signal);
    const lines = unread.take();
    if (lines !== "") yield lines;
    else if (untilTheEnd.signal.aborted) return await ended;
  }
}

/** Messages in their order, but for steps: those of one session that come between two other messages are one. */
class UnreadProgress {
  /** In characters. */
  size = 0;
  #lines: string[] = [];
  readonly #steps = new Map<string, WrittenStep>();

  put(message: SyncMessage): void {
    if (message.kind === "wrote") this.#add(message);
    else {
      this.#flush();
      this.#append(message);
    }
  }

  take(): string {
    this.#flush();
    const text = this.#lines.join("");
    this.#lines = [];
    this.size = 0;
    return text;
  }

  #add({ session_id, messages, records, bytes }: WrittenStep): void {
    const sum = this.#steps.get(session_id);
    this.#steps.set(session_id, {
      session_id,
      messages: messages + (sum?.messages ?? 0),
      records: records + (sum?.records ?? 0),
      bytes: bytes + (sum?.bytes ?? 0),
    });
  }

  #flush(): void {
    for (const step of this.#steps.values()) this.#append({ kind: "wrote", ...step });
    this.#steps.clear();
  }

  #append(message: SyncMessage): void {
    const line = `${JSON.stringify(message)}\n`;
    this.#lines.push(line);
    this.size += line.length;
  }
}
