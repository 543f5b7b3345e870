import { afterAll, describe, expect, test, vi } from "vitest";
import { Releases } from "../../src/runtime/releases.ts";
import { openLog } from "../support/log.ts";
import { killRunning, startScript } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(() => {
  killRunning();
  return removeScratch();
});

function openReleases() {
  const log = openLog();
  return { log, releases: new Releases(log.logger), order: [] as string[] };
}

describe("Releases", () => {
  test("run in reverse, each after the one before, and once", async () => {
    const { releases, order } = openReleases();
    for (const name of ["store", "queue", "watcher"]) {
      releases.add(name, async () => {
        order.push(`${name} …`);
        await new Promise(setImmediate);
        order.push(name);
      });
    }
    await Promise.all([releases.release(), releases.release()]);
    await releases.release();
    expect(order).toEqual(["watcher …", "watcher", "queue …", "queue", "store …", "store"]);
  });

  test("go on when one fails, keep the first error, and log all of them", async () => {
    const { releases, order, log } = openReleases();
    releases.add("store", () => void order.push("store"));
    releases.add("queue", () => Promise.reject(new Error("second")));
    releases.add("watcher", () => {
      throw new Error("first");
    });
    await expect(releases.release()).rejects.toThrow("first");
    await expect(releases.release()).rejects.toThrow("first");
    expect(order).toEqual(["store"]);
    const failed = log.lines().filter(({ level }) => level === "error");
    expect(failed.map(({ resource, error }) => [resource, (error as Error).message])).toEqual([
      ["watcher", "first"],
      ["queue", "second"],
    ]);
  });

  test("do not wait for one that takes longer than it may", async () => {
    const { releases, order } = openReleases();
    releases.add("store", () => void order.push("store"));
    releases.add("watcher", () => new Promise(() => {}), 20);
    await expect(releases.release()).rejects.toMatchObject({
      code: "RIFF_DAEMON_UNRESPONSIVE",
      message: "Closing watcher took longer than 0.02 s.",
    });
    expect(order).toEqual(["store"]);
  });

  test("do not take a failure after the deadline for one that nobody caught", async () => {
    const { releases } = openReleases();
    const uncaught = vi.fn();
    process.on("unhandledRejection", uncaught);
    let fail = (_: Error) => {};
    releases.add("watcher", () => new Promise((_, reject) => (fail = reject)), 1);
    await expect(releases.release()).rejects.toMatchObject({ code: "RIFF_DAEMON_UNRESPONSIVE" });
    fail(new Error("late"));
    await new Promise(setImmediate);
    process.off("unhandledRejection", uncaught);
    expect(uncaught).not.toHaveBeenCalled();
  });

  test("close what opens while the others are being closed, and after", async () => {
    const { releases, order } = openReleases();
    releases.add("store", () => {
      order.push("store");
      releases.add("late", () => void order.push("late"));
    });
    await releases.release();
    releases.add("later", () => void order.push("later"));
    await releases.release();
    expect(order).toEqual(["store", "late", "later"]);
  });

  test("hold up nothing once all is closed", async () => {
    const tenMinutes = 600_000;
    const { code, stdout } = await startScript(
      scratchFolder(),
      `const { Releases } = await load("runtime/releases.js");
       const releases = new Releases({ debug: (_, message) => console.log(message) });
       releases.add("store", async () => {}, ${tenMinutes});
       await releases.release();`,
    ).ended;
    expect([code, stdout]).toEqual([0, "closed\n"]);
  });
});
