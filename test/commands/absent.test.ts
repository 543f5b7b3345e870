// Paths that lead through a file, where a folder should be: told as what they are, by each command that takes a path.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ErrorCode, EXIT_CODES } from "../../src/errors.ts";
import { killRunning, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples/projects/", import.meta.url));

let state: string;
let through: string;
beforeAll(async () => {
  state = scratchFolder();
  const file = join(scratchFolder(), "file");
  writeFileSync(file, "");
  through = join(file, "beyond");
  expect((await riffd(state, ["sync", "--all", "--projects", EXAMPLES])).code).toBe(0);
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

interface Case {
  readonly code: ErrorCode;
  args(path: string): string[];
  env?(path: string): Record<string, string>;
}

test.each<Case>([
  { code: "RIFF_BACKUP_FAILED", args: (path) => ["backup", path] },
  { code: "RIFF_BACKUP_FAILED", args: (path) => ["restore-store", path] },
  { code: "RIFF_EXPORT_FAILED", args: (path) => ["export", "f92beda8", "-o", path] },
  { code: "RIFF_SESSION_NOT_FOUND", args: (path) => ["export", `${path}.jsonl`] },
  { code: "RIFF_SESSION_NOT_FOUND", args: (path) => ["sync", `${path}.jsonl`, "--projects", EXAMPLES] },
  { code: "RIFF_PROJECTS_MISSING", args: (path) => ["sync", "--all", "--projects", path] },
  { code: "RIFF_STATE_UNWRITABLE", args: () => ["verify"], env: (path) => ({ RIFFD_STORE_DIR: path }) },
  {
    code: "RIFF_STATE_UNWRITABLE",
    args: () => ["sync", "--all", "--projects", EXAMPLES],
    env: (path) => ({ RIFFD_STATE_DIR: path }),
  },
  {
    code: "RIFF_STATE_UNWRITABLE",
    args: () => ["start", "--projects", EXAMPLES],
    env: (path) => ({ RIFFD_STATE_DIR: path }),
  },
  { code: "RIFF_DAEMON_NOT_RUNNING", args: () => ["status"], env: (path) => ({ RIFFD_STATE_DIR: path }) },
  { code: "RIFF_DAEMON_NOT_RUNNING", args: () => ["stop"], env: (path) => ({ RIFFD_SOCKET: path }) },
  { code: "RIFF_CONFIG_INVALID", args: () => ["sync", "--all"], env: (path) => ({ RIFFD_CONFIG: path }) },
])("$code is the end of a command whose path leads through a file (%#)", async ({ code, args, env }) => {
  const ended = await riffd(state, args(through), { env: env?.(through) ?? {} });
  expect([ended.code, ended.stdout]).toEqual([EXIT_CODES[code], ""]);
  expect(ended.stderr).toMatch(/^Error: [^\n]+\n(?: .+\n)*Try: .+\n$/);
});
