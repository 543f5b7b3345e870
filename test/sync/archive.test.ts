import { afterAll, expect, test } from "vitest";
import { chain, jsonl } from "../support/builders.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

test("the archive can be read from any offset, also right behind a short segment that stands alone", async () => {
  const bench = await Workbench.create();
  bench.stepLimits = { bytes: 512 * 1024, rows: 2000 };
  const all = chain(1130);
  for (const length of [1100, 1110, 1120, 1130]) {
    bench.write("-p/s.jsonl", jsonl(...all.slice(0, length)));
    await bench.sync();
  }
  const bytes = jsonl(...all);
  const keyframes = [];
  for await (const page of bench.store.segments("s", 1)) keyframes.push(...page.map(({ keyframe }) => keyframe));
  expect(new Set(keyframes).size).toBe(2); // the first append is too far behind the import to go on from it
  for (const from of [0, 300_000, keyframes.at(-1)!, bytes.length - 6000, bytes.length - 1]) {
    const parts = [];
    for await (const chunk of bench.store.readArchive("s", 1, from, bytes.length)) parts.push(chunk);
    expect(Buffer.concat(parts).equals(bytes.subarray(from))).toBe(true);
  }
});
