// What is in a store's folder, before an engine is opened there. The engine itself refuses or destroys: test/commands.
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { refuseHeadless, storeExists } from "../../src/store/engine-files.ts";
import { listing } from "../support/listing.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

const FILES = {
  CURRENT: "MANIFEST-000005\n",
  "MANIFEST-000005": "manifest",
  "000004.log": "log",
  LOCK: "",
  LOG: "said",
};

let store: string;
beforeEach(() => {
  store = scratchFolder();
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(store, name), text);
});

const refusal = () => {
  try {
    refuseHeadless(store);
    return null;
  } catch (thrown) {
    return thrown;
  }
};

test("a store that is whole is there, and not refused", () => {
  expect(storeExists(store)).toBe(true);
  expect(refusal()).toBeNull();
});

test("where there is nothing, or a store whose making was broken off, there is none, and one can be made", () => {
  expect(storeExists(join(store, "nowhere"))).toBe(false);
  rmSync(join(store, "CURRENT"));
  rmSync(join(store, "000004.log"));
  expect(storeExists(store)).toBe(false);
  expect(refusal()).toBeNull();
});

test.each([
  ["its file CURRENT is missing", () => rmSync(join(store, "CURRENT"))],
  ["its file CURRENT names no manifest", () => writeFileSync(join(store, "CURRENT"), "")],
  ["its file MANIFEST-000005 is missing", () => renameSync(join(store, "MANIFEST-000005"), join(store, "away"))],
])("data to which no file leads is a store, which is refused: %s", (what, harm) => {
  harm();
  const before = listing(store);
  expect(storeExists(store)).toBe(true);
  expect(refusal()).toMatchObject({ code: "RIFF_STORE_DAMAGED", message: expect.stringContaining(what) });
  expect(listing(store)).toEqual(before);
});
