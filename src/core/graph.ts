// The conversation graph of one session: parents, faults, threads, score (docs/semantics.md, sections 4 and 5).
// Everything is iterative, O(n), and kept in typed arrays: a million records take about 35 MB. Uuids are held as 64-bit
// hashes; at a million records the chance that any two collide is 3 in 10^8. Only unresolved parents keep their strings.
import { hashString, lowHalf } from "./hash.ts";
import type { PieceReason } from "./line.ts";

export type ParentState = "root" | "resolved" | "pending" | "external" | "phantom";

const STATES = ["root", "resolved", "pending", "external", "phantom"] as const satisfies readonly ParentState[];
const ROOT = 0;
const RESOLVED = 1;
const PENDING = 2;

const CONVERSATION = 1;
const BOUNDARY = 2;
const LATER_OCCURRENCE = 4;
const OTHER_PARENT = 8;

/** What the graph needs to know of a message. */
export interface GraphMessage {
  readonly offset: number;
  readonly uuid: string;
  readonly parent: string | null;
  readonly conversation: boolean;
  readonly subtype: string | null;
}

/** What is known of a message as soon as it is added; `index` counts messages in byte order. */
export interface Added {
  readonly index: number;
  readonly occurrence: number;
  readonly state: ParentState;
  /** Offset of the message at the top of the chain of parents that stand before their children. */
  readonly rootOffset: number;
}

/** A message whose parent is not in its own session. */
export interface Unresolved {
  readonly index: number;
  readonly offset: number;
  readonly uuid: string;
  readonly parent: string;
  readonly isHead: boolean;
  readonly state: ParentState;
  readonly foundIn: string | null;
}

/** One entry of a session's list of faults; with `note`, it weighs nothing. */
export interface Fault {
  readonly kind: "phantom" | "cycle" | "repeated_uuid" | "unreadable";
  readonly offset: number;
  /** Bytes of an unreadable piece; 0 for the others. */
  readonly length: number;
  readonly message_uuid: string | null;
  readonly parent_uuid: string | null;
  readonly found_in: string | null;
  readonly reason: PieceReason | null;
  /** The first message of its file. */
  readonly is_head: boolean;
  readonly cut_off: number;
  readonly note: boolean;
}

export interface Analysis {
  readonly threadCount: number;
  readonly orphanCount: number;
  readonly cutOff: number;
  /** In byte order; unreadable pieces are not among them. */
  readonly faults: readonly Fault[];
}

export class SessionGraph {
  #count = 0;
  #offsets = new Float64Array(1024);
  #parents = new Int32Array(1024); // index of the parent, -1: none in this session
  #tops = new Int32Array(1024);
  #flags = new Uint8Array(1024);
  #states = new Uint8Array(1024);
  readonly #index = new UuidIndex();
  readonly #occurrences = new Map<number, number>(); // first occurrence → how many, where more than one
  readonly #waiting = new Map<string, number[]>(); // absent parent uuid → children
  readonly #names = new Map<number, { uuid: string; parent: string }>(); // unresolved, and links that close cycles
  readonly #repeated = new Map<number, { uuid: string; parent: string | null }>();
  readonly #foundIn = new Map<number, string>();
  #late: number[] = [];
  #forwardLinks = 0;

  /** How many messages were added. */
  get size(): number {
    return this.#count;
  }

  /** How many messages have a parent that stands after them. */
  get forwardLinks(): number {
    return this.#forwardLinks;
  }

