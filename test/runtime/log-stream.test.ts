import { openSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { LogStream } from "../../src/runtime/log-stream.ts";

/** A disk that takes so many bytes, and then is full until it has more space. */
class Disk {
  text = "";
  space = Number.POSITIVE_INFINITY;
  failure = "ENOSPC";
  calls = 0;

  readonly write = ((_fd: number, bytes: Uint8Array) => {
    this.calls++;
    if (this.space === 0) throw Object.assign(new Error(this.failure), { code: this.failure });
    const taken = Math.min(this.space, bytes.length);
    this.text += Buffer.from(bytes.subarray(0, taken)).toString();
    this.space -= taken;
    return taken;
  }) as typeof import("node:fs").writeSync;
}

describe("LogStream", () => {
  test("loses what a full disk does not take, and says how much when there is space again", () => {
    const disk = new Disk();
    const lost: number[] = [];
    const stream = new LogStream(1, { write: disk.write, onLost: (count) => lost.push(count) });
    stream.write("one\n");
    disk.space = 2;
    for (const line of ["two\n", "three\n"]) stream.write(line);
    expect(lost).toEqual([]);
    disk.space = 1000;
    stream.write("four\n");
    expect(disk.text).toBe("one\ntw\nfour\n");
    expect(lost).toEqual([2]);
    stream.write("five\n");
    expect(lost).toEqual([2]);
  });

  test("gives up on a reader that has gone", () => {
    const disk = new Disk();
    const stream = new LogStream(1, { write: disk.write, onLost: () => {} });
    Object.assign(disk, { space: 0, failure: "EPIPE" });
    stream.write("one\n");
    disk.space = 1000;
    stream.write("two\n");
    expect([disk.text, disk.calls]).toEqual(["", 1]);
  });

  test("keeps lines for a slow reader in their order, up to a bound", () => {
    vi.useFakeTimers();
    try {
      const disk = new Disk();
      const lost: number[] = [];
      const stream = new LogStream(1, { write: disk.write, onLost: (count) => lost.push(count) });
      Object.assign(disk, { space: 3, failure: "EAGAIN" });
      const line = `${"x".repeat(1023)}\n`;
      for (let n = 0; n < 2048; n++) stream.write(line);
      disk.space = Number.POSITIVE_INFINITY;
      vi.runOnlyPendingTimers();
      expect(disk.text).toBe(line.repeat(1024));
      expect(lost).toEqual([1024]);
    } finally {
      vi.useRealTimers();
    }
  });

  test.skipIf(process.platform !== "linux")("does not throw where the system says that the disk is full", () => {
    const stream = new LogStream(openSync("/dev/full", "w"), { onLost: () => {} });
    expect(() => stream.write("one\n")).not.toThrow();
  });
});
