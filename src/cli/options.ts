// What several commands take in the same way, and the examples that each of them has.
import { type Command, Option } from "commander";

/** Of every command that opens a store. */
export const STORE = [
  "--surrealdb-url <url>",
  "a SurrealDB server instead of the embedded store (also SURREALDB_URL)",
] as const;

export const SESSION = "a session id, a unique beginning of one, or the path of a .jsonl file";
export const SESSIONS = "session ids, unique beginnings of them, or paths of .jsonl files";

/** An option that may be given several times. */
export function many(flags: string, description: string): Option {
  return new Option(flags, `${description}; may be given several times`).argParser(collect).default([]);
}

/** The options that say which projects are read. */
export function projectOptions(): Option[] {
  return [
    many("--projects <dir>", "a projects folder, instead of ~/.claude/projects or the configured ones"),
    many("--include <glob>", "only projects with such a folder name, or path"),
    many("--exclude <glob>", "no projects with such a folder name, or path"),
  ];
}

/** An option with a closed set of values. Whoever runs the command says what is wrong with others. */
export function oneOf(option: Option, choices: readonly string[]): Option {
  option.argChoices = [...choices];
  return option;
}

/** Adds lines below a command's help: what to type, and what that does. */
export function addExamples(command: Command, examples: readonly (readonly [line: string, what: string])[]): void {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}   ${what}`.trimEnd());
  command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}
