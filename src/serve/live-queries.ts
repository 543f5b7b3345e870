// The live queries of one session: finds them in what the engine answers, and passes on what it notifies of them.
import type { RpcPeer } from "../store/rpc-engine.ts";
import { asText, asUuid, elements, entries, first } from "./cbor.ts";
import { tooMany } from "./failure.ts";

const MAX_LIVE_QUERIES = 200;

export class LiveQueries {
  readonly #peer: RpcPeer;
  readonly #notify: (notification: Uint8Array) => void;
  readonly #listening = new Map<string, AsyncIterator<Uint8Array>>();

  constructor(peer: RpcPeer, notify: (notification: Uint8Array) => void) {
    this.#peer = peer;
    this.#notify = notify;
  }

  /** Throws `tooMany` when this call would begin one more than a session may have. */
  admit(method: string, params: Uint8Array): void {
    if (this.#listening.size >= MAX_LIVE_QUERIES && beginsLive(method, params)) throw tooMany("live queries");
  }

  /** Follows what a call has begun, and lets go of what it has ended. */
  note(method: string, params: Uint8Array, result: Uint8Array): void {
    if (method === "live") this.#listen(asUuid(result));
    else if (method === "kill") this.#leave(uuidParam(params));
    else if (beginsLive(method, params)) for (const liveId of liveResults(result)) this.#listen(liveId);
  }

  /** Lets go of all. The engine kills them itself when their session ends. */
  clear(): void {
    for (const liveId of [...this.#listening.keys()]) this.#leave(liveId);
  }

  #listen(liveId: string | null): void {
    if (liveId === null) return;
    const notifications = this.#peer.notifications(liveId);
    this.#listening.set(liveId, notifications);
    void this.#forward(liveId, notifications);
  }

  async #forward(liveId: string, notifications: AsyncIterator<Uint8Array>): Promise<void> {
    for (;;) {
      const { value, done } = await notifications.next();
      if (done) return;
      try {
        this.#notify(value);
      } catch {
        // JSON has no place for every value that the engine has. The client hears of the next one.
      }
      if (asText(entries(value).get("action")) === "KILLED") this.#leave(liveId);
    }
  }

  #leave(liveId: string | null): void {
    if (liveId === null) return;
    void this.#listening.get(liveId)?.return?.();
    this.#listening.delete(liveId);
  }
}

function beginsLive(method: string, params: Uint8Array): boolean {
  return method === "live" || (method === "query" && /\blive\b/i.test(asText(first(params)) ?? ""));
}

function liveResults(result: Uint8Array): (string | null)[] {
  return elements(result)
    .map(entries)
    .filter((response) => asText(response.get("type")) === "live")
    .map((response) => asUuid(response.get("result")));
}

function uuidParam(params: Uint8Array): string | null {
  const param = first(params);
  return asUuid(param) ?? asText(param)?.toLowerCase() ?? null;
}
