// The store: whether it can be opened, what is in it, and whether it is what this machine last wrote. An embedded one is asked
// by way of the daemon that has it open, else looked at in a copy; a server is read from.
import { resolveTarget } from "../config/store-target.ts";
import { RiffError } from "../errors.ts";
import { storeExists } from "../store/engine-files.ts";
import { Heads, headsKey } from "../store/heads.ts";
import { openDatabase, openStoreCopy } from "../store/open.ts";
import { type Check, ok, problem, warning } from "./check.ts";
import { checkContents, SHORT_PATIENCE } from "./contents.ts";
import { inCount } from "./measures.ts";
import type { Patient } from "./patient.ts";
import { checkServer } from "./server.ts";

export async function checkStore(patient: Patient): Promise<Check[]> {
  if (patient.configProblems.length > 0) {
    return [
      warning(
        "store",
        "Not looked at: which store is meant is not known.",
        "Correct the configuration, and ask again.",
      ),
    ];
  }
  const target = resolveTarget(patient.settings);
  const heads = Heads.read(patient.settings.stateDir, headsKey(target));
  if (target.kind === "remote") return checkServer(patient, target, heads);
  const { dir } = target;
  if (!storeExists(dir)) return [checkAbsent(dir, heads.size)];
  try {
    return await checkEmbedded(patient, dir, heads);
  } catch (thrown) {
    if (!(thrown instanceof RiffError)) throw thrown;
    if (thrown.code === "RIFF_STORE_LOCKED") {
      return [warning("store", `Not looked at: ${thrown.message}`, "Ask again when that has finished.")];
    }
    return [problem("store", thrown.message, thrown.hint)];
  }
}

/** `known`: sessions that this machine has written to it. */
function checkAbsent(dir: string, known: number): Check {
  if (known === 0) return ok("store", `${dir} is not there yet: the first sync makes it`);
  return problem(
    "store",
    `${dir} is gone, and this machine has written ${inCount(known, "session")} to it.`,
    "Restore a backup (`riffd restore-store`); `riffd sync --all` then reads what is still there as files.",
  );
}

async function checkEmbedded(patient: Patient, dir: string, heads: Heads): Promise<Check[]> {
  const status = await patient.findStatus();
  const atDaemon = status?.store.kind === "embedded" && status.store.location === `rocksdb://${dir}`;
  if (atDaemon && status.store.state === "opening") {
    return [warning("store", "Not looked at: the daemon is still opening it.", "Ask again in a moment.")];
  }
  const events = { away: () => {}, back: () => {} };
  const database = atDaemon
    ? await openDatabase(
        { kind: "daemon", socket: patient.socket, dir },
        { readOnly: true, events, signal: patient.signal, patience: SHORT_PATIENCE },
      )
    : await openStoreCopy({ kind: "embedded", dir });
  try {
    return await checkContents(patient, database, heads, { kind: atDaemon ? "daemon" : "copy", dir });
  } finally {
    await database.close();
  }
}
