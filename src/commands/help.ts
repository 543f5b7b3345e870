// riffd help: a page on a topic, or what a command takes.
import type { Command } from "commander";
import { RiffError } from "../errors.ts";
import { readTopic, TOPICS } from "./help-topics.ts";
import { renderMarkdown } from "./markdown.ts";
import type { Output } from "./output.ts";
import { styleFor } from "./style.ts";

/** Lines of a page are no longer, however wide the terminal is. */
const READABLE = 100;

/** Prints it; nothing asked: what there is. Returns the exit code. Throws RIFF_USAGE. */
export function helpCommand(words: readonly string[], program: Command, output: Output): number {
  const [name] = words;
  if (name === undefined) {
    program.outputHelp();
    return 0;
  }
  const page = words.length === 1 ? readTopic(name) : null;
  if (page !== null) {
    const style = styleFor(process.stdout, process.env);
    const columns = Math.min(READABLE, process.stdout.columns || READABLE);
    for (const line of renderMarkdown(page, style, columns)) output.line(line);
    if (findCommand(program, words) !== null) output.line(`\nriffd ${name} --help tells what the command takes.`);
    return 0;
  }
  const command = findCommand(program, words);
  if (command === null) throw unknown(words.join(" "));
  command.outputHelp();
  return 0;
}

function findCommand(program: Command, words: readonly string[]): Command | null {
  return words.reduce<Command | null>(
    (command, word) =>
      command?.commands.find((child) => child.name() === word || child.aliases().includes(word)) ?? null,
    program,
  );
}

function unknown(words: string): RiffError {
  return new RiffError(
    "RIFF_USAGE",
    `There is neither a topic nor a command "${words}".`,
    `Topics are ${Object.keys(TOPICS).join(", ")}; \`riffd help\` lists the commands too.`,
  );
}
