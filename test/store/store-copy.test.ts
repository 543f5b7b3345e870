// Copies of a store's folder: consistent, private, and gone afterwards. The files are stand-ins: nothing here reads them.
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { copyStore } from "../../src/store/store-copy.ts";
import { listing } from "../support/listing.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

/** What another process does to the store, as soon as a file of it has been copied. */
const meanwhile = vi.hoisted(() => ({ copied: (_name: string): void => {} }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const copyFileSync: typeof fs.copyFileSync = (from, to, mode) => {
    fs.copyFileSync(from, to, mode);
    meanwhile.copied(basename(String(from)));
  };
  return { ...fs, copyFileSync };
});

afterAll(removeScratch);

const temporary = process.env.TMPDIR;
let store: string;
let place: string;
beforeEach(() => {
  store = join(scratchFolder(), "store");
  mkdirSync(store);
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(store, name), text);
  place = scratchFolder();
  process.env.TMPDIR = place;
  meanwhile.copied = () => {};
});
afterEach(() => {
  if (temporary === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = temporary;
});

const FILES = {
  CURRENT: "MANIFEST-000005\n",
  "MANIFEST-000005": "manifest",
  "OPTIONS-000007": "options",
  IDENTITY: "identity",
  "000004.log": "write-ahead log",
  "000008.sst": "table",
  "000009.blob": "blob",
  LOCK: "",
  LOG: "what the engine did",
  "LOG.old.1700000000": "what it did before",
};
const NEEDED = ["000004.log", "000008.sst", "000009.blob", "CURRENT", "IDENTITY", "MANIFEST-000005", "OPTIONS-000007"];

describe("a copy", () => {
  test("holds what the engine needs, and not its lock; tables are links, all else is not", async () => {
    const before = listing(dirname(store));
    const copy = await copyStore(store);
    expect(readdirSync(copy.dir).sort()).toEqual(NEEDED);
    for (const name of NEEDED) {
      expect(readFileSync(join(copy.dir, name), "utf8")).toBe(FILES[name as keyof typeof FILES]);
      const linked = statSync(join(copy.dir, name)).ino === statSync(join(store, name)).ino;
      expect([name, linked]).toEqual([name, /sst|blob/.test(name)]);
    }
    // What an engine does to it: appends, drops tables, and a file beside it.
    appendFileSync(join(copy.dir, "000004.log"), "more");
    rmSync(join(copy.dir, "000008.sst"));
    writeFileSync(join(copy.dir, "..", ".store-owner"), "1");
    expect(statSync(dirname(copy.dir)).mode & 0o777).toBe(0o700);
    copy.remove();
    copy.remove();
    expect(readdirSync(place)).toEqual([]);
    expect(listing(dirname(store))).toEqual(before);
  });

  test("is made beside the store where tables cannot be linked from the folder for temporary files", async ({
    skip,
  }) => {
    const elsewhere = "/dev/shm";
    if (!existsSync(elsewhere) || statSync(elsewhere).dev === statSync(store).dev) skip("no second file system");
    process.env.TMPDIR = elsewhere;
    const copy = await copyStore(store);
    expect(dirname(dirname(copy.dir))).toBe(dirname(store));
    expect(statSync(join(copy.dir, "000008.sst")).ino).toBe(statSync(join(store, "000008.sst")).ino);
    copy.remove();
    expect(readdirSync(dirname(store))).toEqual(["store"]);
  });

  test("is taken again when the store is written to meanwhile", async () => {
    meanwhile.copied = (name) => {
      if (name !== "MANIFEST-000005") return;
      meanwhile.copied = () => {};
      appendFileSync(join(store, "000004.log"), ", longer");
      rmSync(join(store, "000008.sst"));
      writeFileSync(join(store, "000010.sst"), "merged");
    };
    const copy = await copyStore(store);
    expect(readdirSync(copy.dir).sort()).toEqual(NEEDED.with(1, "000009.blob").with(2, "000010.sst"));
    expect(readFileSync(join(copy.dir, "000004.log"), "utf8")).toBe("write-ahead log, longer");
    copy.remove();
  });

  test("is taken again when a file goes while it is taken", async () => {
    meanwhile.copied = () => {
      meanwhile.copied = () => {};
      rmSync(join(store, "000008.sst"));
    };
    const copy = await copyStore(store);
    expect(readdirSync(copy.dir)).not.toContain("000008.sst");
    copy.remove();
  });

  test("is refused when the store is written to all the time", async () => {
    writeFileSync(join(store, "..", ".store-owner"), "4711 2026-11-01T09:30:00.000Z\n");
    meanwhile.copied = () => appendFileSync(join(store, "000004.log"), "x");
    const refused = copyStore(store, 120);
    await expect(refused).rejects.toMatchObject({ code: "RIFF_STORE_LOCKED" });
    await expect(refused).rejects.toThrow("process 4711");
    expect(readdirSync(place)).toEqual([]);
  });

  test("that a process left behind is taken away a day later", async () => {
    const [old, recent] = [join(place, ".riffd-copy-old"), join(place, ".riffd-copy-new")];
    for (const folder of [old, recent, join(place, "other")]) mkdirSync(join(folder, "store"), { recursive: true });
    const dayAgo = Date.now() / 1000 - 25 * 3600;
    for (const folder of [old, join(place, "other")]) utimesSync(folder, dayAgo, dayAgo);
    (await copyStore(store)).remove();
    expect(readdirSync(place).sort()).toEqual([".riffd-copy-new", "other"]);
  });

  test("goes with a process that ends without removing it", () => {
    const module = new URL("../../src/store/store-copy.ts", import.meta.url).pathname;
    const script = `import { copyStore } from ${JSON.stringify(module)};
      console.log((await copyStore(${JSON.stringify(store)})).dir);
      process.exit(0);`;
    const file = join(place, "leave.mts");
    writeFileSync(file, script);
    const dir = execFileSync(process.execPath, ["--import", "tsx", file], { encoding: "utf8" }).trim();
    expect(dir.startsWith(place)).toBe(true);
    expect(readdirSync(place).filter((name) => name.startsWith(".riffd"))).toEqual([]);
  });
});
