// The commits of the demo's store, as the daemon tells them: what has been taken in of which file.
import { toError } from "../errors.ts";
import { FEED_START, type FedCommit } from "../sync/feed.ts";
import type { Daemon } from "./programs.ts";

export class Commits {
  readonly #seen: FedCommit[] = [];
  #cursor = FEED_START;
  #following = new AbortController();
  #failure: Error | null = null;

  /** Goes on with what this daemon tells, instead of the one before. */
  follow(daemon: Daemon): void {
    this.close();
    this.#following = new AbortController();
    void this.#read(daemon, AbortSignal.any([this.#following.signal, daemon.ended]));
  }

  /** Whether so many bytes of a session's transcript are archived, in this generation. Throws why nothing more comes. */
  hasTaken(session: string, generation: number, bytes: number): boolean {
    return this.#of(session, generation).reduce((sum, commit) => sum + commit.bytes, 0) >= bytes;
  }

  /** Whether the store knows that its transcript was deleted. Throws why nothing more comes. */
  hasGone(session: string, generation: number): boolean {
    return this.#of(session, generation).some(({ kind }) => kind === "gone");
  }

  /** Follows no longer. May be called again. */
  close(): void {
    this.#following.abort();
  }

  #of(session: string, generation: number): FedCommit[] {
    if (this.#failure !== null) throw this.#failure;
    return this.#seen.filter((commit) => commit.session_id === session && commit.generation === generation);
  }

  async #read({ client }: Daemon, signal: AbortSignal): Promise<void> {
    try {
      for await (const commit of client.follow({ cursor: this.#cursor }, signal)) {
        this.#seen.push(commit);
        this.#cursor = commit.cursor;
      }
    } catch (thrown) {
      if (!signal.aborted) this.#failure = toError(thrown);
    }
  }
}
