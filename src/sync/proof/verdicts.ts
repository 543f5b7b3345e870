// The verdicts that the message rows of a generation hold, noted while they are read: a few bytes for each.
import type { ParentState } from "../../core/graph.ts";
import type { MessageRow } from "../store.ts";

const STATES: readonly ParentState[] = ["root", "resolved", "pending", "external", "phantom"];
const UNKNOWN = 7;
const ORPHANED = 8;
const SCORED = 16;
const ODD = 32;
const MARKED = 64;

/** What a row says of its message's parent. */
export interface NotedVerdict {
  readonly offset: number;
  /** null: none that there is. */
  readonly state: ParentState | null;
  readonly isOrphaned: boolean;
  readonly isScored: boolean;
  /** `is_orphaned` or `corruption_score` is no verdict. */
  readonly isOdd: boolean;
  readonly isMarked: boolean;
}

export class VerdictNotes {
  #offsets = new Float64Array(1024);
  #verdicts = new Uint8Array(1024);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Keeps the verdict of the next row in byte order; `isMarked` is for whoever reads it. */
  add(row: Pick<MessageRow, "offset" | "parent_state" | "is_orphaned" | "corruption_score">, isMarked = false): void {
    if (this.#count === this.#offsets.length) {
      const [offsets, verdicts] = [this.#offsets, this.#verdicts];
      this.#offsets = new Float64Array(this.#count * 2);
      this.#verdicts = new Uint8Array(this.#count * 2);
      this.#offsets.set(offsets);
      this.#verdicts.set(verdicts);
    }
    const { is_orphaned, corruption_score } = row;
    const state = STATES.indexOf(row.parent_state);
    const isOdd = typeof is_orphaned !== "boolean" || (corruption_score !== 0 && corruption_score !== 1);
    this.#offsets[this.#count] = row.offset;
    this.#verdicts[this.#count++] =
      (state < 0 ? UNKNOWN : state) |
      (is_orphaned === true ? ORPHANED : 0) |
      (corruption_score === 1 ? SCORED : 0) |
      (isOdd ? ODD : 0) |
      (isMarked ? MARKED : 0);
  }

  /** The verdict of the row that was added as number `index`. */
  at(index: number): NotedVerdict {
    const verdict = this.#verdicts[index]!;
    return {
      offset: this.#offsets[index]!,
      state: STATES[verdict & 7] ?? null,
      isOrphaned: (verdict & ORPHANED) !== 0,
      isScored: (verdict & SCORED) !== 0,
      isOdd: (verdict & ODD) !== 0,
      isMarked: (verdict & MARKED) !== 0,
    };
  }
}

/** Whether a row's own columns fit each other: the verdict of a row that nothing else tells of any more. */
export function isVerdict(row: Pick<MessageRow, "parent_uuid" | "parent_state" | "is_orphaned" | "corruption_score">) {
  const { parent_uuid, parent_state, is_orphaned, corruption_score } = row;
  return (
    STATES.includes(parent_state) &&
    (parent_uuid === null) === (parent_state === "root") &&
    is_orphaned === (parent_state === "phantom") &&
    (corruption_score === 0 || corruption_score === 1)
  );
}
