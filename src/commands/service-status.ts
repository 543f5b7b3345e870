// How riffd service status tells of a service.
import type { ServiceState, ServiceStatus } from "../service/manager.ts";
import { plural } from "./output.ts";
import { exitCodeInWords } from "./service-readiness.ts";

export interface ToldService extends ServiceStatus {
  readonly file: string;
  /** Whether the file is what this riffd would write; true also where that cannot be told. */
  readonly isCurrent: boolean;
  readonly lingers: boolean | null;
}

const WORDS: Readonly<Record<ServiceState, string>> = {
  running: "running",
  starting: "starting: it reads what has changed, or waits for its store",
  stopping: "stopping",
  waiting: "ended, and will be started again",
  failed: "failed, and will not be started again until somebody has mended it",
  stopped: "stopped",
};

/** One fact a line, and what to do about it where something is to be done. */
export function statusLines({ file, isCurrent, lingers, ...status }: ToldService): string[] {
  const { state, pid, exitCode, restarts, isEnabled } = status;
  const hasEnded = state === "waiting" || state === "failed";
  return [
    `${WORDS[state]}${pid === null ? "" : ` (process ${pid})`}`,
    ...(hasEnded && exitCode !== null ? [`  it ended with ${exitCodeInWords(exitCode)}; \`riffd service logs\``] : []),
    ...(restarts ? [`  started again after a failure: ${plural(restarts, "time")}`] : []),
    ...(isEnabled ? [] : ["  not started by itself: `riffd service install` mends it"]),
    ...(lingers === false ? ["  ends when you log out: `loginctl enable-linger` keeps it"] : []),
    `  ${file}`,
    ...(isCurrent ? [] : ["  not as this riffd writes it: `riffd service install` replaces it"]),
  ];
}