  /** Adds the next message in byte order. */
  add(message: GraphMessage): Added {
    const index = this.#count++;
    if (index === this.#offsets.length) this.#grow();
    this.#offsets[index] = message.offset;
    this.#flags[index] =
      (message.conversation ? CONVERSATION : 0) | (message.subtype === "compact_boundary" ? BOUNDARY : 0);

    const first = this.#index.findOrAdd(message.uuid, index);
    let occurrence = 1;
    if (first !== index) {
      occurrence = (this.#occurrences.get(first) ?? 1) + 1;
      this.#occurrences.set(first, occurrence);
      this.#flags[index]! |= LATER_OCCURRENCE;
    }

    const parent = message.parent === null ? -1 : this.#index.find(message.parent);
    this.#parents[index] = parent;
    this.#tops[index] = index;
    if (message.parent === null) this.#states[index] = ROOT;
    else if (parent >= 0) {
      this.#states[index] = RESOLVED;
      if (parent !== index) this.#tops[index] = this.#tops[parent]!;
      else this.#selfParent(index, message.uuid);
    } else {
      this.#states[index] = PENDING;
      const children = this.#waiting.get(message.parent);
      if (children === undefined) this.#waiting.set(message.parent, [index]);
      else children.push(index);
      this.#names.set(index, { uuid: message.uuid, parent: message.parent });
    }

    if (first !== index) this.#compareParents(first, index, message);
    else this.#settleChildren(message.uuid, index);
    return {
      index,
      occurrence,
      state: STATES[this.#states[index]!]!,
      rootOffset: this.#offsets[this.#tops[index]!]!,
    };
  }

  #selfParent(index: number, uuid: string): void {
    this.#forwardLinks++;
    this.#names.set(index, { uuid, parent: uuid });
  }

  /** Children that came before this, their parent. */
  #settleChildren(uuid: string, index: number): void {
    const children = this.#waiting.get(uuid);
    if (children === undefined) return;
    this.#waiting.delete(uuid);
    for (const child of children) {
      this.#parents[child] = index;
      this.#states[child] = RESOLVED;
      this.#foundIn.delete(child);
      this.#forwardLinks++;
      this.#late.push(child);
    }
  }

  /** A later occurrence is a fault where its parent is another one than the first occurrence's. */
  #compareParents(first: number, index: number, message: GraphMessage): void {
    const same =
      message.parent === null
        ? this.#states[first] === ROOT
        : this.#parents[index]! >= 0
          ? this.#parents[first] === this.#parents[index]
          : this.#names.get(first)?.parent === message.parent && this.#parents[first]! < 0;
    if (same) return;
    this.#flags[index]! |= OTHER_PARENT;
    this.#repeated.set(index, { uuid: message.uuid, parent: message.parent });
  }

