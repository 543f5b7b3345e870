// Where the demo is played: the daemon, two transcripts that are written to, and the store as others read it.
import { join } from "node:path";
import { Commits } from "./commits.ts";
import { type Daemon, Programs } from "./programs.ts";
import { Reader, type SessionFacts, type Snapshot } from "./reader.ts";
import type { Scratch } from "./scratch.ts";
import { DAMAGED, linesOf, WHOLE } from "./script.ts";
import { Typist } from "./typist.ts";

export class Stage {
  readonly whole: Typist;
  readonly damaged: Typist;
  readonly reader: Reader;
  readonly #programs: Programs;
  readonly #commits = new Commits();
  #daemon: Daemon | null = null;

  /** `pauseMs` is the time between two lines. Once `signal` is aborted, whatever is waited for throws. */
  constructor(scratch: Scratch, pauseMs: number, signal: AbortSignal) {
    this.#programs = new Programs(scratch, signal);
    this.reader = new Reader(this.#programs, scratch.exports);
    const typist = (session: { readonly project: string; readonly id: string }) =>
      new Typist(join(scratch.projects, session.project, `${session.id}.jsonl`), linesOf(session), pauseMs, signal);
    this.whole = typist(WHOLE);
    this.damaged = typist(DAMAGED);
  }

  /** Starts the daemon, or another one after it was killed. */
  async startDaemon(): Promise<void> {
    this.#daemon = await this.#programs.startDaemon();
    this.#commits.follow(this.#daemon);
  }

  /** As a crash does. */
  async killDaemon(): Promise<void> {
    await this.#programs.kill(this.#daemon!);
  }

  /** As `riffd stop` does. Returns the exit code. */
  async stopDaemon(): Promise<number | null> {
    return await this.#programs.stop(this.#daemon!);
  }

  /** Waits until all of a session's transcript, as it is now, is in the archive as this generation. */
  async taken(session: string, typist: Typist, generation: number): Promise<void> {
    const bytes = await typist.size();
    await this.#until("a transcript was archived", () => this.#commits.hasTaken(session, generation, bytes));
  }

  /** Waits until the daemon has noticed that a session's transcript was deleted. */
  async gone(session: string, generation: number): Promise<void> {
    await this.#until("the daemon noticed a deleted transcript", () => this.#commits.hasGone(session, generation));
  }

  /** What the store holds, once nothing of this session is left to be decided. */
  async decided(session: string): Promise<Snapshot> {
    let snapshot: Snapshot | null = null;
    await this.#until("all was decided", async ({ client }) => {
      if ((await client.status()).pipeline.live.length > 0) return false;
      snapshot = await this.reader.snapshot();
      return findSession(snapshot, session).decided;
    });
    return snapshot!;
  }

  /** Ends all processes. May be called again, and from a listener for `exit`. */
  killAll(): void {
    this.#programs.killAll();
  }

  /** The same, and waits until they have gone. */
  async close(): Promise<void> {
    this.#commits.close();
    await Promise.all([this.whole.close(), this.damaged.close(), this.#programs.close()]);
  }

  #until(what: string, holds: (daemon: Daemon) => boolean | Promise<boolean>): Promise<void> {
    const daemon = this.#daemon!;
    return this.#programs.until(daemon, what, async () => holds(daemon));
  }
}

/** One that is there. */
export function findSession({ sessions }: Snapshot, id: string): SessionFacts {
  return sessions.find(({ session_id }) => session_id === id)!;
}
