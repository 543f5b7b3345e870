// riffd's command line: which commands there are, and what they take. Each loads what it works with when it is run, and not
// before: a command costs what it needs.
import { Command, type Option } from "commander";
import { addDaemonCommands } from "./daemon.ts";
import { addHelpCommands } from "./help.ts";
import { addMachineCommands } from "./machine.ts";
import type { Run } from "./run.ts";
import { addServiceCommands } from "./service.ts";
import { addStoreCommands } from "./store.ts";
import { addTranscriptCommands } from "./transcripts.ts";

/** Parsing throws CommanderError where it would end the process, and what the command throws. */
export function createProgram(run: Run): Command {
  const program = new Command("riffd")
    .description("Keeps Claude Code transcripts safe in SurrealDB: whole, exactly once, byte for byte.")
    .version(run.version)
    .configureHelp({
      optionDescription: describeOption,
      subcommandTerm: (command) => command.name(),
    })
    .showHelpAfterError("(riffd --help tells what there is)")
    .exitOverride();
  addDaemonCommands(program, run);
  addServiceCommands(program, run);
  addTranscriptCommands(program, run);
  addStoreCommands(program, run);
  addMachineCommands(program, run);
  addHelpCommands(program, run);
  return program;
}

/** With the value that holds where it is not given; that a switch is off, or a list empty, goes without saying. */
function describeOption({ description, defaultValue }: Option): string {
  const isTold = typeof defaultValue === "string" && !description.includes("(default: ");
  return isTold ? `${description} (default: ${defaultValue})` : description;
}
