import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { discover, transcriptAt } from "../../src/source/discover.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

let root: string;
beforeEach(() => {
  root = scratchFolder();
});

function lay(...paths: readonly string[]): void {
  for (const path of paths) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "");
  }
}

/** The paths of all transcripts that are found, below the root. */
async function found(...roots: readonly string[]): Promise<string[]> {
  const { transcripts } = await discover(roots.length === 0 ? [root] : roots);
  return transcripts.map(({ path }) => path.slice(root.length + 1));
}

test("reads no project that is not wanted, at whatever depth, and tells which it skipped", async () => {
  lay(`-p/${S}.jsonl`, `-p/${S}/subagents/agent-a1.jsonl`, `-secret/${S}.jsonl`, `-secret/-p/x.jsonl`, "stray.jsonl");
  const { transcripts, folders, skipped, problems } = await discover([root], (name) => name === "-p" || name === S);
  expect(transcripts.map(({ path }) => path.slice(root.length + 1)).sort()).toEqual(
    [`-p/${S}.jsonl`, `-p/${S}/subagents/agent-a1.jsonl`, "stray.jsonl"].sort(),
  );
  expect([...skipped]).toEqual([join(root, "-secret")]);
  expect(folders.has(join(root, "-secret"))).toBe(false);
  expect(problems).toEqual([]);
});

/** Runs as a user who may not read everything, as root may. */
async function asNobody<T>(body: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return body();
  process.seteuid?.(65534);
  try {
    return await body();
  } finally {
    process.seteuid?.(0);
  }
}

const S = "5e551000-0000-4000-8000-000000000001";

describe("transcriptAt", () => {
  test.each<[string, object | null]>([
    [`-p/${S}.jsonl`, { project: "-p", stem: S, kind: "main", parentSession: null, parentIsClaimed: false }],
    [
      `-p/${S}/subagents/agent-a1b2c3d.jsonl`,
      { project: "-p", stem: "agent-a1b2c3d", kind: "agent", parentSession: S, parentIsClaimed: false },
    ],
    [
      `-p/${S}/subagents/workflows/wf_1/agent-a1.jsonl`,
      { project: "-p", stem: "agent-a1", kind: "agent", parentSession: S, parentIsClaimed: false },
    ],
    [
      `-p/${S}/subagents/agent-acompact-4d5e6f.jsonl`,
      { stem: "agent-acompact-4d5e6f", kind: "agent", parentSession: S },
    ],
    [
      "-p/agent-a1b2c3d.jsonl",
      { project: "-p", stem: "agent-a1b2c3d", kind: "agent", parentSession: null, parentIsClaimed: true },
    ],
    ["lying-about.jsonl", { project: ".", stem: "lying-about", kind: "main" }],
    ["-p/notes.jsonl", { stem: "notes", kind: "main" }],
    ["-p/two.dots.jsonl", { stem: "two.dots" }],
    [`-p/${S}/subagents/workflows/wf_1/journal.jsonl`, null],
    ["-p/journal.jsonl", null],
    [`-p/${S}/subagents/notes.jsonl`, null],
    [`-p/${S}/subagents/agent-a1.meta.json`, null],
    [`-p/${S}/tool-results/toolu_01.jsonl`, null],
    [`-p/${S}/workflows/wf_1.jsonl`, null],
    ["-p/memory/facts.jsonl", null],
    ["-p/sessions-index.json", null],
    ["-p/.jsonl", null],
    [`-p/${S}.jsonl.bak`, null],
    [`-p/${S}.JSONL`, null],
  ])("%s", (path, expected) => {
    const transcript = transcriptAt("/home/ada/.claude/projects", `/home/ada/.claude/projects/${path}`);
    if (expected === null) expect(transcript).toBeNull();
    else expect(transcript).toMatchObject(expected);
  });
});

