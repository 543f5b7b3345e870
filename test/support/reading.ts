/** Reads whole files with the reader under test, as the sync does, but from memory. */
import type { Item } from "../../src/core/line.ts";
import { itemsOf, type Line, LineSplitter } from "../../src/core/line-splitter.ts";

/** The lines of `chunks`, which are one file cut anywhere. The last one is what follows the last 0x0A. */
export function linesOf(chunks: readonly Buffer[], start = 0): { lines: Line[]; rest: Line } {
  const splitter = new LineSplitter(start);
  const lines: Line[] = [];
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const taken = splitter.take(chunk, at);
      if (taken === null) break;
      lines.push(taken.line);
      at = taken.next;
    }
  }
  return { lines, rest: splitter.rest() };
}

/** The items of a quiet file. */
export function itemsOfFile(bytes: Buffer): Item[] {
  const { lines, rest } = linesOf([bytes]);
  return [...lines.flatMap((line) => itemsOf(line, false)), ...itemsOf(rest, true)];
}

/** Reads a file that grows and is quiet after every append: what is final is never read again. */
export class LookedReader {
  #bytes: Buffer = Buffer.alloc(0);
  #parsed = 0;
  #final: Item[] = [];
  #provisional: Item[] = [];

  get items(): Item[] {
    return [...this.#final, ...this.#provisional];
  }

  append(part: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, part]);
    const { lines, rest } = linesOf([this.#bytes.subarray(this.#parsed)], this.#parsed);
    const tail = itemsOf(rest, true);
    const last = tail.at(-1);
    this.#provisional = last?.kind === "piece" ? [last] : [];
    this.#final.push(
      ...lines.flatMap((line) => itemsOf(line, false)),
      ...(last?.kind === "piece" ? tail.slice(0, -1) : tail),
    );
    this.#parsed = last === undefined ? rest.base : last.kind === "piece" ? last.offset : last.offset + last.length;
  }
}
