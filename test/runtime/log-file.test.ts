import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { RiffError } from "../../src/errors.ts";
import { LogFile } from "../../src/runtime/log-file.ts";
import { createLogger } from "../../src/runtime/logger.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

function open(mostBytes: number, files = 3) {
  const folder = join(scratchFolder(), "logs");
  const path = join(folder, "riffd.log");
  const log = LogFile.open(path, { mostBytes, files });
  const texts = () =>
    Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
  return { folder, path, log, texts, write: (text: string) => log.write(Buffer.from(text)) };
}

describe("a log file", () => {
  test("is for its owner alone, and so is its folder, and each file that it becomes", () => {
    const before = process.umask(0);
    try {
      const { folder, log, write } = open(4);
      for (const line of ["one\n", "two\n", "three\n"]) write(line);
      log.close();
      const modes = readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o777);
      expect([statSync(folder).mode & 0o777, modes]).toEqual([0o700, [0o600, 0o600, 0o600]]);
    } finally {
      process.umask(before);
    }
  });

  test("becomes an earlier one when it is full, and the oldest goes", () => {
    const { log, write, texts } = open(8);
    for (let n = 1; n <= 7; n++) write(`${n}23\n`);
    log.close();
    expect(texts()).toEqual({ "riffd.log": "723\n", "riffd.log.1": "523\n623\n", "riffd.log.2": "323\n423\n" });
  });

  test("takes a line that is longer than a file, whole", () => {
    const { log, write, texts } = open(8);
    for (const line of ["1\n", "a very long line\n", "2\n"]) write(line);
    log.close();
    expect(texts()).toEqual({ "riffd.log": "2\n", "riffd.log.1": "a very long line\n", "riffd.log.2": "1\n" });
  });

  test("is not cut in the middle of a line that comes in pieces", () => {
    const { log, write, texts } = open(8);
    for (const piece of ["first\n", "sec", "ond\n"]) write(piece);
    log.close();
    expect(texts()).toEqual({ "riffd.log": "second\n", "riffd.log.1": "first\n" });
  });

  test("goes on where an earlier process stopped, and counts what that wrote", () => {
    const { log, path, write, texts } = open(8);
    write("123456\n");
    log.close();
    const again = LogFile.open(path, { mostBytes: 8, files: 3 });
    again.write(Buffer.from("7\n"));
    again.close();
    expect(texts()).toEqual({ "riffd.log": "7\n", "riffd.log.1": "123456\n" });
  });

  test("that was removed is made again once it is full", () => {
    const { log, path, write, texts } = open(4);
    write("one\n");
    rmSync(path);
    write("two\n");
    log.close();
    expect(texts()).toEqual({ "riffd.log": "two\n" });
  });

  test("goes on growing where it cannot be renamed", () => {
    const { folder, log, write, texts } = open(4);
    mkdirSync(join(folder, "riffd.log.1", "in the way"), { recursive: true });
    mkdirSync(join(folder, "riffd.log.2", "in the way"), { recursive: true });
    write("one\n");
    write("two\n");
    log.close();
    expect(() => texts()).toThrow(/EISDIR/);
    expect(readFileSync(join(folder, "riffd.log"), "utf8")).toBe("one\ntwo\n");
  });

  test("that cannot be made is a failure with what to do", () => {
    const folder = scratchFolder();
    writeFileSync(join(folder, "file"), "");
    const opening = () => LogFile.open(join(folder, "file", "riffd.log"));
    expect(opening).toThrow(RiffError);
    expect(opening).toThrow(expect.objectContaining({ code: "RIFF_STATE_UNWRITABLE" }));
  });
});

test("a logger writes JSON to a log file, through its redaction, and loses nothing when that is full", () => {
  const { log, texts } = open(2_000, 5);
  const logger = createLogger({ level: "info", format: "auto", colour: false, secrets: ["hunter2"], file: log });
  for (let n = 0; n < 30; n++) logger.info({ n }, "the password is hunter2");
  log.close();
  const files = Object.values(texts()).reverse();
  const lines = files
    .join("")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
  expect(lines.map(({ n }) => n)).toEqual([...Array(30).keys()]);
  expect(files.length).toBeGreaterThan(1);
  expect(files.join("")).not.toContain("hunter2");
});
