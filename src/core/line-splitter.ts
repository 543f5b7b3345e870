// Cuts a stream of bytes into lines at 0x0A, wherever the chunks happen to end, with the file offset of each. A line
// within one chunk is not copied. Of a line longer than MAX_LINE_BYTES only the length is kept.
import { type Item, MAX_LINE_BYTES, readLine } from "./line.ts";

/** A line (without its 0x0A), or the rest of a file. `bytes[from]` stands at file offset `base + from`. */
export interface Line {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
  readonly base: number;
}

export class LineSplitter {
  #start: number;
  #carry: Buffer[] = [];
  #carried = 0;

  /** `start`: file offset of the first byte that will come. */
  constructor(start: number) {
    this.#start = start;
  }

  /** File offset at which the line begins that is not finished yet. */
  get lineStart(): number {
    return this.#start;
  }

  /**
   * The next line that ends within `chunk[at…]`, and where to go on in the chunk. null: none does, and the bytes were
   * kept for the line's other chunks (the chunk must not be overwritten).
   */
  take(chunk: Buffer, at: number): { line: Line; next: number } | null {
    const end = chunk.indexOf(0x0a, at);
    if (end < 0) {
      if (at < chunk.length) this.#keep(chunk.subarray(at));
      return null;
    }
    let line: Line;
    if (this.#carried === 0) {
      line = { bytes: chunk, from: at, to: end, base: this.#start - at };
    } else {
      this.#keep(chunk.subarray(at, end));
      line = this.rest();
    }
    this.#start = line.base + line.to + 1;
    this.#carry = [];
    this.#carried = 0;
    return { line, next: end + 1 };
  }

  /** The bytes of the line that is not finished. */
  rest(): Line {
    // Too long a line is told by its length alone; its bytes are not there.
    const bytes = this.#carry.length === 1 ? this.#carry[0]! : Buffer.concat(this.#carry);
    return { bytes, from: 0, to: this.#carried, base: this.#start };
  }

  #keep(part: Buffer): void {
    this.#carried += part.length;
    if (this.#carried > MAX_LINE_BYTES) this.#carry = [];
    else this.#carry.push(part);
  }
}

/** The items of a line; `open` as for `readLine`. */
export function itemsOf(line: Line, open: boolean): Item[] {
  return readLine(line.bytes, line.from, line.to, line.base, open);
}
