// A SurrealDB server that the configuration names: whether it can be reached, lets riffd in, and lets it write.
import { locationOf, type RemoteTarget } from "../config/store-target.ts";
import { RiffError, toError } from "../errors.ts";
import type { Database } from "../store/database.ts";
import type { Heads } from "../store/heads.ts";
import { openDatabase } from "../store/open.ts";
import { type Check, ok, problem } from "./check.ts";
import { checkContents, SHORT_PATIENCE } from "./contents.ts";
import type { Patient } from "./patient.ts";

export async function checkServer(patient: Patient, target: RemoteTarget, heads: Heads): Promise<Check[]> {
  const location = locationOf(target);
  const options = { readOnly: true, events: { away: () => {}, back: () => {} }, signal: patient.signal };
  let database: Database;
  try {
    database = await openDatabase(target, { ...options, patience: SHORT_PATIENCE });
  } catch (thrown) {
    if (!(thrown instanceof RiffError)) throw thrown;
    const { code, message, hint } = thrown;
    if (code !== "RIFF_CREDENTIALS_REFUSED") return [problem("server", message, hint)];
    return [ok("server", `${location} answers`), problem("server.signin", message, hint)];
  }
  try {
    const user = target.credentials === null ? "nobody" : `"${target.credentials.username}"`;
    const contents = await checkContents(patient, database, heads, { kind: "remote" });
    const isSetUp = contents.some(({ id, state }) => id === "store.schema" && state === "ok");
    return [
      ok("server", `${location} answers`),
      ok("server.signin", `signed in as ${user}`),
      ...contents,
      ...(isSetUp ? [await checkRights(database, user)] : []),
    ];
  } finally {
    await database.close();
  }
}

/** Tries a write that is never committed: what it throws tells whether the row was there. A denied one is left out silently. */
const TRY_WRITE = `
  BEGIN;
  LET $made = (CREATE host:⟨riffd-doctor⟩ SET name = 'riffd doctor', first_seen = time::now() RETURN VALUE id);
  IF array::len($made) = 1 { THROW 'riffd: may write' } ELSE { THROW 'riffd: denied' };
  COMMIT;`;

async function checkRights(database: Database, user: string): Promise<Check> {
  const error = await database.run(TRY_WRITE).then(() => new Error("it was not asked"), toError);
  if (error.message.includes("riffd: may write")) return ok("server.rights", `${user} may write`);
  return problem(
    "server.rights",
    `${user} may not write to the store: ${error.message.includes("riffd: denied") ? "the server left the row out" : error.message}`,
    "Use a user with the role EDITOR or OWNER in this database (SURREALDB_USER, SURREALDB_PASS).",
  );
}
