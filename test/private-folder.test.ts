import { chmodSync, mkdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createPrivateFolder } from "../src/private-folder.ts";
import { removeScratch, scratchFolder } from "./support/workbench.ts";

afterAll(removeScratch);

const modeOf = (dir: string) => statSync(dir).mode & 0o7777;

test("a folder is made for its owner alone, with all above it, and one that was open is closed", () => {
  const dir = join(scratchFolder(), "a", "b");
  createPrivateFolder(dir);
  expect([modeOf(join(dir, "..")), modeOf(dir)]).toEqual([0o700, 0o700]);
  const open = join(scratchFolder(), "open");
  mkdirSync(open);
  chmodSync(open, 0o755);
  createPrivateFolder(open);
  expect(modeOf(open)).toBe(0o700);
});

test("the folder for everybody's temporary files is refused, and stays as it is", () => {
  const before = modeOf(tmpdir());
  expect(() => createPrivateFolder(tmpdir())).toThrow(/it is for all users/);
  expect(modeOf(tmpdir())).toBe(before);
});
