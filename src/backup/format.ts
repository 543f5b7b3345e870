// The backup file: a line of JSON that people can read too, then blocks of rows, then a last block that counts them all,
// then the SHA-256 of everything before. Each block has a checksum of its own, so that damage is told by its place.
//
//   riffd-backup {"format":1,…}\n
//   block:  length u32 ‖ kind u8 ‖ codec u8 ‖ payload ‖ xxh64 of all of these (8 bytes)       integers big endian
//   …       the last block is of kind END
//   SHA-256 (32 bytes)
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import { brotliCompress, brotliDecompress, constants } from "node:zlib";
import { xxh64Hex } from "../core/hash.ts";
import { RiffError, toError } from "../errors.ts";

const MAGIC = "riffd-backup ";
const FORMAT = 1;
const MAX_HEADER_BYTES = 1024 * 1024;
const BLOCK_HEAD_BYTES = 6;
const CHECKSUM_BYTES = 8;
const SHA256_BYTES = 32;
/** A block holds one row at least; rows are far below this. */
const MAX_BLOCK_BYTES = 512 * 1024 * 1024;

const ROWS = 1;
const END = 2;
const RAW = 0;
const BROTLI = 1;

/** What the first line says. */
export interface BackupHeader {
  /** The version of riffd that wrote it. */
  readonly riffd: string;
  /** ISO 8601. */
  readonly created: string;
  /** Where the store was; never with a password. */
  readonly store: string;
  /** The migrations that the store was made with, in order. */
  readonly schema: readonly { readonly version: number; readonly name: string; readonly sha256: string }[];
}

/** What the last block says of all the others. */
export interface BackupEnd {
  /** Rows of each table. */
  readonly tables: Readonly<Record<string, number>>;
  /** Live messages of all sessions. */
  readonly messages: number;
  /** Of every session: its id, the number of its last commit, and that commit's hash. */
  readonly heads: readonly (readonly [sessionId: string, chain: number, head: string])[];
}

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);

/** The bytes of a backup file whose rows' blocks have these payloads; `end` is asked when all of them are taken. */
export async function* encodeBackup(
  header: BackupHeader,
  payloads: AsyncIterable<Uint8Array>,
  end: () => BackupEnd,
): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  const hashed = (bytes: Buffer): Buffer => {
    hash.update(bytes);
    return bytes;
  };
  yield hashed(Buffer.from(`${MAGIC}${JSON.stringify({ format: FORMAT, ...header })}\n`));
  for await (const payload of payloads) yield hashed(await encodeBlock(ROWS, payload));
  yield hashed(await encodeBlock(END, Buffer.from(JSON.stringify(end()))));
  yield hash.digest();
}

async function encodeBlock(kind: number, payload: Uint8Array): Promise<Buffer> {
  // Much of a store is compressed already: then the block stays as it is.
  const packed = await compress(payload, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_SIZE_HINT]: payload.length },
  });
  const smaller = packed.length < payload.length ? packed : payload;
  const block = Buffer.allocUnsafe(BLOCK_HEAD_BYTES + smaller.length + CHECKSUM_BYTES);
  block.writeUInt32BE(smaller.length, 0);
  block.writeUInt8(kind, 4);
  block.writeUInt8(smaller === packed ? BROTLI : RAW, 5);
  block.set(smaller, BLOCK_HEAD_BYTES);
  const covered = block.subarray(0, -CHECKSUM_BYTES);
  block.write(xxh64Hex(covered), covered.length, "hex");
  return block;
}

/**
 * A backup file that is read from its beginning to its end, proving each block before giving its payload. Every method
 * throws RIFF_BACKUP_FAILED for a file that is not exactly what was written, and says what is wrong and where.
 */
export class BackupFile {
  readonly path: string;
  readonly size: number;
  readonly header: BackupHeader;
  readonly #file: FileHandle;
  readonly #hash: Hash = createHash("sha256");
  #at: number;
  #end: BackupEnd | null = null;
  #sha256 = "";

  private constructor(path: string, file: FileHandle, size: number, line: Buffer) {
    this.path = path;
    this.size = size;
    this.#file = file;
    this.#hash.update(line);
    this.#at = line.length;
    this.header = parseHeader(path, line);
  }

