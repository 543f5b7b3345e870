// A second run over transcripts that have not changed: nothing of them may be opened.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { transcriptBytes, writeManySessions, writeTree } from "./data.ts";
import { runCli, withFolder } from "./processes.ts";
import { type BenchOptions, median, type Report } from "./report.ts";
import { canTrace, NO_TRACER, traceCli } from "./trace.ts";

const SESSIONS = 90;
const BYTES = 60_000_000;

/** With `--large`: as many files as a long-lived home folder has. */
const MANY_FILES = 10_000;

export async function benchUnchanged(options: BenchOptions): Promise<Report> {
  return withFolder(async (dir) => {
    const projects = options.projects ?? writeProjects(join(dir, "projects"), options.large);
    const { files, bytes } = transcriptBytes(projects);
    const stateDir = join(dir, "state");
    const args = ["sync", "--all", "--projects", projects, "--json"];
    options.note(`importing ${files} transcripts`);
    await runCli(stateDir, args);
    const wallMs: number[] = [];
    const unread = new Set<unknown>();
    for (let round = 0; round < options.rounds; round++) {
      const { usage, lines } = await runCli(stateDir, args);
      wallMs.push(usage.wallMs);
      for (const line of lines) if (line.summary !== true) unread.add(line.status);
    }
    const traced = (await canTrace()) ? await traceCli(stateDir, args, { transcripts: /\.jsonl$/ }) : null;
    rmSync(stateDir, { recursive: true });
    const result = {
      files,
      bytes,
      statuses: [...unread],
      wall_ms: Math.round(median(wallMs)),
      opens: traced?.transcripts.opens ?? null,
      bytes_read: traced?.transcripts.bytesRead ?? null,
    };
    return {
      tables: [
        {
          title: "a second run, nothing changed",
          columns: ["files", "wall ms", "transcripts opened", "bytes read"],
          rows: [[files, result.wall_ms, result.opens ?? "?", result.bytes_read ?? "?"]],
        },
      ],
      notes: [traced === null ? NO_TRACER : "budget: none opened"],
      result,
    };
  });
}

function writeProjects(dir: string, many: boolean): string {
  if (!many) return writeTree(dir, SESSIONS, BYTES).projects;
  writeManySessions(dir, MANY_FILES);
  return dir;
}
