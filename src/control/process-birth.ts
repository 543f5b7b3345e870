// Tells a process from another that has its number later.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { systemCode } from "../errors.ts";

/** What a process shares with no other that ever had its number; null: it has ended, reaped or not. */
export function birthOf(pid: number): string | null {
  return process.platform === "linux" ? birthFromProc(pid) : birthFromPs(pid);
}

/** Ticks since the machine started, and which start that was. */
function birthFromProc(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name, in brackets, and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTime] = [fields[0], fields[19]];
    if (state === "Z" || state === "X" || startTime === undefined) return null;
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${startTime}`;
  } catch (thrown) {
    if (["ENOENT", "ESRCH"].includes(systemCode(thrown) ?? "")) return null;
    throw thrown;
  }
}

/** The same to the second, where there is no /proc. */
export function birthFromPs(pid: number): string | null {
  try {
    const answer = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
      timeout: 10_000,
    });
    const [, state = "", start = ""] = /^\s*(\S+)\s+(.*\S)/.exec(answer) ?? [];
    return start === "" || state.startsWith("Z") ? null : start;
  } catch (thrown) {
    // `ps` ends with 1 where there is no such process.
    if (thrown instanceof Error && "status" in thrown && thrown.status === 1) return null;
    throw thrown;
  }
}