describe("discover", () => {
  test("finds sessions and subagents of all layouts, in the order of their paths, and nothing else", async () => {
    lay(
      "-b/two.jsonl",
      "-a/one.jsonl",
      "-a/agent-old.jsonl",
      "-a/one/subagents/agent-a1.jsonl",
      "-a/one/subagents/agent-a1.meta.json",
      "-a/one/subagents/workflows/wf_1/agent-a2.jsonl",
      "-a/one/subagents/workflows/wf_1/journal.jsonl",
      "-a/one/workflows/wf_1.json",
      "-a/one/workflows/agent-a3.jsonl",
      "-a/one/tool-results/toolu_1.txt",
      "-a/one/tool-results/toolu_2.jsonl",
      "-a/memory/MEMORY.md",
      "-a/memory/log.jsonl",
      "-a/sessions-index.json",
    );
    expect(await found()).toEqual([
      "-a/agent-old.jsonl",
      "-a/one.jsonl",
      "-a/one/subagents/agent-a1.jsonl",
      "-a/one/subagents/workflows/wf_1/agent-a2.jsonl",
      "-b/two.jsonl",
    ]);
  });

  test("finds the subagents of a session whose own file is gone", async () => {
    lay(`-a/${S}/subagents/agent-a1.jsonl`);
    const { transcripts } = await discover([root]);
    expect(transcripts).toMatchObject([{ kind: "agent", parentSession: S }]);
  });

  test("names the folders that were read, so that what is missing from them is gone", async () => {
    lay("-a/one/subagents/agent-a1.jsonl", "-a/one/tool-results/x.txt");
    const { folders } = await discover([root]);
    expect([...folders].sort()).toEqual([root, join(root, "-a"), join(root, "-a/one"), join(root, "-a/one/subagents")]);
  });

  test("follows no links below a root: neither to files nor to folders", async () => {
    lay("-a/one.jsonl", "elsewhere/two.jsonl");
    mkdirSync(join(root, "projects/-a"), { recursive: true });
    symlinkSync(join(root, "-a/one.jsonl"), join(root, "projects/-a/one.jsonl"));
    symlinkSync(join(root, "elsewhere"), join(root, "projects/-b"));
    symlinkSync(join(root, "projects"), join(root, "projects/-a/loop"));
    expect(await found(join(root, "projects"))).toEqual([]);
  });

  test("follows a root that is a link, and reads each root once, however it is named", async () => {
    lay("projects/-a/one.jsonl");
    symlinkSync(join(root, "projects"), join(root, "link"));
    expect(await found(join(root, "link"), join(root, "projects"), join(root, "projects/."))).toEqual([
      "projects/-a/one.jsonl",
    ]);
  });

  test("reads a root inside another root once, as a part of the outer one", async () => {
    lay("-a/one.jsonl", "-ab/two.jsonl");
    const { transcripts } = await discover([join(root, "-a"), root]);
    expect(transcripts.map(({ project, stem }) => [project, stem])).toEqual([
      ["-a", "one"],
      ["-ab", "two"],
    ]);
  });

  test("tells roots apart of which one's name only begins like the other's", async () => {
    lay("-a/-p/one.jsonl", "-ab/-p/two.jsonl");
    expect(await found(join(root, "-a"), join(root, "-ab"))).toEqual(["-a/-p/one.jsonl", "-ab/-p/two.jsonl"]);
  });

  test("reports a root that is not there, and goes on with the others", async () => {
    lay("-a/one.jsonl");
    const { transcripts, problems } = await discover([join(root, "nowhere"), root]);
    expect(transcripts).toHaveLength(1);
    expect(problems).toMatchObject([{ code: "RIFF_PROJECTS_MISSING" }]);
    expect(problems[0]!.message).toContain(join(root, "nowhere"));
  });

  test("reports a root that is a file", async () => {
    lay("-a/one.jsonl");
    const { transcripts, problems } = await discover([join(root, "-a/one.jsonl")]);
    expect(transcripts).toEqual([]);
    expect(problems).toMatchObject([{ code: "RIFF_FILE_UNREADABLE" }]);
  });

  test("reports a folder that cannot be read, goes on, and does not say that it was read", async () => {
    lay("-a/one.jsonl", "-b/two.jsonl");
    chmodSync(root, 0o755);
    chmodSync(join(root, "-a"), 0o000);
    const { transcripts, folders, problems } = await asNobody(() => discover([root]));
    chmodSync(join(root, "-a"), 0o700);
    expect(transcripts.map(({ stem }) => stem)).toEqual(["two"]);
    expect(problems).toMatchObject([{ code: "RIFF_FILE_UNREADABLE" }]);
    expect(folders.has(join(root, "-a"))).toBe(false);
  });

  test("takes a folder for no transcript, whatever its name", async () => {
    lay("-a/one.jsonl/two.jsonl");
    expect(await found()).toEqual(["-a/one.jsonl/two.jsonl"]);
  });

  test("finds nothing in an empty folder, and that is no problem", async () => {
    expect(await discover([root])).toMatchObject({ transcripts: [], problems: [] });
  });
});
