// Room on the store's disk.
import { statfs } from "node:fs/promises";
import { storeExists } from "../store/engine-files.ts";
import { storeSize } from "../store/store-size.ts";
import { type Check, ok, problem, warning } from "./check.ts";
import { nearestThere } from "./folders.ts";
import { inBytes } from "./measures.ts";
import type { Patient } from "./patient.ts";

/** Below this the engine soon fails in the middle of its work. */
const LEAST_BYTES = 100_000_000;
/** Below this a busy week may fill it. */
const AMPLE_BYTES = 1_000_000_000;

export async function checkDisk({ settings }: Pick<Patient, "settings">): Promise<Check[]> {
  const { surrealdb, storeDir, stateDir } = settings;
  const folder = surrealdb.url === null ? storeDir : stateDir;
  const { bavail, bsize } = await statfs(nearestThere(folder), { bigint: true });
  const size = surrealdb.url === null && storeExists(storeDir) ? await storeSize(storeDir) : 0;
  return [checkRoom(folder, Number(bavail * bsize), size)];
}

/** `free`: bytes that riffd may use; `size`: of the store. */
export function checkRoom(folder: string, free: number, size: number): Check {
  const beside = size === 0 ? "" : `, and the store has ${inBytes(size)}`;
  if (free < LEAST_BYTES) {
    return problem(
      "disk",
      `The disk of ${folder} has only ${inBytes(free)} left${beside}.`,
      "Make room now: on a full disk the daemon ends. What was committed is safe.",
    );
  }
  if (free < Math.max(AMPLE_BYTES, size)) {
    return warning(
      "disk",
      `The disk of ${folder} has ${inBytes(free)} left${beside}.`,
      "Make room: forgetting writes the store anew beside the old one, and needs as much again.",
    );
  }
  return ok("disk", `${inBytes(free)} left${beside}`);
}
