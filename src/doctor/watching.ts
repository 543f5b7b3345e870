// What the system lets riffd watch and open, against the folders there are.
import { readFileSync } from "node:fs";
import { readLock } from "../control/instance-lock.ts";
import { type Check, ok, problem, warning } from "./check.ts";
import { inCount } from "./measures.ts";
import type { Patient } from "./patient.ts";

export async function checkWatching(patient: Patient): Promise<Check[]> {
  const { settings, platform } = patient;
  const { folders } = await patient.transcripts();
  const watches = settings.daemon.poll
    ? [ok("watches", `none needed for ${inCount(folders.size, "folder")}: they are polled`)]
    : platform === "linux"
      ? checkInotify(folders.size, readLimit("max_user_watches"), readLimit("max_user_instances"))
      : [ok("watches", `${inCount(folders.size, "folder")}; this system has no limit of its own`)];
  return [...watches, checkDescriptors(holderOf(settings.stateDir))];
}

/** null: no daemon has the folder, or it cannot be told, which is told elsewhere. */
function holderOf(stateDir: string): number | null {
  try {
    return readLock(stateDir)?.pid ?? null;
  } catch {
    return null;
  }
}

/** All programs of a user share them: an editor alone may take tens of thousands. */
const SHARE = 2;
const LEAST_INSTANCES = 16;

/** A limit that is null is not known. */
export function checkInotify(folders: number, watches: number | null, instances: number | null): Check[] {
  const id = "watches";
  if (watches === null) return [ok(id, `${inCount(folders, "folder")}; the system tells no limit`)];
  const raise = `sudo sysctl fs.inotify.max_user_watches=${Math.max(524_288, 4 * folders)}`;
  const told = `${inCount(folders, "folder")} to watch, and the system allows a user ${inCount(watches, "watch").replace(/watchs$/, "watches")}`;
  const meanwhile = "Until then riffd finds what it cannot watch by scanning, once a minute.";
  const checks =
    folders > watches
      ? [problem(id, `${told}.`, `Raise it: ${raise} (and in /etc/sysctl.d). ${meanwhile}`)]
      : folders * SHARE > watches
        ? [warning(id, `${told}, which other programs need too.`, `Raise it: ${raise} (and in /etc/sysctl.d).`)]
        : [ok(id, told)];
  if (instances !== null && instances < LEAST_INSTANCES) {
    const more = "Raise it: sudo sysctl fs.inotify.max_user_instances=1024 (and in /etc/sysctl.d).";
    checks.push(warning("watches.instances", `The system allows a user only ${instances} programs that watch.`, more));
  }
  return checks;
}

function readLimit(name: string): number | null {
  try {
    return Number(readFileSync(`/proc/sys/fs/inotify/${name}`, "utf8"));
  } catch {
    return null;
  }
}

/** The engine's files, the watcher and the connections of clients. */
const LEAST_DESCRIPTORS = 1_024;

function checkDescriptors(daemon: number | null): Check {
  const ofDaemon = daemon === null ? null : descriptorsOf(daemon);
  const limit = ofDaemon ?? ownDescriptors();
  const whose = ofDaemon === null ? "this process" : "the daemon";
  if (limit >= LEAST_DESCRIPTORS) {
    return ok(
      "descriptors",
      `${whose} may open ${Number.isFinite(limit) ? inCount(limit, "file") : "any number of files"}`,
    );
  }
  return warning(
    "descriptors",
    `Only ${inCount(limit, "file")} may be open in ${whose}.`,
    `Raise it for what starts riffd: ulimit -n 65536, or LimitNOFILE=65536 in the service.`,
  );
}

/** What the daemon was started with may be another limit than this shell's. null: not known. */
function descriptorsOf(pid: number): number | null {
  try {
    return asLimit(/^Max open files\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))?.[1]);
  } catch {
    return null;
  }
}

function ownDescriptors(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: string | number } } };
  return asLimit(userLimits?.open_files?.soft);
}

/** "unlimited", and what is not told at all, is no limit. */
function asLimit(text: string | number | undefined): number {
  const limit = Number(text);
  return Number.isFinite(limit) ? limit : Number.POSITIVE_INFINITY;
}
