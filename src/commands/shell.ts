// Commands for people to paste: quoted for the shell, and ids quoted for SurrealQL.
import { existsSync, realpathSync } from "node:fs";
import { delimiter, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Package folder: this file is in src/commands or dist/commands. */
const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** One word of a command line, as POSIX shells read it. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** `session:⟨id⟩`, whatever stands in the id. */
export function sessionLiteral(sessionId: string): string {
  return `session:⟨${sessionId.replaceAll("\\", "\\\\").replaceAll("⟩", "\\u{27E9}")}⟩`;
}

/** How the user of this process can call this riffd again from the folder he is in. */
export function programCommand(env: Readonly<Record<string, string | undefined>>, cwd: string): string {
  if (sameFile(cwd, PACKAGE)) return "npx .";
  const program = join(PACKAGE, "dist", "cli.js");
  const installed = (env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "" && !isForThisRun(folder))
    .some((folder) => sameFile(join(folder, "riffd"), program));
  return installed ? "riffd" : `node ${shellWord(program)}`;
}

/** Folders that npm puts into PATH for what it runs. */
function isForThisRun(folder: string): boolean {
  return folder.endsWith(join("node_modules", ".bin")) || folder.includes(`${sep}_npx${sep}`);
}

function sameFile(one: string, other: string): boolean {
  return existsSync(one) && existsSync(other) && realpathSync(one) === realpathSync(other);
}
