// The file that tells a service manager of riffd: it is there whole, or not at all.
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { systemCode, toError } from "../errors.ts";
import { serviceFailed } from "./manager.ts";

/** null: there is none. */
export function readServiceFile(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    if (systemCode(thrown) === "ENOENT") return null;
    throw unusable(path, thrown);
  }
}

/** Anybody may read it, as systemd wants: it holds no secret. */
export function writeServiceFile(path: string, text: string): void {
  const fresh = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(fresh, text);
    chmodSync(fresh, 0o644);
    renameSync(fresh, path);
  } catch (thrown) {
    rmSync(fresh, { force: true });
    throw unusable(path, thrown);
  }
}

export function removeServiceFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (thrown) {
    throw unusable(path, thrown);
  }
}

function unusable(path: string, thrown: unknown): Error {
  return serviceFailed(`The service's file ${path} cannot be used: ${toError(thrown).message}`, "Check who owns it.");
}
