import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Projects } from "../../src/source/projects.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

function lay(...paths: string[]): string {
  const root = scratchFolder();
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), "");
  }
  return root;
}

test("a path is what a scan says of it, in whatever project, however deep", async () => {
  const root = lay(
    "-p/a.jsonl",
    "-p/a/subagents/workflows/w/agent-1.jsonl",
    "-p/notes.txt",
    "-p/memory/x.jsonl",
    "b.jsonl",
  );
  const projects = new Projects({ projects: [root], include: [], exclude: [] });
  const { transcripts } = await projects.discover();
  expect(transcripts).toHaveLength(3);
  for (const transcript of transcripts) expect(projects.transcriptAt(transcript.path)).toEqual(transcript);
  for (const path of ["-p/notes.txt", "-p/memory/x.jsonl", "../other/-p/a.jsonl"]) {
    expect(projects.transcriptAt(join(root, path))).toBeNull();
  }
});

test("projects that are not read are nothing", async () => {
  const root = lay("-p/a.jsonl", "-secret/c.jsonl");
  const projects = new Projects({ projects: [root], include: [], exclude: ["-secret"] });
  expect((await projects.discover()).transcripts.map(({ stem }) => stem)).toEqual(["a"]);
  expect(projects.transcriptAt(join(root, "-secret/c.jsonl"))).toBeNull();
});

test("a root that is a link, or that came later, is known once it was read", async () => {
  const root = lay("-p/a.jsonl");
  const link = join(scratchFolder(), "link");
  const projects = new Projects({ projects: [link], include: [], exclude: [] });
  expect((await projects.discover()).transcripts).toEqual([]);
  symlinkSync(root, link);
  const { transcripts } = await projects.discover();
  expect(transcripts.map(({ path }) => path)).toEqual([join(root, "-p/a.jsonl")]);
  expect(projects.transcriptAt(join(root, "-p/a.jsonl"))).toEqual(transcripts[0]);
});
