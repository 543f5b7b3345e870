import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { EXIT_CODES } from "../../src/errors.ts";
import { assistantMessage, chain, jsonl, userMessage, uuid } from "../support/builders.ts";
import { killRunning, query, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const state = join(scratchFolder(), "state");
const projects = join(scratchFolder(), "projects");
const place = (name: string) => join(projects, "-p", `${name}.jsonl`);

/** Bytes of every kind: a byte order mark, NUL bytes, no UTF-8, CRLF, and a last line that has no end. */
const ODD = Buffer.concat([
  Buffer.from([0xef, 0xbb, 0xbf]),
  jsonl(...chain(3)),
  Buffer.from([0, 0, 0xff, 0xfe, 0x0d, 0x0a]),
  Buffer.from('{"type":"user","text":"ü'),
]);
const FIRST = jsonl(...chain(4, { from: 50 }));
const SECOND = jsonl(...chain(2, { from: 50 }), userMessage({ uuid: uuid(70), parent: uuid(51) }));
/** Several segments. */
const LARGE = jsonl(
  ...Array.from({ length: 3000 }, (_, i) =>
    assistantMessage({
      uuid: uuid(1000 + i),
      parent: i === 0 ? null : uuid(999 + i),
      text: `${i} ${"cog ".repeat(200)}`,
    }),
  ),
);

beforeAll(async () => {
  write("odd", ODD);
  write("gear", FIRST);
  write("large", LARGE);
  await sync();
  write("gear", SECOND);
  await sync();
  rmSync(place("odd")); // the archive is all that is left of it
});

function write(name: string, bytes: Buffer): void {
  mkdirSync(dirname(place(name)), { recursive: true });
  writeFileSync(place(name), bytes);
  const hourAgo = Date.now() / 1000 - 3600;
  utimesSync(place(name), hourAgo, hourAgo);
}

async function sync(): Promise<void> {
  expect((await riffd(state, ["sync", "--all", "--projects", projects])).code).toBe(0);
}

const exportTo = (file: string, ...args: string[]) => riffd(state, ["export", ...args, "-o", file]);

describe("riffd export", () => {
  test("gives back a file byte for byte, with rights for its owner alone", async () => {
    const file = join(scratchFolder(), "odd.jsonl");
    const { code, stdout, stderr } = await exportTo(file, "odd");
    expect(readFileSync(file).equals(ODD)).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(stdout).toBe("");
    expect(stderr).toContain(`✓ odd: ${ODD.length.toLocaleString("en-US")} bytes`);
    expect(code).toBe(0);
    expect(readdirSync(dirname(file))).toEqual(["odd.jsonl"]);
  });

  test("writes to stdout as fast as it is read", async () => {
    const child = spawn(process.execPath, [CLI, "export", place("large")], {
      env: { ...process.env, RIFFD_STATE_DIR: state },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) {
      chunks.push(chunk as Buffer);
      if (chunks.length % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(Buffer.concat(chunks).equals(LARGE)).toBe(true);
    expect(await ended).toBe(0);
  });

  test("ends without a word when its reader goes away", async () => {
    const child = spawn(
      "bash",
      ["-c", `"$0" "$1" export large | head -c 1000 | wc -c; echo "\${PIPESTATUS[0]}"`, process.execPath, CLI],
      {
        env: { ...process.env, RIFFD_STATE_DIR: state },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    const text = { stdout: "", stderr: "" };
    child.stdout.on("data", (data) => (text.stdout += data));
    child.stderr.on("data", (data) => (text.stderr += data));
    await new Promise((resolve) => child.on("close", resolve));
    expect(text).toEqual({ stdout: "1000\n0\n", stderr: "" });
  });

  test("gives back what a file was before it was rewritten", async () => {
    const folder = scratchFolder();
    await exportTo(join(folder, "now"), "gear");
    await exportTo(join(folder, "then"), "gear", "--generation", "1");
    expect(readFileSync(join(folder, "now")).equals(SECOND)).toBe(true);
    expect(readFileSync(join(folder, "then")).equals(FIRST)).toBe(true);
  });

  test("names the generations there are when asked for another", async () => {
    for (const asked of ["3", "first"]) {
      const { code, stdout, stderr } = await riffd(state, ["export", "gear", "--generation", asked]);
      expect(stdout).toBe("");
      expect(stderr).toContain(`Error: Session gear has no generation ${asked}. It has:`);
      expect(stderr).toContain(`  1  ${FIRST.length.toLocaleString("en-US")} bytes\n`);
      expect(stderr).toContain(`  2  ${SECOND.length.toLocaleString("en-US")} bytes (the current one)\n`);
      expect(code).toBe(EXIT_CODES.RIFF_EXPORT_FAILED);
    }
  });

  test("does not know sessions that are not there", async () => {
    const { code, stderr } = await riffd(state, ["export", "wheel"]);
    expect(stderr).toContain('There is no session "wheel"');
    expect(code).toBe(EXIT_CODES.RIFF_SESSION_NOT_FOUND);
  });

  test("replaces a file only when told to", async () => {
    const file = join(scratchFolder(), "there.jsonl");
    writeFileSync(file, "mine");
    const refused = await exportTo(file, "gear");
    expect(refused.stderr).toBe(
      `Error: There is already a file ${file}.\nTry: Choose another name with -o, or replace it with --force.\n`,
    );
    expect(refused.code).toBe(EXIT_CODES.RIFF_EXPORT_FAILED);
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect((await exportTo(file, "gear", "--force")).code).toBe(0);
    expect(readFileSync(file).equals(SECOND)).toBe(true);
  });

  test("never replaces what is no regular file", async () => {
    const folder = scratchFolder();
    const { code, stderr } = await exportTo(folder, "gear", "--force");
    expect(stderr).toContain(`${folder} is not a regular file.`);
    expect(code).toBe(EXIT_CODES.RIFF_EXPORT_FAILED);
  });

  test("says so when the folder of the file is not there", async () => {
    const { code, stderr } = await exportTo(join(scratchFolder(), "no", "file"), "gear");
    expect(stderr).toMatch(/^Error: Cannot write .*ENOENT/);
    expect(code).toBe(EXIT_CODES.RIFF_EXPORT_FAILED);
  });
});

describe("a damaged archive", () => {
  test("leaves no file, not even a part of one", async () => {
    const file = join(scratchFolder(), "large.jsonl");
    await query(
      state,
      "RETURN 1; OPTION IMPORT; UPDATE source_segment:['large', 1, 0].. SET hash = '0000000000000000' WHERE record::id(id)[2] > 1000000",
    );
    const { code, stderr } = await exportTo(file, "large");
    expect(stderr).toContain("does not match its hash");
    expect(code).toBe(EXIT_CODES.RIFF_STORE_DAMAGED);
    expect(readdirSync(dirname(file))).toEqual([]);
  });
});
