// What was forgotten stays so when rows are healed: the archive holds nothing of it that could come back.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { DbRow } from "../../src/store/rows.ts";
import { run } from "../../src/store/transaction.ts";
import { forgetIn } from "../../src/sync/forget.ts";
import { MAX_CONTENT_CHARS, type Store } from "../../src/sync/store.ts";
import { chain, jsonl, summary, userMessage, uuid } from "../support/builders.ts";
import { placesOf } from "../support/secrets.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const SECRET = "hunter2-hunter2";
const FILE = "-p/gear.jsonl";
const FORCE = { force: true };

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.create();
  const long = `${SECRET} `.repeat(MAX_CONTENT_CHARS / SECRET.length);
  bench.write(
    FILE,
    jsonl(
      ...chain(3),
      userMessage({ uuid: uuid(4), parent: uuid(3), text: long }),
      userMessage({ uuid: uuid(5), parent: uuid(4), text: SECRET }),
      ...chain(3, { from: 6 }),
      summary({ leaf: uuid(5), text: "What we said" }),
      '{"torn',
    ),
  );
  await bench.sync();
});

async function forgetMessages(...uuids: string[]): Promise<void> {
  await forgetIn(bench.context, "gear", { messages: new Set(uuids), reason: "a leaked key" });
}

async function alter(text: string, parameters: Record<string, unknown> = {}): Promise<void> {
  await run(bench.store.db, text, parameters);
}

/** All rows but commits, and without what counts them. */
function readRows(): Promise<DbRow[][]> {
  return run<DbRow[][]>(
    bench.store.db,
    `SELECT * OMIT chain, head, last_updated FROM session; SELECT * FROM message; SELECT * FROM record;
     SELECT * FROM quarantine; SELECT * FROM unresolved; SELECT * FROM content_part; SELECT * FROM repair_event;
     SELECT * FROM source_segment; SELECT * FROM forgotten; SELECT * FROM not_again;
     SELECT archived, parsed, fingerprint, keyframe, head_length, head_hash, tail_length, tail_hash FROM source`,
  );
}

async function expectHealed(before: DbRow[][]): Promise<void> {
  expect(await readRows()).toEqual(before);
  expect(await placesOf(bench, SECRET)).toEqual([]);
  expect((await verifyAll(bench)).problems).toEqual([]);
}

test("a message that was forgotten is healed as it was left: in its place, with its digest, and without content", async () => {
  await forgetMessages(uuid(4), uuid(5));
  const before = await readRows();
  await alter(
    `UPDATE message SET content = $secret, digest = 'x' WHERE message_uuid = $uuid;
     DELETE message WHERE message_uuid != $uuid; DELETE quarantine; UPDATE record SET content = 'x';
     UPDATE session SET forgotten_count = 7, message_count = 1, title = $secret`,
    { uuid: uuid(5), secret: SECRET },
  );
  expect((await verifyAll(bench)).problems).not.toEqual([]);
  const { status, healedRows } = (await bench.sync(FORCE)).get("gear")!;
  expect({ status, healedRows }).toEqual({ status: "healed", healedRows: 11 });
  await expectHealed(before);
  expect((await bench.sync(FORCE)).get("gear")?.status).toBe("unchanged");
});

test("a lost session row and checkpoint come back, with what was forgotten and with the sample of the file", async () => {
  await forgetMessages(uuid(1), uuid(4), uuid(5));
  const before = await readRows();
  await alter("DELETE session; DELETE source; DELETE message");
  expect((await bench.sync(FORCE)).get("gear")?.status).toBe("healed");
  await expectHealed(before);
  expect((await bench.sync()).get("gear")?.status).toBe("unchanged");
});

test("a message is healed as it was left where its file is gone", async () => {
  await forgetMessages(uuid(4), uuid(5));
  rmSync(join(bench.root, FILE));
  await bench.sync();
  const before = await readRows();
  await alter("DELETE message; UPDATE session SET forgotten_count = NONE");
  expect((await bench.sync(FORCE)).get("gear")?.status).toBe("healed");
  await expectHealed(before);
});

for (const where of ["there", "gone"]) {
  test(`a session that was forgotten is healed from what is left of it, and not read, where its file is ${where}`, async () => {
    await forgetIn(bench.context, "gear", { messages: null, reason: "a wish" });
    if (where === "gone") {
      rmSync(join(bench.root, FILE));
      await bench.sync();
    }
    const before = await readRows();
    await alter(
      `DELETE record; DELETE message WHERE message_uuid != $uuid; UPDATE message SET content = $secret;
       UPDATE session SET forgotten_at = NONE, title = $secret`,
      { uuid: uuid(5), secret: SECRET },
    );
    if (where === "there") bench.write(FILE, jsonl(...chain(9)));
    expect((await bench.sync(FORCE)).get("gear")).toMatchObject({ status: "healed", events: { message_added: 0 } });
    await expectHealed(before);
    expect((await bench.sync(FORCE)).get("gear")?.status).toBe(where === "there" ? "forgotten" : undefined);
  });
}

test("a tombstone that is lost cannot be healed, and nothing is written", async () => {
  await forgetMessages(uuid(5));
  await alter("REMOVE EVENT append_only ON TABLE forgotten; DELETE forgotten; DELETE message");
  const commits = await run(bench.store.db, "SELECT * FROM commit");
  await expect(bench.sync(FORCE)).rejects.toMatchObject({ code: "RIFF_STORE_DAMAGED" });
  expect(await run(bench.store.db, "SELECT * FROM commit")).toEqual(commits);
});

for (const call of ["commits", "events", "tombstones", "readArchive", "rowsBetween", "commit"] as const) {
  test(`what another writer forgets when a healing is at its first ${call} is no damage, and does not come back`, async () => {
    await alter("UPDATE message SET content = 'x'; DELETE content_part");
    const { context } = bench;
    let isFirst = true;
    const forgetFirst = async () => {
      if (!isFirst) return;
      isFirst = false;
      await forgetIn(context, "gear", { messages: new Set([uuid(4), uuid(5)]), reason: "a leaked key" });
    };
    bench.faults = (store) =>
      new Proxy<Store>(store, {
        get(target, name) {
          const value = target[name as keyof Store];
          if (typeof value !== "function") return value;
          if (name !== call) return value.bind(target);
          const original = (value as (...args: unknown[]) => unknown).bind(target);
          if (name === "commit" || name === "rowsBetween") {
            return async (...args: unknown[]) => {
              await forgetFirst();
              return original(...args);
            };
          }
          return async function* (...args: unknown[]) {
            await forgetFirst();
            yield* original(...args) as AsyncIterable<unknown>;
          };
        },
      });
    expect((await bench.sync(FORCE)).get("gear")?.status).toBe("healed");
    expect(isFirst).toBe(false);
    bench.faults = (store) => store;
    await expectHealed(await readRows());
    expect((await bench.sync(FORCE)).get("gear")?.status).toBe("unchanged");
  });
}
