// Counts from outside what a riffd process does with files, by the system calls that it makes. Needs strace (Linux).
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DaemonRun, withDaemon } from "./daemon.ts";
import { hasCommand, runCliUnder, withFolder } from "./processes.ts";

export const NO_TRACER = "strace is missing: file accesses cannot be counted. Install it, and run this again.";

export interface FileAccess {
  readonly opens: number;
  readonly bytesRead: number;
}

export async function canTrace(): Promise<boolean> {
  return hasCommand("strace", "-f", "-o", "/dev/null", "true");
}

/** Runs `riffd …` and counts the accesses to files, by groups: the first of `groups` that a path matches counts. */
export async function traceCli<Group extends string>(
  stateDir: string,
  args: readonly string[],
  groups: Readonly<Record<Group, RegExp>>,
): Promise<Record<Group, FileAccess>> {
  return trace(groups, (tracer) => runCliUnder(tracer, stateDir, args));
}

/** The same of `riffd start`, from its start until it is ready and has stopped. */
export async function traceStart<Group extends string>(
  run: DaemonRun,
  groups: Readonly<Record<Group, RegExp>>,
): Promise<Record<Group, FileAccess>> {
  return trace(groups, async (under) => {
    await withDaemon({ ...run, under }, (daemon) => daemon.ready());
  });
}

async function trace<Group extends string>(
  groups: Readonly<Record<Group, RegExp>>,
  runUnder: (tracer: readonly string[]) => Promise<void>,
): Promise<Record<Group, FileAccess>> {
  return withFolder(async (dir) => {
    const calls = "trace=open,openat,read,pread64,readv,preadv,preadv2";
    // One file for each thread, so that no call is cut in two by another; -y names the file of each descriptor.
    await runUnder(["strace", "-ff", "-y", "-s", "0", "-e", calls, "-o", join(dir, "calls")]);
    const names = Object.keys(groups) as Group[];
    const counted = Object.fromEntries(names.map((name) => [name, { opens: 0, bytesRead: 0 }])) as Record<
      Group,
      { opens: number; bytesRead: number }
    >;
    for (const file of readdirSync(dir)) {
      for (const line of readFileSync(join(dir, file), "utf8").split("\n")) {
        const call = parseCall(line);
        if (call === null) continue;
        const name = names.find((group) => groups[group].test(call.path));
        if (name === undefined) continue;
        counted[name].opens += call.opens;
        counted[name].bytesRead += call.bytesRead;
      }
    }
    return counted;
  });
}

/** `openat(AT_FDCWD</tmp>, "/a/b.jsonl", O_RDONLY) = 17</a/b.jsonl>`, `pread64(17</a/b.jsonl>, ""..., 4096, 0) = 4096`. */
function parseCall(line: string): { path: string; opens: number; bytesRead: number } | null {
  const opened = /^open(?:at)?\(.* = \d+<(.*)>$/.exec(line);
  if (opened !== null) return { path: opened[1]!, opens: 1, bytesRead: 0 };
  const read = /^p?readv?(?:64|2)?\(\d+<(.*?)>, .* = (\d+)$/.exec(line);
  return read === null ? null : { path: read[1]!, opens: 0, bytesRead: Number(read[2]) };
}
