// riffd doctor's checks, in the order in which they are told. One that fails is a problem of its own, and the others go on.
import { RiffError, toError } from "../errors.ts";
import { type Check, notLookedAt, problem } from "./check.ts";
import { checkClaude } from "./claude.ts";
import { checkClock } from "./clock.ts";
import { checkConfig } from "./config.ts";
import { checkDaemon } from "./daemon.ts";
import { checkDisk } from "./disk.ts";
import { checkFolders, stateFault } from "./folders.ts";
import type { Patient } from "./patient.ts";
import { checkRuntime } from "./runtime.ts";
import { checkService } from "./service.ts";
import { checkStore } from "./store.ts";
import { checkTranscripts } from "./transcripts.ts";
import { checkWatching } from "./watching.ts";

/** Looks at one group of things. May throw: that is a problem too. */
type Group = (patient: Patient) => Promise<Check[]> | Check[];

const GROUPS: Readonly<Record<string, Group>> = {
  runtime: checkRuntime,
  config: checkConfig,
  folders: checkFolders,
  transcripts: checkTranscripts,
  daemon: checkDaemon,
  service: checkService,
  store: checkStore,
  disk: checkDisk,
  watching: checkWatching,
  clock: checkClock,
  claude: checkClaude,
};

/** What cannot be looked at without the state folder: it would only say again, in other words, that this cannot be used. */
const OF_STATE: readonly string[] = ["daemon", "store", "disk"];

/** Everything there is to say, group by group as it is found. Writes nothing of the patient's. Never throws. */
export async function* examine(
  patient: Patient,
  groups: Readonly<Record<string, Group>> = GROUPS,
): AsyncGenerator<Check, void> {
  for (const [name, look] of Object.entries(groups)) {
    if (patient.signal.aborted) return;
    if (OF_STATE.includes(name) && stateFault(patient.settings) !== null) yield notLookedAt(name);
    else yield* await examineGroup(name, look, patient);
  }
}

async function examineGroup(name: string, look: Group, patient: Patient): Promise<Check[]> {
  try {
    return await look(patient);
  } catch (thrown) {
    const error = toError(thrown);
    const hint =
      error instanceof RiffError ? error.hint : "Correct what it says; if that is not possible, please report it.";
    return [problem(name, `This could not be looked at: ${error.message}`, hint)];
  }
}
