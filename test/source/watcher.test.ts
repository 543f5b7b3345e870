import { execFile } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { discover } from "../../src/source/discover.ts";
import { type WatchFolder, watchFolder } from "../../src/source/watch-folder.ts";
import { createWatcher } from "../../src/source/watcher.ts";
import { scriptArgs } from "../support/riffd.ts";
import { appendAndHear, closeWatchers, eventually, lay, silence, Told, watching } from "../support/watching.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterEach(closeWatchers);
afterEach(() => void vi.unstubAllEnvs());
afterAll(removeScratch);

let root: string;
beforeEach(() => {
  root = join(scratchFolder(), "projects");
  mkdirSync(root);
});

const S = "5e551000-0000-4000-8000-000000000001";

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: what the system says`), { code });
}

describe("a file", () => {
  test("is told at or after its last write, of however many close together", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const [, told] = await watching(root);
    const handle = openSync(path, "a");
    for (let pair = 0; pair < 30; pair++) {
      writeSync(handle, "{}\n");
      // The subject of this test: another write when the system has told of the first.
      await sleep(5);
      writeSync(handle, "{}\n");
      const before = told.changes.length;
      await eventually(() => expect(told.changes.length).toBeGreaterThan(before));
    }
    closeSync(handle);
    expect(new Set(told.changes)).toEqual(new Set([path]));
  });

  test("is told when it appears, is replaced by rename, moves and vanishes", async () => {
    const other = join(lay(root, "-q", "other.jsonl"), "..");
    const [, told] = await watching(root);
    const path = lay(root, "-p", `${S}.jsonl`);
    await eventually(() => expect(told.changes).toContain(path));

    told.changes.length = 0;
    writeFileSync(`${path}.tmp`, "{}\n{}\n");
    renameSync(`${path}.tmp`, path);
    await eventually(() => expect(new Set(told.changes)).toEqual(new Set([path])));

    told.changes.length = 0;
    const moved = join(other, `${S}.jsonl`);
    renameSync(path, moved);
    await eventually(() => expect(new Set(told.changes)).toEqual(new Set([path, moved])));

    told.changes.length = 0;
    unlinkSync(moved);
    await eventually(() => expect(new Set(told.changes)).toEqual(new Set([moved])));
    expect(told.missedTimes).toBe(0);
  });

  test("that is no transcript, or a link, is not told", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const [, told] = await watching(root);
    lay(root, "-p", "journal.jsonl");
    lay(root, "-p", "sessions-index.json");
    lay(root, "-p", S, "subagents", "notes.jsonl");
    symlinkSync(path, join(root, "-p", "link.jsonl"));
    const last = lay(root, "-q", "last.jsonl");
    await eventually(() => expect(told.changes).toContain(last));
    expect(new Set(told.changes)).toEqual(new Set([last]));
  });

  test("is told whatever the environment wants of chokidar", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    vi.stubEnv("CHOKIDAR_USEPOLLING", "1");
    const [, told] = await watching(root);
    await appendAndHear(told, path);
  });

  test("that was there from the start is not told until it changes", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    lay(root, "-p", "quiet.jsonl");
    const [, told] = await watching(root);
    await appendAndHear(told, path);
    expect(new Set(told.changes)).toEqual(new Set([path]));
  });
});

describe("a folder", () => {
  test("that appears deep, with files at once, is told and watched", async () => {
    const [, told] = await watching(root);
    const deep = lay(root, "-p", S, "subagents", "workflows", "wf_1", "agent-a1.jsonl");
    await eventually(() => expect(told.changes).toContain(deep));
    await appendAndHear(told, deep);
    const beside = lay(dirname(deep), "agent-a2.jsonl");
    await appendAndHear(told, beside);
  });

  test("among hundreds that are made at once is told, and so are later appends", async () => {
    const [watcher, told] = await watching(root);
    const paths = Array.from({ length: 300 }, (_, n) => lay(root, `-p${n}`, S, "subagents", "agent-a1.jsonl"));
    await eventually(() => expect(new Set(told.changes)).toEqual(new Set(paths)));
    await eventually(() => expect(watcher.status().folders).toBe(901));
    told.changes.length = 0;
    for (const path of paths) appendFileSync(path, "{}\n");
    await eventually(() => expect(new Set(told.changes)).toEqual(new Set(paths)));
  });

  test("that moves is told at its new place and looked for at the old one", async () => {
    lay(root, "-p", S, "subagents", "agent-a1.jsonl");
    mkdirSync(join(root, "-q"));
    const [watcher, told] = await watching(root);
    renameSync(join(root, "-p", S), join(root, "-q", S));
    const moved = join(root, "-q", S, "subagents", "agent-a1.jsonl");
    await eventually(() => expect(told.changes).toContain(moved));
    await eventually(() => expect(told.missedTimes).toBeGreaterThan(0));
    await appendAndHear(told, moved);
    expect(watcher.status().folders).toBe(5);
  });

  test("that another takes the place of is watched no longer, and the other is", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const [watcher, told] = await watching(root);
    for (let round = 0; round < 20; round++) {
      rmSync(join(root, "-p"), { recursive: true });
      lay(root, "-p", `${S}.jsonl`);
      await eventually(() => expect(told.missedTimes).toBeGreaterThan(round));
      await appendAndHear(told, path);
    }
    expect(watcher.status().folders).toBe(2);
  });

  test("that is deleted is not watched any more, and its files are told", async () => {
    const path = lay(root, "-p", S, "subagents", "agent-a1.jsonl");
    const [watcher, told] = await watching(root);
    rmSync(join(root, "-p"), { recursive: true });
    await eventually(() => expect(watcher.status().folders).toBe(1));
    expect(told.changes).toContain(path);
  });

  test("of an excluded project, or that holds no transcripts, is neither watched nor told", async () => {
    lay(root, "-secret", `${S}.jsonl`);
    lay(root, "-p", S, "tool-results", "x.jsonl");
    lay(root, "-p", "memory", "x.jsonl");
    const [watcher, told] = await watching(root, { wanted: (name) => !name.startsWith("-secret") });
    expect(watcher.status().folders).toBe(3);
    appendFileSync(join(root, "-secret", `${S}.jsonl`), "{}\n");
    lay(root, "-secret2", `${S}.jsonl`);
    lay(root, "-p", S, "workflows", "x.jsonl");
    const last = lay(root, "-q", "last.jsonl");
    await eventually(() => expect(told.changes).toContain(last));
    expect(new Set(told.changes)).toEqual(new Set([last]));
    expect(watcher.status().folders).toBe(4);
  });
});

describe("a root", () => {
  test("that is a link is told by its real path, as discover does", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const link = join(dirname(root), "link");
    symlinkSync(root, link);
    const [, told] = await watching(link);
    await appendAndHear(told, path);
    const { transcripts } = await discover([link]);
    expect([...new Set(told.changes)]).toEqual(transcripts.map((transcript) => transcript.path));
  });

  test("that is a link to another folder from now on is scanned and watched there", async () => {
    const link = join(dirname(root), "link");
    symlinkSync(root, link);
    const [watcher, told] = await watching(link);
    const path = lay(dirname(root), "other", "-p", `${S}.jsonl`);
    unlinkSync(link);
    symlinkSync(join(dirname(root), "other"), link);
    await eventually(() => expect(told.missedTimes).toBeGreaterThan(0));
    await appendAndHear(told, path);
    expect(watcher.status()).toMatchObject({ roots: [{ path: link, present: true }], folders: 2 });
  });

  test("that lies in another is watched once", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const [watcher, told] = await watching(root, { roots: [root, join(root, "-p"), root] });
    expect(watcher.status().folders).toBe(2);
    await appendAndHear(told, path);
  });

  test("that is missing is told once, and taken up when it is made", async () => {
    const missing = join(root, "later", "projects");
    const [watcher, told] = await watching(root, { roots: [missing, root] });
    expect(told.troubles).toEqual([expect.objectContaining({ kind: "root", path: missing })]);
    expect(watcher.status().roots).toEqual([
      { path: missing, present: false },
      { path: root, present: true },
    ]);
    expect(watcher.status().troubles).toEqual(told.troubles.map((one) => ({ ...one, since: expect.any(Date) })));

    rmSync(root, { recursive: true });
    await eventually(() => expect(told.troubles).toHaveLength(2));
    const path = lay(missing, "-p", `${S}.jsonl`);
    await eventually(() => expect(told.recoveries).toHaveLength(2));
    await eventually(() => expect(told.missedTimes).toBeGreaterThan(0));
    expect(watcher.status().troubles).toEqual([]);
    await appendAndHear(told, path);
    expect(told.troubles).toHaveLength(2);
  });

  test("that is deleted and made again is scanned and watched again", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const [, told] = await watching(root);
    for (let round = 0; round < 5; round++) {
      const before = told.missedTimes;
      rmSync(root, { recursive: true });
      lay(root, "-p", `${S}.jsonl`);
      await eventually(() => expect(told.missedTimes).toBeGreaterThan(before));
      await appendAndHear(told, path);
    }
  });

  test("that another takes the place of is found out at once where the system tells", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const [, told] = await watching(root, { rootCheckMs: 3_600_000 });
    const other = join(dirname(root), "other");
    lay(other, "-p", `${S}.jsonl`);
    renameSync(root, join(dirname(root), "away"));
    renameSync(other, root);
    await eventually(() => expect(told.missedTimes).toBeGreaterThan(0));
    await appendAndHear(told, path);
    expect(told.troubles).toEqual([]);
  });

  test("that another takes the place of, untold by the system, is scanned and watched again", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const unsaid: WatchFolder = (folder, events) =>
      watchFolder(folder, { ...events, happened: (kind, name) => name !== "projects" && events.happened(kind, name) });
    const [, told] = await watching(root, { watchFolder: unsaid });
    const other = join(dirname(root), "other");
    lay(other, "-p", `${S}.jsonl`);
    renameSync(root, join(dirname(root), "away"));
    renameSync(other, root);
    await eventually(() => expect(told.missedTimes).toBeGreaterThan(0));
    await appendAndHear(told, path);
  });

  test("that cannot be read is told once, and taken up when it can", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    chmodSync(dirname(root), 0o755);
    chmodSync(root, 0);
    await asNobody(async () => {
      const [watcher, told] = await watching(root);
      expect(told.troubles).toEqual([expect.objectContaining({ kind: "root", path: root })]);
      expect(told.troubles[0]!.message).toContain("EACCES");
      expect(watcher.status().roots).toEqual([{ path: root, present: false }]);
      asRoot(() => chmodSync(root, 0o755));
      await eventually(() => expect(told.missedTimes).toBe(1));
      expect(told.recoveries).toEqual(told.troubles);
      asRoot(() => appendFileSync(path, "{}\n"));
      await eventually(() => expect(told.changes).toContain(path));
      await closeWatchers();
    });
  });
});

describe("what the system refuses", () => {
  const many = (folder: string) =>
    Array.from({ length: 90 }, (_, n) => lay(folder, `-p${n}`, S, "subagents", "agent-a1.jsonl"));

  test.each(["ENOSPC", "EMFILE"])("is one trouble, whatever comes of it (%s), until it ends", async (code) => {
    const [path] = many(root);
    let isFull = true;
    let refusals = 0;
    const [watcher, told] = await watching(root, {
      watchFolder: (folder, events) => {
        if (!isFull || folder === root) return watchFolder(folder, events);
        refusals++;
        throw systemError(code);
      },
    });
    await eventually(() => expect(refusals).toBeGreaterThan(811));
    await eventually(() => expect(told.missedTimes).toBeGreaterThan(3));
    expect(told.troubles).toEqual([
      { kind: "limit", path: null, message: expect.stringContaining(code), hint: expect.stringContaining("inotify") },
    ]);
    expect(watcher.status()).toMatchObject({ mode: "scanning", folders: 1, troubles: told.troubles });

    isFull = false;
    await eventually(() => expect(told.recoveries).toEqual(told.troubles));
    expect(watcher.status()).toMatchObject({ mode: "watching", folders: 271, troubles: [] });
    await appendAndHear(told, path!);
    expect(told.troubles).toHaveLength(1);
  });

  test("of watches it gave before is one trouble, and they are tried again", async () => {
    const paths = many(root);
    const given: ((error: Error) => void)[] = [];
    const [watcher, told] = await watching(root, {
      watchFolder: (folder, events) => {
        given.push(events.failed);
        return watchFolder(folder, events);
      },
    });
    for (let time = 0; time < 7; time++) for (const failed of [...given]) failed(systemError("ENOSPC"));
    expect(told.troubles).toHaveLength(1);
    expect(watcher.status().mode).toBe("scanning");
    await eventually(() => expect(told.recoveries).toHaveLength(1));
    expect(watcher.status()).toMatchObject({ mode: "watching", folders: 271 });
    expect(told.missedTimes).toBeGreaterThan(0);
    for (const path of paths) await appendAndHear(told, path);
  });

  test("once nothing is left is scanned for, while what is watched is still told", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    let left = 2;
    const [watcher, told] = await watching(root, {
      watchFolder: (folder, events) => {
        if (left === 0) throw systemError("ENOSPC");
        left--;
        return watchFolder(folder, events);
      },
    });
    const beyond = lay(root, "-q", `${S}.jsonl`);
    await eventually(() => expect(told.troubles).toHaveLength(1));
    await eventually(() => expect(told.missedTimes).toBeGreaterThan(1));
    expect(watcher.status()).toMatchObject({ mode: "scanning", folders: 2 });
    await appendAndHear(told, path);
    rmSync(dirname(beyond), { recursive: true });
    await eventually(() => expect(told.recoveries).toHaveLength(1));
    expect(watcher.status()).toMatchObject({ mode: "watching", folders: 2 });
  });

  test("for want of descriptors is one trouble of a real process, which ends when there are some", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const { stdout } = await inProcess(
      `
      import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
      import { setTimeout as sleep } from "node:timers/promises";
      const root = ${JSON.stringify(root)};
      const told = [];
      const tell = (what) => { told.push(what); process.stderr.write(what + "\\n"); };
      let scans = 0;
      const watcher = createWatcher(
        { roots: [root], wanted: () => true, mode: "auto", rootCheckMs: 10, scanMs: 20, retryMs: 20 },
        {
          changed: () => tell("changed"),
          missed: () => scans++,
          troubled: ({ kind }) => tell("troubled: " + kind),
          recovered: ({ kind }) => tell("recovered: " + kind),
        },
      );
      await watcher.start();
      const transcript = openSync(${JSON.stringify(path)}, "a");
      const taken = [];
      let folders = 2;
      // Whoever else gives one back gives it to nobody: all are taken anew for each folder.
      while (told.length === 0) {
        try { for (;;) taken.push(openSync("/dev/null")); } catch {}
        mkdirSync(root + "/-q" + folders++);
        await sleep(20);
      }
      while (scans < 10) await sleep(5);
      for (const fd of taken) closeSync(fd);
      while (told.length === 1) await sleep(5);
      writeSync(transcript, "{}\\n");
      while (told.length === 2) await sleep(5);
      console.log(JSON.stringify([told, watcher.status().folders === folders]));
      await watcher.close();`,
      "ulimit -n 100",
    );
    expect(JSON.parse(stdout)).toEqual([["troubled: limit", "recovered: limit", "changed"], true]);
  });

  test("for any other reason is told as a failure, and tried again", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    let failures = 3;
    const [watcher, told] = await watching(root, {
      watchFolder: (folder, events) => {
        if (folder === dirname(path) && failures-- > 0) throw systemError("EIO");
        return watchFolder(folder, events);
      },
    });
    expect(told.troubles).toEqual([expect.objectContaining({ kind: "failure", path: dirname(path) })]);
    expect(watcher.status().mode).toBe("scanning");
    await eventually(() => expect(told.recoveries).toEqual(told.troubles));
    expect(watcher.status().mode).toBe("watching");
    await appendAndHear(told, path);
  });

  test("for want of rights is told, and does not make riffd scan for what it cannot read", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const readable = lay(root, "-q", `${S}.jsonl`);
    chmodSync(dirname(root), 0o755);
    chmodSync(dirname(path), 0);
    await asNobody(async () => {
      const [watcher, told] = await watching(root, { retryMs: 3_600_000 });
      expect(told.troubles).toEqual([expect.objectContaining({ kind: "failure", path: dirname(path) })]);
      expect(watcher.status()).toMatchObject({ mode: "watching", folders: 2 });
      asRoot(() => appendFileSync(readable, "{}\n"));
      await eventually(() => expect(told.changes).toContain(readable));
      asRoot(() => chmodSync(dirname(path), 0o755));
      await eventually(() => expect(told.recoveries).toEqual(told.troubles));
      expect(told.changes).toContain(path);
      await closeWatchers();
    });
  });
});

describe("polling", () => {
  const noWatches: WatchFolder = () => {
    throw systemError("EIO");
  };

  test("finds what appears, changes and vanishes, and watches nothing", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const excluded = lay(root, "-secret", `${S}.jsonl`);
    const [watcher, told] = await watching(root, {
      mode: "poll",
      watchFolder: noWatches,
      wanted: (name) => name !== "-secret",
    });
    expect(watcher.status()).toEqual({
      mode: "polling",
      roots: [{ path: root, present: true }],
      folders: 0,
      troubles: [],
    });
    appendFileSync(excluded, "{}\n");
    await appendAndHear(told, path);
    const deep = lay(root, "-p", S, "subagents", "workflows", "wf_1", "agent-a1.jsonl");
    await eventually(() => expect(told.changes).toContain(deep));
    told.changes.length = 0;
    rmSync(join(root, "-p", S), { recursive: true });
    await eventually(() => expect(new Set(told.changes)).toEqual(new Set([deep])));
    expect(told.changes).not.toContain(excluded);
  });

  test("takes up a root that comes late, or comes back", async () => {
    rmSync(root, { recursive: true });
    const [, told] = await watching(root, { mode: "poll", watchFolder: noWatches });
    expect(told.troubles).toHaveLength(1);
    for (let round = 1; round <= 3; round++) {
      const path = lay(root, "-p", `${S}.jsonl`);
      await eventually(() => expect(told.recoveries).toHaveLength(round));
      await eventually(() => expect(told.missedTimes).toBe(round));
      await appendAndHear(told, path);
      rmSync(root, { recursive: true });
      await eventually(() => expect(told.troubles).toHaveLength(round + 1));
    }
  });
});

describe("on macOS", () => {
  const silentFiles: WatchFolder = (folder, events) =>
    watchFolder(folder, { ...events, happened: (kind, name) => kind === "rename" && events.happened(kind, name) });

  test("appends that the system does not tell are found, in files new and old", async () => {
    const old = lay(root, "-p", "old.jsonl");
    const [watcher, told] = await watching(root, {
      platform: "darwin",
      watchFolder: silentFiles,
      pollMs: 3_600_000,
    });
    expect(watcher.status().mode).toBe("watching");
    await appendAndHear(told, old);
    const path = lay(root, "-p", S, "subagents", "agent-a1.jsonl");
    await eventually(() => expect(told.changes).toContain(path));
    const handle = openSync(path, "a");
    for (let line = 0; line < 5; line++) {
      writeSync(handle, "{}\n");
      const before = told.changes.length;
      await eventually(() => expect(told.changes.slice(before)).toContain(path));
    }
    closeSync(handle);
  });

  test("files that have been quiet for long are found, too, if the system is silent", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const [, told] = await watching(root, { platform: "darwin", watchFolder: silence, hotForMs: 1 });
    await appendAndHear(told, path);
  });

  test("elsewhere no file is polled", async () => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const [, told] = await watching(root, { watchFolder: silence, pollMs: 1, hotMs: 1 });
    const [, toldOnMacos] = await watching(root, { watchFolder: silence, pollMs: 1, hotMs: 1, platform: "darwin" });
    await appendAndHear(toldOnMacos, path);
    expect(told.changes).toEqual([]);
  });
});

describe("closing", () => {
  test.each(["auto", "poll"] as const)("may be done twice, and nothing is told afterwards (%s)", async (mode) => {
    const path = lay(root, "-p", `${S}.jsonl`);
    const [watcher, told] = await watching(root, { mode });
    const [, stillOpen] = await watching(root, { mode });
    await Promise.all([watcher.close(), watcher.close()]);
    await watcher.close();
    lay(root, "-q", `${S}.jsonl`);
    await appendAndHear(stillOpen, path);
    rmSync(root, { recursive: true });
    await eventually(() => expect(stillOpen.troubles).toHaveLength(1));
    expect(told).toMatchObject({ changes: [], troubles: [], recoveries: [], missedTimes: 0 });
  });

  test("while it starts is the end, too", async () => {
    const told = new Told();
    const roots = [root, join(root, "nowhere")];
    const watcher = createWatcher({ roots, wanted: () => true, mode: "auto" }, told);
    const started = watcher.start();
    await watcher.close();
    await started;
    expect(told.troubles).toEqual([]);
    expect(watcher.status().folders).toBe(0);
  });

  test("lets the process end, also while it starts, in every mode", async () => {
    lay(root, "-p", `${S}.jsonl`);
    const { stdout } = await inProcess(`
      const listener = { changed() {}, missed() {}, troubled() {}, recovered() {} };
      for (const mode of ["auto", "poll"]) for (const platform of ["linux", "darwin"]) for (const early of [true, false]) {
        const roots = [${JSON.stringify(root)}, "/nowhere"];
        const watcher = createWatcher({ roots, wanted: () => true, mode, platform }, listener);
        const started = watcher.start();
        if (!early) await started;
        await watcher.close();
        await started;
      }
      console.log("closed");`);
    expect(stdout).toBe("closed\n");
  });
});

/** Runs a program that uses `createWatcher`, as it is built, in a process of its own, after a command of the shell. */
function inProcess(program: string, before = ":"): Promise<{ stdout: string }> {
  const whole = `const { createWatcher } = await load("source/watcher.js");\n${program}`;
  const command = ["-c", `${before} && exec "$0" "$@"`, process.execPath, ...scriptArgs(whole)];
  return promisify(execFile)("sh", command, { timeout: 100_000 });
}

/** Runs as a user who may not read everything, as root may. */
async function asNobody(body: () => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) return body();
  process.seteuid?.(65534);
  try {
    await body();
  } finally {
    process.seteuid?.(0);
  }
}

function asRoot(body: () => void): void {
  const before = process.geteuid!();
  if (process.getuid!() === 0) process.seteuid!(0);
  body();
  process.seteuid!(before);
}