  /** Messages whose parent came after them since the last call, in byte order; each is told once. */
  takeLate(): { index: number; offset: number; uuid: string; parent: string }[] {
    const late = this.#late.sort((a, b) => a - b);
    this.#late = [];
    return late.map((index) => ({ index, offset: this.#offsets[index]!, ...this.#names.get(index)! }));
  }

  /** All messages whose parent is not in this session, in byte order. */
  unresolved(): Unresolved[] {
    const indexes = [...this.#waiting.values()].flat().sort((a, b) => a - b);
    return indexes.map((index) => {
      const { uuid, parent } = this.#names.get(index)!;
      return {
        index,
        offset: this.#offsets[index]!,
        uuid,
        parent,
        isHead: index === 0,
        state: STATES[this.#states[index]!]!,
        foundIn: this.#foundIn.get(index) ?? null,
      };
    });
  }

  /** Sets the verdict on an unresolved message, told by its index; `foundIn` is the session that has the parent. */
  decide(index: number, state: "pending" | "external" | "phantom", foundIn: string | null): void {
    if (this.#parents[index]! >= 0 || this.#states[index] === ROOT) return;
    this.#states[index] = STATES.indexOf(state);
    if (foundIn === null) this.#foundIn.delete(index);
    else this.#foundIn.set(index, foundIn);
  }

  /** The verdict on the parent of a message, told by its index. */
  stateOf(index: number): ParentState {
    return STATES[this.#states[index]!]!;
  }

  /** The index of the message at an offset, or -1. */
  indexAt(offset: number): number {
    let lower = 0;
    let upper = this.#count - 1;
    while (lower <= upper) {
      const middle = (lower + upper) >>> 1;
      const found = this.#offsets[middle]!;
      if (found === offset) return middle;
      if (found < offset) lower = middle + 1;
      else upper = middle - 1;
    }
    return -1;
  }

  /**
   * Threads, orphans and faults as they stand. `spareOrphans`: the session is a service agent whose parent session is
   * not known, so that its phantom parents are notes.
   */
  analyse(spareOrphans: boolean): Analysis {
    const tops = this.#forwardLinks > 0 ? this.#topsThroughForwardLinks() : this.#tops;
    let threadCount = 0;
    let orphanCount = 0;
    const told: number[] = []; // phantoms and cycles, by the index they are told at
    for (let i = 0; i < this.#count; i++) {
      const phantom = STATES[this.#states[i]!] === "phantom";
      if (phantom) orphanCount++;
      if (this.#flags[i]! & LATER_OCCURRENCE || tops[i] !== i) continue;
      if (!(this.#states[i] === ROOT && this.#flags[i]! & BOUNDARY && i > 0)) threadCount++;
      if (phantom || this.#states[i] === RESOLVED) told.push(i);
    }
    const below = this.#conversationsBelow(told, tops);
    const faults: Fault[] = told.map((index) => {
      const phantom = this.#states[index] !== RESOLVED;
      const spared = phantom && (index === 0 || spareOrphans);
      const cutOff = spared ? 0 : below.get(index)!;
      const name = this.#names.get(index);
      return {
        kind: phantom ? "phantom" : "cycle",
        offset: this.#offsets[index]!,
        length: 0,
        message_uuid: name?.uuid ?? null,
        parent_uuid: name?.parent ?? null,
        found_in: this.#foundIn.get(index) ?? null,
        reason: null,
        is_head: index === 0,
        cut_off: cutOff,
        note: cutOff === 0,
      };
    });
    for (const [index, { uuid, parent }] of this.#repeated) {
      const cutOff = this.#flags[index]! & CONVERSATION ? 1 : 0;
      faults.push({
        kind: "repeated_uuid",
        offset: this.#offsets[index]!,
        length: 0,
        message_uuid: uuid,
        parent_uuid: parent,
        found_in: null,
        reason: null,
        is_head: false,
        cut_off: cutOff,
        note: cutOff === 0,
      });
    }
    faults.sort((a, b) => a.offset - b.offset);
    return { threadCount, orphanCount, cutOff: faults.reduce((sum, fault) => sum + fault.cut_off, 0), faults };
  }

  #conversationsBelow(told: readonly number[], tops: Int32Array): Map<number, number> {
    const below = new Map(told.map((index) => [index, 0]));
    if (told.length === 0) return below;
    for (let i = 0; i < this.#count; i++) {
      if (!(this.#flags[i]! & CONVERSATION) || this.#flags[i]! & LATER_OCCURRENCE) continue;
      const count = below.get(tops[i]!);
      if (count !== undefined) below.set(tops[i]!, count + 1);
    }
    return below;
  }

  /**
   * The top of every node's tree where some parents stand after their children. A cycle's top is its member with the
   * lowest offset. Each walk stops at the first node whose top is known, so that all walks together are O(n).
   */
  #topsThroughForwardLinks(): Int32Array {
    const tops = new Int32Array(this.#count).fill(-1);
    const walkOf = new Int32Array(this.#count).fill(-1);
    const path: number[] = [];
    for (let start = 0; start < this.#count; start++) {
      path.length = 0;
      let node = start;
      while (tops[node] === -1 && walkOf[node] !== start && this.#parents[node]! >= 0) {
        walkOf[node] = start;
        path.push(node);
        node = this.#parents[node]!;
      }
      let top: number;
      if (tops[node] !== -1) top = tops[node]!;
      else if (walkOf[node] === start) {
        top = node; // the walk came back upon itself
        for (let member = this.#parents[node]!; member !== node; member = this.#parents[member]!) {
          if (member < top) top = member;
        }
      } else {
        top = node;
        tops[node] = node;
      }
      for (const passed of path) tops[passed] = top;
    }
    return tops;
  }

  #grow(): void {
    const length = this.#offsets.length * 2;
    this.#offsets = copyInto(new Float64Array(length), this.#offsets);
    this.#parents = copyInto(new Int32Array(length), this.#parents);
    this.#tops = copyInto(new Int32Array(length), this.#tops);
    this.#flags = copyInto(new Uint8Array(length), this.#flags);
    this.#states = copyInto(new Uint8Array(length), this.#states);
  }
}

function copyInto<T extends Float64Array | Int32Array | Uint32Array | Uint8Array>(to: T, from: T): T {
  to.set(from);
  return to;
}

/**
 * uuid → index of its first occurrence: open addressing over 64-bit string hashes. The table holds indexes alone; the
 * hashes stand by index, so that a table twice as large as its content costs 4 bytes a slot.
 */
class UuidIndex {
  #slots = new Int32Array(2048).fill(-1); // its length is a power of two
  #high = new Uint32Array(1024);
  #low = new Uint32Array(1024);
  #used = 0;

  find(uuid: string): number {
    const high = hashString(uuid);
    return this.#slots[this.#slot(high, lowHalf())]!;
  }

  /** The index that the uuid has; `value`, which must be larger than all before it, if it is new. */
  findOrAdd(uuid: string, value: number): number {
    const high = hashString(uuid);
    const low = lowHalf();
    const slot = this.#slot(high, low);
    if (this.#slots[slot]! >= 0) return this.#slots[slot]!;
    while (value >= this.#high.length) {
      this.#high = copyInto(new Uint32Array(this.#high.length * 2), this.#high);
      this.#low = copyInto(new Uint32Array(this.#low.length * 2), this.#low);
    }
    this.#high[value] = high;
    this.#low[value] = low;
    this.#slots[slot] = value;
    if (++this.#used * 2 > this.#slots.length) this.#grow();
    return value;
  }

  #slot(high: number, low: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const value = this.#slots[slot]!;
      if (value < 0 || (this.#low[value] === low && this.#high[value] === high)) return slot;
    }
  }

  #grow(): void {
    const values = this.#slots;
    this.#slots = new Int32Array(values.length * 2).fill(-1);
    for (const value of values) if (value >= 0) this.#slots[this.#slot(this.#high[value]!, this.#low[value]!)] = value;
  }
}
