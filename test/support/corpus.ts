/** Real transcripts, which lie beside the project where they are at hand, and are never copied into it. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

export const CORPUS = fileURLToPath(new URL("../../../shared/corpus/", import.meta.url));
const MAKE_HOME = fileURLToPath(new URL("../../../shared/tools/make-home.mjs", import.meta.url));

export const hasCorpus = existsSync(CORPUS) && existsSync(MAKE_HOME);

/** Lays all of it below `home` as Claude Code has it. Returns the projects folder. */
export function makeHome(home: string): string {
  execFileSync(process.execPath, [MAKE_HOME, home], { stdio: "pipe" });
  return join(home, "projects");
}

/** Some of the sessions, from all over the corpus, each of 50 to 400 kB and with an id of its own. */
export function someTranscripts(count: number): string[] {
  const paths = (readdirSync(CORPUS, { recursive: true }) as string[])
    .filter((name) => /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.jsonl$/.test(name))
    .map((name) => join(CORPUS, name))
    .filter((path) => statSync(path).size > 50_000 && statSync(path).size < 400_000)
    .sort();
  const each = [...new Map(paths.map((path) => [basename(path), path])).values()];
  return Array.from({ length: count }, (_, i) => each[Math.floor((i * each.length) / count)]!);
}
