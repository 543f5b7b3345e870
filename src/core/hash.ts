// The three hashes of riffd: xxh64 gates work, SHA-256 proves, and a 64-bit string hash indexes uuids in memory.
import { createHash } from "node:crypto";
import xxhash from "xxhash-wasm";

const { h64Raw, create64 } = await xxhash();

/** xxh64 (seed 0) of `bytes` as 16 hex digits. */
export function xxh64Hex(bytes: Uint8Array): string {
  return h64Raw(bytes).toString(16).padStart(16, "0");
}

/** The same of bytes that come in chunks. */
export async function xxh64OfChunks(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = create64();
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest().toString(16).padStart(16, "0");
}

/** SHA-256 of `bytes` or of the UTF-8 of a string, as 64 hex digits. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The hash of a session or fingerprint before anything was added to it. */
export const EMPTY_HASH = "0000000000000000";

/** Chains one archived segment into a source's fingerprint: `fp' = xxh64(fp ‖ xxh64(segment))`, hashes as 8 bytes. */
export function extendFingerprint(fingerprint: string, segmentHash: string): string {
  return xxh64Hex(Buffer.from(fingerprint + segmentHash, "hex"));
}

let scratch = Buffer.allocUnsafe(1024);

/**
 * Chains one message into a session hash: `h' = xxh64(h ‖ uuid ‖ 0 ‖ parent ‖ 0 ‖ digest)`, h as 8 bytes big endian,
 * the rest as UTF-8. An append extends the hash without reading what came before.
 */
export function extendSessionHash(hash: string, uuid: string, parent: string | null, digest: string): string {
  const need = 8 + 3 * (uuid.length + (parent?.length ?? 0) + digest.length) + 2;
  if (scratch.length < need) scratch = Buffer.allocUnsafe(need);
  let end = scratch.write(hash, 0, 8, "hex");
  end += scratch.write(uuid, end, "utf8");
  scratch[end++] = 0;
  if (parent !== null) end += scratch.write(parent, end, "utf8");
  scratch[end++] = 0;
  end += scratch.write(digest, end, "latin1");
  return xxh64Hex(scratch.subarray(0, end));
}

/**
 * A 64-bit hash of a string as two unsigned 32-bit halves, without allocating: `high` is the return value, `low` is
 * left in `lowHalf()`. cyrb53 by bryc (public domain), with its full 64 bits kept.
 */
export function hashString(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  low = a >>> 0;
  return b >>> 0;
}

let low = 0;

/** The low half of the last `hashString`. */
export function lowHalf(): number {
  return low;
}
