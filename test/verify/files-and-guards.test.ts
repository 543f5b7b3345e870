import { appendFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { localFiles } from "../../src/source/transcript-file.ts";
import type { DbRow } from "../../src/store/rows.ts";
import { run } from "../../src/store/transaction.ts";
import { chain, jsonl, lineOf } from "../support/builders.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

let bench: Workbench;
let path: string;

beforeEach(async () => {
  bench = await Workbench.create();
  path = bench.write("-p/gear.jsonl", jsonl(...chain(8)));
  await bench.sync();
  bench.write("-p/gear.jsonl", jsonl(...chain(9)));
  await bench.sync();
});

const problems = async () => (await verifyAll(bench)).problems;

describe("the append-only tables", () => {
  test("are told when a guard was removed", async () => {
    await run(bench.store.db, "REMOVE EVENT append_only ON repair_event");
    expect(await problems()).toEqual([
      "rows of the table repair_event can be changed: the event append_only, which forbids it, is not in force",
      "rows of the table repair_event can be deleted: the event append_only, which forbids it, is not in force",
    ]);
  });

  test("are told when a guard was overwritten", async () => {
    for (const table of ["commit", "source_segment"]) {
      await run(
        bench.store.db,
        `DEFINE EVENT OVERWRITE append_only ON ${table} WHEN $event = 'DELETE' THEN { THROW '${table} is append-only' }`,
      );
    }
    expect(await problems()).toEqual([
      "rows of the table commit can be changed: the event append_only, which forbids it, is not in force",
      "rows of the table source_segment can be changed: the event append_only, which forbids it, is not in force",
    ]);
  });

  test("are not changed by trying their guards", async () => {
    await run(bench.store.db, "REMOVE EVENT append_only ON commit; REMOVE EVENT append_only ON source_segment;");
    await run(bench.store.db, "REMOVE EVENT append_only ON repair_event; DELETE repair_event");
    const before = await run(bench.store.db, "SELECT * FROM commit; SELECT * FROM source_segment");
    await problems();
    expect(await run(bench.store.db, "SELECT * FROM commit; SELECT * FROM source_segment")).toEqual(before);
    expect(await run(bench.store.db, "SELECT * FROM repair_event")).toEqual([[]]);
  });
});

describe("a file", () => {
  test("that has grown since is a note", async () => {
    appendFileSync(path, lineOf(chain(10)[9]!));
    const verified = await verifyAll(bench);
    expect(verified.problems).toEqual([]);
    expect(verified.notes).toEqual([
      `its file has ${lineOf(chain(10)[9]!).length} bytes more than at the last sync; \`riffd sync\` reads them`,
    ]);
  });

  test("that was rewritten since is a note with the place", async () => {
    writeFileSync(
      path,
      jsonl(...chain(9))
        .toString()
        .replace("prompt 3", "prompt X"),
    );
    const verified = await verifyAll(bench);
    expect(verified.problems).toEqual([]);
    expect(verified.notes[0]).toMatch(
      /^its file has changed since the last sync \(other bytes .* from offset \d+ on\)/,
    );
  });

  test("that is gone is no fault", async () => {
    rmSync(path);
    const verified = await verifyAll(bench);
    expect(verified.problems).toEqual([]);
    expect(verified.notes).toEqual([`its file is gone since the last sync: ${path}`]);
    await bench.sync();
    expect(await verifyAll(bench)).toMatchObject({ problems: [], notes: [] });
  });

  test("that was touched, and no more, is nothing", async () => {
    utimesSync(path, new Date(), new Date());
    expect(await verifyAll(bench)).toMatchObject({ problems: [], notes: [] });
  });

  test("that was rewritten before it grew, which a later sync finds, is a note with the place", async () => {
    const at = await pretendToHaveRead(jsonl(...chain(9)));
    await run(bench.store.db, "UPDATE source SET verified_size = 0");
    const verified = await verifyAll(bench);
    expect(verified.problems).toEqual([]);
    expect(verified.notes[0]).toContain(`its file has other bytes than the archive from offset ${at} on`);
  });

  test("that holds other bytes without having been written, as the file system tells, is a fault", async () => {
    await bench.sync({ force: true }); // compares it from the first byte to the last
    const at = await pretendToHaveRead(jsonl(...chain(9)));
    expect(await problems()).toEqual([
      `gear: the file ${path} has other bytes than the archive from offset ${at} on, though nothing says that it was written since the last sync; \`riffd sync --force\` reads it again`,
    ]);
  });

  /** Changes one byte of the file behind the back of the checkpoint; returns its offset. */
  async function pretendToHaveRead(bytes: Buffer): Promise<number> {
    const at = bytes.indexOf("prompt 3") + "prompt ".length;
    bytes[at]! ^= 1;
    bench.write("-p/gear.jsonl", bytes);
    const { mtimeMs: _, ...facts } = (await localFiles.findFacts(path))!;
    await run(bench.store.db, "UPDATE source MERGE $facts WHERE session_id = 'gear'", { facts });
    return at;
  }
});

test("the row of a message that had vanished is one too many once the message is back", async () => {
  const vanishing = chain(9).slice(0, 8);
  bench.write("-p/gear.jsonl", jsonl(...vanishing));
  await bench.sync();
  const [[row]] = await run<[DbRow[]]>(bench.store.db, "SELECT * FROM message WHERE removed_at IS NOT NONE");
  bench.write("-p/gear.jsonl", jsonl(...chain(9)));
  await bench.sync();
  expect(await problems()).toEqual([]);
  await run(bench.store.db, "INSERT INTO message $row", { row });
  expect(await problems()).toEqual([
    `gear: the message at offset ${jsonl(...vanishing).length} of generation 1 is one too many: it has come back to the file`,
  ]);
});
