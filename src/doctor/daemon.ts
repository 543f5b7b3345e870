// The daemon: who has the lock, who answers on the socket, and what it says of itself.
import { existsSync, lstatSync, type Stats } from "node:fs";
import { join } from "node:path";
import { type Holder, readLock } from "../control/instance-lock.ts";
import type { DaemonStatus } from "../control/protocol.ts";
import { RiffError } from "../errors.ts";
import { type Check, ok, problem, warning } from "./check.ts";
import type { Patient } from "./patient.ts";

export async function checkDaemon(patient: Patient): Promise<Check[]> {
  const inTheWay = hindrances(patient);
  if (inTheWay.length > 0) return inTheWay;
  const holder = readLock(patient.settings.stateDir);
  const answer = await patient.daemonStatus().catch((thrown: unknown) => {
    if (thrown instanceof RiffError) return thrown;
    throw thrown;
  });
  if (answer instanceof RiffError) return checkAbsent(patient, holder, answer);
  return [...checkVersion(answer, patient.version), checkReady(answer), ...answer.problems.map(checkTold)];
}

/** What keeps every daemon from starting, and is not its own. */
function hindrances({ settings, socket }: Patient): Check[] {
  const found = (path: string, isRight: (stats: Stats) => boolean, what: string) => {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined || isRight(stats)) return [];
    const told = `${path} is there, and is no ${what}: no daemon can start.`;
    return [problem(`daemon.${what}`, told, "Look at what it is, and move it away.")];
  };
  return [
    ...found(lockOf(settings.stateDir), (stats) => stats.isDirectory(), "lock"),
    ...found(socket, (stats) => stats.isSocket(), "socket"),
  ];
}

function lockOf(stateDir: string): string {
  return join(stateDir, "riffd.lock");
}

async function checkAbsent(patient: Patient, holder: Holder | null, error: RiffError): Promise<Check[]> {
  const { settings, socket } = patient;
  if (holder !== null) {
    return [
      problem(
        "daemon",
        `Process ${holder.pid} has the lock since ${holder.since.toISOString()}, but does not answer: ${error.message}`,
        `It may be starting or ending: ask again in a moment. If it stays so, look at its log and end it with \`kill ${holder.pid}\`; what was committed is safe.`,
      ),
    ];
  }
  if (error.code !== "RIFF_DAEMON_NOT_RUNNING") return [problem("daemon", error.message, error.hint)];
  const stale = [lockOf(settings.stateDir), socket].filter((path) => existsSync(path));
  return [
    warning(
      "daemon",
      "No daemon is running: what Claude writes now is not kept until the next `riffd sync --all`.",
      (await isForAnother(patient))
        ? "The service is for another state folder, as `service.variables` tells below. For this one: `riffd start`."
        : "Start it: `riffd start`, or as a service with `riffd service install`.",
    ),
    ...(stale.length === 0
      ? []
      : [ok("daemon.lock", `left by a daemon that has ended, and no hindrance: ${stale.join(", ")}`)]),
  ];
}

async function isForAnother(patient: Patient): Promise<boolean> {
  const service = await patient.service();
  return service !== null && service.settings.stateDir !== patient.settings.stateDir;
}

function checkVersion({ version, pid }: DaemonStatus, mine: string): Check[] {
  const told = `process ${pid} answers`;
  if (version === mine) return [ok("daemon", `${told}, riffd ${version}`)];
  return [
    warning(
      "daemon",
      `${told}, but it is riffd ${version}, and this is ${mine}.`,
      "Start it again: `riffd service restart`, or `riffd stop` and `riffd start`.",
    ),
  ];
}

function checkReady({ ready, reasons, pipeline }: DaemonStatus): Check {
  const { lag, backlog } = pipeline;
  if (!ready) {
    return warning(
      "daemon.ready",
      `It is not ready: ${reasons.join("; ")}`,
      "`riffd status --watch` tells how it goes on.",
    );
  }
  const waiting = Object.values(backlog).reduce((sum, count) => sum + count, 0);
  return ok("daemon.ready", waiting === 0 ? "up to date" : `${waiting} files in work, ${lag.bytes} bytes behind`);
}

function checkTold({ message, hint, since }: DaemonStatus["problems"][number]): Check {
  return warning("daemon.told", `${message} (since ${since.toISOString()})`, hint);
}
