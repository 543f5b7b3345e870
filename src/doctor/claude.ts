// How long Claude Code keeps its transcripts, and whether riffd has them before it deletes them.
import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Environment } from "../config/paths.ts";
import { systemCode, toError } from "../errors.ts";
import { type Check, ok, warning } from "./check.ts";
import { inCount } from "./measures.ts";
import type { Patient } from "./patient.ts";

const ID = "claude.cleanup";
/** Where its settings say nothing. */
const USUAL_DAYS = 30;
const DAY_MS = 24 * 60 * 60 * 1000;
/** A transcript this near to its end should be in the store. */
const NOTICE_DAYS = 3;

export async function checkClaude(patient: Patient): Promise<Check[]> {
  const file = settingsFile(patient.env);
  const days = readDays(file);
  if (typeof days !== "number") return [days];
  const told = `Claude Code deletes transcripts ${inCount(days, "day")} after they were last written`;
  if (days < 1) {
    return [
      warning(
        ID,
        `Claude Code keeps no transcripts (cleanupPeriodDays is ${days} in ${file}): what is gone before it is read is lost.`,
        "Set cleanupPeriodDays to 30 or more.",
      ),
    ];
  }
  const status = await patient.findStatus();
  if (status !== null) return [ok(ID, `${told}; the daemon has them long before`)];
  const due = await countDue(patient, days);
  if (due === 0) return [ok(ID, `${told}; none is due within ${NOTICE_DAYS} days`)];
  return [
    warning(
      ID,
      `${told}; ${inCount(due, "transcript")} ${due === 1 ? "is" : "are"} due within ${NOTICE_DAYS} days, and no daemon runs.`,
      "`riffd sync --all` has the store hold them; `riffd start` sees to it for good.",
    ),
  ];
}

function settingsFile({ CLAUDE_CONFIG_DIR }: Environment): string {
  return join(CLAUDE_CONFIG_DIR ? resolve(CLAUDE_CONFIG_DIR) : join(homedir(), ".claude"), "settings.json");
}

/** Days, or what keeps them from being read. */
function readDays(file: string): number | Check {
  try {
    const { cleanupPeriodDays = USUAL_DAYS } = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    if (typeof cleanupPeriodDays === "number") return cleanupPeriodDays;
    throw new Error("cleanupPeriodDays is no number");
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return USUAL_DAYS;
    return warning(
      ID,
      `How long Claude Code keeps transcripts is not known: ${file}: ${toError(thrown).message}`,
      "Correct the file; without it Claude Code keeps them for 30 days.",
    );
  }
}

async function countDue(patient: Patient, days: number): Promise<number> {
  const { transcripts } = await patient.transcripts();
  const limit = patient.now.getTime() - (days - NOTICE_DAYS) * DAY_MS;
  const times = await Promise.all(
    transcripts.map(({ path }) =>
      stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => null,
      ),
    ),
  );
  return times.filter((time) => time !== null && time < limit).length;
}
