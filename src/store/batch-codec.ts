// Batches ↔ bytes: CBOR as the SDK speaks it, so that record ids, datetimes, bytes and what is left out stay what they are.
import { CborCodec } from "surrealdb";
import type { Batch } from "./snapshot.ts";

const codec = new CborCodec({});

export function encodeBatch({ table, rows }: Batch): Uint8Array {
  return codec.encode({ table, rows });
}

/** null for bytes that are no batch. */
export function decodeBatch(bytes: Uint8Array): Batch | null {
  try {
    const { table, rows } = codec.decode<Batch>(bytes);
    return typeof table === "string" && Array.isArray(rows) ? { table, rows } : null;
  } catch {
    return null;
  }
}
