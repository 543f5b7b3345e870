// The digests of rows that the commits of a generation wrote, against its entries.
import { RowsDigest } from "../../core/chain.ts";
import type { Entry } from "../steps.ts";
import type { Link } from "./chain.ts";
import { Difference, differs } from "./difference.ts";

/** Each commit's digest of the rows it wrote. */
export class DigestProof {
  readonly #links: readonly Link[];
  #at = 0;
  #digest = new RowsDigest();

  constructor(links: readonly Link[]) {
    this.#links = links.filter(({ kind }) => kind !== "healed"); // its rows are those of other commits
  }

  /**
   * Takes the next entry in byte order; returns when the commit was made that wrote it, or null for a piece that may yet
   * be completed, which several commits may have written. Throws a Difference.
   */
  add(entry: Entry): Date | null {
    let link = this.#links[this.#at];
    for (; link !== undefined && entry.offset >= link.parsed_to; link = this.#links[this.#at]) this.#close(link);
    if (entry.kind === "piece") return link?.time ?? null;
    if (link === undefined) throw new Difference(`no commit wrote the ${entry.kind} at offset ${entry.offset}`);
    this.#digest.add(entry.kind, entry.offset, entry.length, entry.digest);
    return link.time;
  }

  finish(): void {
    for (let link = this.#links[this.#at]; link !== undefined; link = this.#links[this.#at]) this.#close(link);
  }

  #close(link: Link): void {
    const { count } = this.#digest;
    const found = this.#digest.finish();
    this.#digest = new RowsDigest();
    this.#at++;
    if (count !== link.rows) throw differs(`commit ${link.n}`, "rows", count, link.rows);
    if (found !== link.rows_sha256) {
      throw new Difference(`commit ${link.n}: the digest of its ${count} rows is another by the archived bytes`);
    }
  }
}
