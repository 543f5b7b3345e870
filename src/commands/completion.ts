// riffd completion: a script for a shell, written from the commands that there are.
import type { Command } from "commander";
import { bashScript } from "../completion/bash.ts";
import { fishScript } from "../completion/fish.ts";
import { describeProgram, type Named } from "../completion/words.ts";
import { zshScript } from "../completion/zsh.ts";
import { TOPICS } from "./help-topics.ts";
import type { Output } from "./output.ts";

export type Shell = "bash" | "zsh" | "fish";

const SCRIPTS: Readonly<Record<Shell, (program: Named) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Prints the script of a shell. Returns the exit code. */
export function completionCommand(shell: Shell, program: Command, output: Output): number {
  const topics = Object.entries(TOPICS).map(([name, { about }]) => ({ name, about }));
  output.line(SCRIPTS[shell](describeProgram(program, topics)).trimEnd());
  return 0;
}