  /** Close it in the end. */
  static async open(path: string): Promise<BackupFile> {
    const file = await openFile(path);
    try {
      const { size } = await file.stat();
      return new BackupFile(path, file, size, await readHeaderLine(path, file, size));
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  }

  /** The payloads of the blocks of rows, in order. May be called once. When it has ended, the file is proved whole. */
  async *payloads(): AsyncGenerator<Buffer> {
    for (;;) {
      const at = this.#at;
      const { kind, payload } = await this.#readBlock();
      if (kind === END) {
        this.#end = parseEnd(payload) ?? this.#fail(at, "its last block cannot be read");
        await this.#proveEnd();
        return;
      }
      if (kind !== ROWS) this.#fail(at, `there is a block of the unknown kind ${kind}`);
      yield payload;
    }
  }

  /** The bytes before the next block. */
  get position(): number {
    return this.#at;
  }

  /** What the last block says; known when `payloads` has ended. */
  get end(): BackupEnd {
    return this.#end!;
  }

  /** The file's own SHA-256 over all before it; known when `payloads` has ended. */
  get sha256(): string {
    return this.#sha256;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #readBlock(): Promise<{ kind: number; payload: Buffer }> {
    const at = this.#at;
    const head = await this.#read(BLOCK_HEAD_BYTES);
    const length = head.readUInt32BE(0);
    if (length > MAX_BLOCK_BYTES) this.#fail(at, "the length of a block is none that is ever written");
    const rest = await this.#read(length + CHECKSUM_BYTES);
    const covered = Buffer.concat([head, rest.subarray(0, length)]);
    if (xxh64Hex(covered) !== rest.toString("hex", length)) this.#fail(at, "a block does not match its checksum");
    const packed = rest.subarray(0, length);
    if (head[5] === RAW) return { kind: head[4]!, payload: packed };
    const payload = await decompress(packed, { maxOutputLength: MAX_BLOCK_BYTES }).catch(() =>
      this.#fail(at, "a block cannot be decompressed"),
    );
    return { kind: head[4]!, payload };
  }

  /** The next bytes, which are taken into the SHA-256. */
  async #read(length: number): Promise<Buffer> {
    if (this.#at + length > this.size) this.#fail(this.size, "it ends here, before it is complete: it was cut off");
    const bytes = await readExactly(this.path, this.#file, this.#at, length);
    this.#hash.update(bytes);
    this.#at += length;
    return bytes;
  }

  async #proveEnd(): Promise<void> {
    const at = this.#at;
    const found = this.#hash.copy().digest("hex");
    const told = (await this.#read(SHA256_BYTES)).toString("hex");
    if (told !== found) this.#fail(at, "its SHA-256 is not that of what comes before it");
    if (this.#at !== this.size) this.#fail(this.#at, `${this.size - this.#at} bytes follow its end`);
    this.#sha256 = told;
  }

  #fail(at: number, what: string): never {
    throw damaged(this.path, at, what);
  }
}

async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle | null = null;
  try {
    file = await open(path, "r");
    if ((await file.stat()).isFile()) return file;
  } catch (thrown) {
    await file?.close();
    throw new RiffError(
      "RIFF_BACKUP_FAILED",
      `Cannot read the backup ${path}: ${toError(thrown).message}`,
      "Check the path and its rights.",
      thrown,
    );
  }
  await file.close();
  throw new RiffError(
    "RIFF_BACKUP_FAILED",
    `${path} is not a regular file.`,
    "Name the backup file itself, not its folder.",
  );
}

async function readExactly(path: string, file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done).catch((thrown: unknown) => {
      throw new RiffError(
        "RIFF_BACKUP_FAILED",
        `Cannot read the backup ${path} at byte ${at + done}: ${toError(thrown).message}`,
        "Check the disk it lies on, or use another copy of it.",
        thrown,
      );
    });
    if (bytesRead === 0) throw damaged(path, at + done, "it ends here, though it was longer when it was opened");
    done += bytesRead;
  }
  return bytes;
}

/** The first line with its newline. */
async function readHeaderLine(path: string, file: FileHandle, size: number): Promise<Buffer> {
  if (size === 0) throw notABackup(path, "it is empty");
  const start = await readExactly(path, file, 0, Math.min(size, MAX_HEADER_BYTES));
  const magic = start.subarray(0, MAGIC.length).toString("latin1");
  if (!MAGIC.startsWith(magic)) throw notABackup(path, `it does not begin with "${MAGIC.trim()}"`);
  const newline = start.indexOf(0x0a);
  if (newline >= 0) return start.subarray(0, newline + 1);
  throw damaged(
    path,
    start.length,
    size <= MAX_HEADER_BYTES ? "it ends in its first line" : "its first line has no end",
  );
}

function parseHeader(path: string, line: Buffer): BackupHeader {
  let header: (Partial<BackupHeader> & { readonly format?: unknown }) | null;
  try {
    header = JSON.parse(line.toString("utf8", MAGIC.length));
  } catch {
    header = null;
  }
  if (typeof header !== "object" || header === null) throw damaged(path, 0, "its first line cannot be read");
  if (header.format !== FORMAT) {
    throw new RiffError(
      "RIFF_BACKUP_FAILED",
      `${path} is a backup of format ${JSON.stringify(header.format)}; this riffd reads format ${FORMAT}.`,
      "Update riffd, if a newer one has written it.",
    );
  }
  const { riffd, created, store, schema } = header;
  if (
    typeof riffd !== "string" ||
    typeof created !== "string" ||
    typeof store !== "string" ||
    !Array.isArray(schema) ||
    schema.length === 0
  ) {
    throw damaged(path, 0, "its first line lacks something");
  }
  return { riffd, created, store, schema };
}

function parseEnd(payload: Buffer): BackupEnd | null {
  try {
    return JSON.parse(payload.toString("utf8")) as BackupEnd;
  } catch {
    return null;
  }
}

function notABackup(path: string, why: string): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    `${path} is no backup that riffd has written: ${why}.`,
    "Name a file that `riffd backup` has written.",
  );
}

function damaged(path: string, at: number, what: string): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    `The backup ${path} is damaged at byte ${at}: ${what}.`,
    "Use another copy of it, or another backup.",
  );
}
