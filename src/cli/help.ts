// The commands that tell of the commands: help, and what shells complete.
import { Argument, type Command } from "commander";
import type { Shell } from "../commands/completion.ts";
import { TOPICS } from "../commands/help-topics.ts";
import { addExamples } from "./options.ts";
import type { Run } from "./run.ts";

/** To be called when all other commands are there. */
export function addHelpCommands(program: Command, run: Run): void {
  program.commandsGroup("Help:");
  addHelp(program, run);
  addCompletion(program, run);
  addComplete(program, run);
  const width = Math.max(...program.commands.map((command) => command.name().length));
  const topics = Object.entries(TOPICS).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`);
  program.addHelpText("after", `\nTopics (riffd help <topic>):\n${topics.join("\n")}`);
}

function addHelp(program: Command, run: Run): void {
  const help = program
    .helpCommand(false)
    .command("help")
    .description("tell about a topic, or what a command takes")
    .argument("[topic...]", "a topic, or a command; without one, all of them are listed")
    .action(async (words: string[]) => {
      const { helpCommand } = await import("../commands/help.ts");
      run.exitCode = helpCommand(words, program, run.output);
    });
  addExamples(help, [
    ["riffd help exit-codes", "every failure, and what to do"],
    ["riffd help config show", "what a command takes"],
  ]);
}

function addCompletion(program: Command, run: Run): void {
  const completion = program
    .command("completion")
    .description("print a script that has a shell complete commands, options and session ids")
    .addArgument(new Argument("<bash|zsh|fish>", "the shell").choices(["bash", "zsh", "fish"]))
    .action(async (shell: Shell) => {
      const { completionCommand } = await import("../commands/completion.ts");
      run.exitCode = completionCommand(shell, program, run.output);
    });
  addExamples(completion, [
    ["riffd completion bash > ~/.local/share/bash-completion/completions/riffd", "for bash"],
    ["riffd completion zsh > ~/.zfunc/_riffd", "for zsh, with ~/.zfunc in $fpath"],
    ["riffd completion fish > ~/.config/fish/completions/riffd.fish", "for fish"],
  ]);
}

/** For those scripts. */
function addComplete(program: Command, run: Run): void {
  program
    .command("complete", { hidden: true })
    .description("print what a word may become")
    .argument("<kind>", "sessions")
    .argument("[prefix]", "what stands there already", "")
    .action(async (kind: string, prefix: string) => {
      const { completeCommand } = await import("../commands/complete.ts");
      run.exitCode = await completeCommand(kind, prefix, run.output);
    });
}
