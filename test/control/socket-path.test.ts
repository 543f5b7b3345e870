import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { ControlClient } from "../../src/control/client.ts";
import { createSocketFolder, socketPath } from "../../src/control/socket-path.ts";
import { STATUS, startControl, TestDaemon } from "../support/controlling.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const folders = new Set<string>();
const REFUSED = expect.objectContaining({ code: "RIFF_STATE_UNWRITABLE" });

afterEach(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
afterAll(removeScratch);

/** A state folder whose path is too long for a socket's address, and the folder where its socket is instead. */
function farAway(): { state: string; folder: string } {
  const state = join(scratchFolder(), "far".repeat(40));
  mkdirSync(state);
  const folder = dirname(socketPath(state));
  folders.add(folder);
  return { state, folder };
}

test("the socket is in the state folder wherever its path fits into an address", () => {
  expect(socketPath("/home/somebody/.local/state/riffd")).toBe("/home/somebody/.local/state/riffd/riffd.sock");
  expect(socketPath(`/${"x".repeat(91)}`)).toBe(`/${"x".repeat(91)}/riffd.sock`);
  expect(socketPath(`/${"x".repeat(92)}`)).toMatch(/^\/tmp\/riffd-\d+-[0-9a-f]{16}\/riffd\.sock$/);
  // Bytes count, not characters.
  expect(socketPath(`/${"é".repeat(46)}`)).toMatch(/^\/tmp\//);
});

test("elsewhere it is in a folder of its own for each state folder, whichever way leads there", () => {
  const { state, folder } = farAway();
  const other = farAway();
  expect(folder).not.toBe(other.folder);
  const link = join(scratchFolder(), "link".repeat(30));
  symlinkSync(state, link);
  expect(dirname(socketPath(link))).toBe(folder);
  expect(lstatSync(folder, { throwIfNoEntry: false })).toBeUndefined();
});

test("a daemon far away is found", async () => {
  const { state, folder } = farAway();
  const { server } = await startControl({}, () => null, new TestDaemon(), socketPath(state));
  expect(lstatSync(folder).mode & 0o777).toBe(0o700);
  expect(await new ControlClient(socketPath(state)).status()).toEqual(STATUS);
  await server.close();
});

test("a folder that others could have made or may write to is refused by both ends", () => {
  const cases: [string, (folder: string) => void][] = [
    ["a link", (folder) => symlinkSync(scratchFolder(), folder)],
    ["a file", (folder) => writeFileSync(folder, "")],
    [
      "open to others",
      (folder) => {
        mkdirSync(folder);
        chmodSync(folder, 0o777);
      },
    ],
  ];
  for (const [what, make] of cases) {
    const { state, folder } = farAway();
    const path = socketPath(state);
    make(folder);
    expect(() => socketPath(state), what).toThrow(REFUSED);
    expect(() => createSocketFolder(path), what).toThrow(REFUSED);
  }
});

test.skipIf(process.getuid?.() !== 0)("a folder of another user's is refused by both ends", () => {
  const { state, folder } = farAway();
  const path = socketPath(state);
  mkdirSync(folder, { mode: 0o700 });
  chownSync(folder, 65_534, 65_534);
  expect(() => socketPath(state)).toThrow(REFUSED);
  expect(() => createSocketFolder(path)).toThrow(REFUSED);
});

test("one's own folder that others may read is closed to them", () => {
  const { state, folder } = farAway();
  mkdirSync(folder, { mode: 0o755 });
  createSocketFolder(socketPath(state));
  expect(lstatSync(folder).mode & 0o777).toBe(0o700);
});
