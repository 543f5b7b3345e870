// Rows of a generation that readers no longer see are removed, also when the process dies before it could.
import { afterAll, expect, test } from "vitest";
import { RiffError } from "../../src/errors.ts";
import type { Store } from "../../src/sync/store.ts";
import { chain, jsonl, SESSION, summary, uuid } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

test("a pass that dies between the turn to a new generation and the removal of the old rows leaves none behind", async () => {
  const bench = await Workbench.create();
  const path = `-p/${SESSION}.jsonl`;
  bench.write(path, jsonl(...chain(5), summary({ leaf: uuid(5) }), "{torn"));
  await bench.sync();
  bench.write(path, jsonl(...chain(3)));
  bench.faults = (store) =>
    new Proxy<Store>(store, {
      get(target, name) {
        if (name === "removeSuperseded") return () => Promise.reject(new RiffError("RIFF_STORE_IO", "died", ""));
        const value = target[name as keyof Store];
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  await expect(bench.sync()).rejects.toThrow("died");

  bench.faults = (store) => store;
  await bench.sync();
  expect(await dumpStore(bench.store)).toMatchObject([{ generation: 2, message_count: 3, removed: [{}, {}] }]);
  const counts = await bench.store.db
    .query<{ count: number }[][]>(
      `SELECT count() FROM message GROUP ALL; SELECT count() FROM record GROUP ALL;
       SELECT count() FROM quarantine GROUP ALL`,
    )
    .collect();
  expect(counts.map((rows) => rows[0]?.count ?? 0)).toEqual([5, 0, 0]);
});
