// While a backup is being restored, a row among the schema's versions says so: no riffd, of whatever version, takes
// such a database for a store. It also holds how far the restore has come.
import { RecordId } from "surrealdb";
import { RiffError } from "../errors.ts";

/** No schema will ever have this version. */
export const RESTORING = 999_999;

export const RESTORE_MARK = new RecordId("schema_version", "restoring");

/** What a command is told that opens such a store. */
export function unfinishedRestore(): RiffError {
  return new RiffError(
    "RIFF_BACKUP_FAILED",
    "The store holds a part of a backup: its restore has not ended.",
    "Run `riffd restore-store` with the same backup again, which goes on where it stopped; or remove the store.",
  );
}
