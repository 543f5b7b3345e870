// The heads of all chains, kept outside the store: a store that was rolled back or cut is behind them. Written after
// each commit, so they may lag behind the store, but never lead an undamaged one. One line a commit, compacted on
// opening; a torn last line is ignored.
import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isAbsent } from "../absent.ts";
import { locationOf, type StoreTarget } from "../config/store-target.ts";
import { xxh64Hex } from "../core/hash.ts";
import { RiffError, toError } from "../errors.ts";
import type { HeadKeeper } from "../sync/context.ts";
import type { ChainHead } from "../sync/store.ts";

/** Number and hash of a session's last commit. */
export interface Head {
  readonly chain: number;
  readonly head: string;
}

/** A session whose chain in the store is not what this machine last saw. */
export interface Setback {
  readonly sessionId: string;
  readonly expected: Head;
  /** null: the session is not in the store. */
  readonly found: Head | null;
}

/** One for each database, however it is reached. */
export function headsKey(target: StoreTarget): string {
  if (target.kind !== "remote") return locationOf(target);
  return `surrealdb://${new URL(target.url).host}/${target.namespace}/${target.database}`;
}

export class Heads implements HeadKeeper {
  readonly #heads: Map<string, Head>;
  readonly #file: string;
  #handle: number | null = null;

  private constructor(file: string, heads: Map<string, Head>) {
    this.#file = file;
    this.#heads = heads;
  }

  /** The heads that a state folder keeps for the store at `location`. Writes to the folder. */
  static open(stateDir: string, location: string): Heads {
    const { heads, lines } = Heads.#load(stateDir, location);
    if (lines > 2 * heads.size + 100) heads.#compact();
    return heads;
  }

  /** The same to look at: nothing is written as long as none is advanced. */
  static read(stateDir: string, location: string): Heads {
    return Heads.#load(stateDir, location).heads;
  }

  static #load(stateDir: string, location: string): { heads: Heads; lines: number } {
    const file = join(stateDir, `heads-${xxh64Hex(Buffer.from(location))}`);
    const heads = new Map<string, Head>();
    let lines = 0;
    for (const line of readLines(file)) {
      lines++;
      const parsed = parseLine(line);
      if (parsed !== null) heads.set(parsed.sessionId, parsed.head);
    }
    return { heads: new Heads(file, heads), lines };
  }

  /** How many sessions are known. */
  get size(): number {
    return this.#heads.size;
  }

  sessions(): Iterable<string> {
    return this.#heads.keys();
  }

  find(sessionId: string): Head | undefined {
    return this.#heads.get(sessionId);
  }

  advance(sessionId: string, chain: number, head: string): void {
    this.#heads.set(sessionId, { chain, head });
    this.#append([sessionId, chain, head]);
  }

  /** Takes over the chains of a store, restored from a backup, that go further than what is known of them. */
  adopt(chains: readonly ChainHead[]): void {
    for (const { session_id, chain, head } of chains) {
      if ((this.find(session_id)?.chain ?? 0) < chain) this.advance(session_id, chain, head);
    }
  }

  /** Where the store is behind these heads, or holds another chain. */
  setbacks(chains: readonly ChainHead[]): Setback[] {
    const stored = new Map(chains.map((chain) => [chain.session_id, chain]));
    const setbacks: Setback[] = [];
    for (const [sessionId, expected] of this.#heads) {
      const found = stored.get(sessionId);
      if (found !== undefined && found.chain > expected.chain) continue;
      if (found?.chain === expected.chain && found.head === expected.head) continue;
      setbacks.push({ sessionId, expected, found: found ? { chain: found.chain, head: found.head } : null });
    }
    return setbacks;
  }

  close(): void {
    if (this.#handle !== null) closeSync(this.#handle);
    this.#handle = null;
  }

  #append(line: readonly unknown[]): void {
    try {
      this.#handle ??= openSync(this.#file, "a", 0o600);
      writeSync(this.#handle, `${JSON.stringify(line)}\n`);
    } catch (thrown) {
      throw new RiffError(
        "RIFF_STATE_UNWRITABLE",
        `Cannot write ${this.#file}: ${toError(thrown).message}`,
        "Check the folder's rights and the free space of its disk, and run the command again. Nothing is lost.",
        thrown,
      );
    }
  }

  #compact(): void {
    const lines = [...this.#heads].map(([id, { chain, head }]) => `${JSON.stringify([id, chain, head])}\n`);
    writeFileSync(`${this.#file}.new`, lines.join(""), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean);
  } catch (thrown) {
    if (isAbsent(thrown)) return [];
    throw thrown;
  }
}

function parseLine(line: string): { sessionId: string; head: Head } | null {
  try {
    const value: unknown = JSON.parse(line);
    if (!Array.isArray(value) || typeof value[0] !== "string") return null;
    const [sessionId, chain, head] = value;
    if (typeof chain !== "number" || typeof head !== "string") return null;
    return { sessionId, head: { chain, head } };
  } catch {
    return null;
  }
}
