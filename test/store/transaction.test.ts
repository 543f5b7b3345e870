import { afterAll, expect, test } from "vitest";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

test("statements that may run twice get through, however many write the same row at a time", async () => {
  const { database } = (await Workbench.create()).store;
  await database.run("DEFINE TABLE thing SCHEMALESS");
  const writers = Array.from({ length: 24 }, (_, i) => i);
  await Promise.all(
    writers.map((i) => database.run("UPSERT thing:shared SET writer = $i; SELECT * FROM thing", { i })),
  );
  const [writer] = await database.run<[number]>("SELECT VALUE writer FROM ONLY thing:shared");
  expect(writers).toContain(writer);
});
