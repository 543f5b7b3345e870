import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { type BackupEnd, BackupFile, type BackupHeader, encodeBackup } from "../../src/backup/format.ts";
import { RiffError } from "../../src/errors.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

const HEADER: BackupHeader = {
  riffd: "1.2.3",
  created: "2026-01-02T03:04:05.678Z",
  store: "rocksdb:///somewhere",
  schema: [{ version: 1, name: "core", sha256: "ab".repeat(32) }],
};
const END: BackupEnd = { tables: { message: 3 }, messages: 3, heads: [["gear", 2, "cd".repeat(32)]] };

async function encode(payloads: readonly Uint8Array[]): Promise<Buffer> {
  async function* given() {
    yield* payloads;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of encodeBackup(HEADER, given(), () => END)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function read(path: string): Promise<{ file: BackupFile; payloads: Buffer[] }> {
  const file = await BackupFile.open(path);
  try {
    const payloads: Buffer[] = [];
    for await (const payload of file.payloads()) payloads.push(payload);
    return { file, payloads };
  } finally {
    await file.close();
  }
}

/** The message with which a file of these bytes is refused. */
async function refusal(bytes: Uint8Array): Promise<string> {
  const path = join(folder, "given");
  writeFileSync(path, bytes);
  const error = await read(path).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RiffError);
  expect((error as RiffError).code).toBe("RIFF_BACKUP_FAILED");
  return (error as RiffError).message.replaceAll(path, "FILE");
}

const folder = scratchFolder();

/** Payloads that compress well, and such that do not. */
const payloadArb = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ maxLength: 5 }).map((text) => Buffer.from(text.repeat(100))),
);
const payloadsArb = fc.array(payloadArb, { maxLength: 5 });

describe("a backup file", () => {
  test("gives back what was put in", async () => {
    await fc.assert(
      fc.asyncProperty(payloadsArb, async (payloads) => {
        const path = join(folder, "whole");
        const bytes = await encode(payloads);
        writeFileSync(path, bytes);
        const { file, payloads: found } = await read(path);
        expect(found.map((one) => one.toString("hex"))).toEqual(
          payloads.map((one) => Buffer.from(one).toString("hex")),
        );
        expect([file.header, file.end, file.size]).toEqual([HEADER, END, bytes.length]);
        expect(file.sha256).toBe(bytes.subarray(-32).toString("hex"));
      }),
    );
  });

  test("is refused when any byte of it is another one", async () => {
    await fc.assert(
      fc.asyncProperty(payloadsArb, fc.nat(), fc.integer({ min: 1, max: 255 }), async (payloads, place, mask) => {
        const bytes = await encode(payloads);
        const at = place % bytes.length;
        bytes[at]! ^= mask;
        const told = Number(/at byte (\d+)/.exec(await refusal(bytes))?.[1] ?? 0);
        // What is told is where the damaged part begins; but a wrong length shows where the file ends, and a first line
        // that can still be read by the SHA-256 there.
        expect(told <= at || told >= bytes.length - 32).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test("is refused wherever it is cut off", async () => {
    const bytes = await encode([Buffer.from("gear".repeat(50)), Buffer.from("spoke")]);
    for (let length = 0; length < bytes.length; length++) {
      expect(await refusal(bytes.subarray(0, length))).toMatch(/it is empty|it was cut off|it ends in its first line/);
    }
  });

  test("is refused when something follows it, or stands in it twice, or is left out of it", async () => {
    const bytes = await encode([Buffer.from("gear"), Buffer.from("spoke")]);
    expect(await refusal(Buffer.concat([bytes, Buffer.from("x")]))).toBe(
      `The backup FILE is damaged at byte ${bytes.length}: 1 bytes follow its end.`,
    );
    const start = bytes.indexOf(0x0a) + 1;
    const next = start + 6 + bytes.readUInt32BE(start) + 8;
    const first = bytes.subarray(start, next);
    const around = [bytes.subarray(0, start), bytes.subarray(next)] as const;
    for (const between of [Buffer.alloc(0), Buffer.concat([first, first])]) {
      expect(await refusal(Buffer.concat([around[0], between, around[1]]))).toMatch(/its SHA-256 is not that of/);
    }
  });
});

describe("what is no backup file", () => {
  test("is told from a damaged one", async () => {
    expect(await refusal(Buffer.alloc(0))).toBe("FILE is no backup that riffd has written: it is empty.");
    for (const text of ['{"type":"user"}\n', "-- SurrealQL dump\nDEFINE TABLE x;\n", "riffd backup\n"]) {
      expect(await refusal(Buffer.from(text))).toBe(
        'FILE is no backup that riffd has written: it does not begin with "riffd-backup".',
      );
    }
    for (const text of ["riffd-backup \n", "riffd-backup null\n", 'riffd-backup {"format":1}\n']) {
      expect(await refusal(Buffer.from(text))).toMatch(/^The backup FILE is damaged at byte 0: its first line /);
    }
  });

  test("a format of later times is named", async () => {
    expect(await refusal(Buffer.from('riffd-backup {"format":2}\n'))).toBe(
      "FILE is a backup of format 2; this riffd reads format 1.",
    );
  });

  test("a missing file and a folder are named", async () => {
    await expect(read(join(folder, "missing"))).rejects.toThrow(/^Cannot read the backup .*missing: ENOENT/);
    mkdirSync(join(folder, "dir"), { recursive: true });
    await expect(read(join(folder, "dir"))).rejects.toThrow(/dir is not a regular file/);
  });
});
