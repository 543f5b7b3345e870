// All that a store holds, as text and as bytes, so that a test can look for what should not be there.
import { canonicalJson } from "../../src/core/canonical.ts";
import { run } from "../../src/store/transaction.ts";
import type { Workbench } from "./workbench.ts";

/** Every row of every table as text, bytes left out; each begins with the name of its table. */
export async function allRows({ store }: Workbench): Promise<string[]> {
  const [{ tables }] = await run<[{ tables: Record<string, string> }]>(store.db, "INFO FOR DB");
  const texts: string[] = [];
  for (const table of Object.keys(tables)) {
    const [rows] = await run<[object[]]>(store.db, `SELECT * FROM ${table}`);
    for (const row of rows) {
      texts.push(`${table} ${canonicalJson(JSON.parse(JSON.stringify({ ...row, data: undefined })))}`);
    }
  }
  return texts;
}

interface Archived {
  readonly sessionId: string;
  readonly generation: number;
  readonly bytes: Buffer;
}

/** The archived bytes of all generations of all sessions. */
export async function allBytes({ store }: Workbench): Promise<Archived[]> {
  const archives: Archived[] = [];
  for (const sessionId of await store.sessionIds()) {
    for (const { generation } of await store.generations(sessionId)) {
      const parts: Buffer[] = [];
      for await (const { raw } of store.storedSegments(sessionId, generation, 0)) parts.push(raw);
      archives.push({ sessionId, generation, bytes: Buffer.concat(parts) });
    }
  }
  return archives;
}

/** The places in which a text stands, in words. */
export async function placesOf(bench: Workbench, text: string): Promise<string[]> {
  const rows = (await allRows(bench)).filter((row) => row.includes(text));
  const archives = (await allBytes(bench)).filter(({ bytes }) => bytes.includes(text));
  return [...rows, ...archives.map(({ sessionId, generation }) => `archive of ${sessionId}, generation ${generation}`)];
}
