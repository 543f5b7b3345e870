// The commands of riffd's place on this machine: its health, its configuration, its shell.
import type { Command } from "commander";
import { addExamples } from "./options.ts";
import type { Run } from "./run.ts";

export function addMachineCommands(program: Command, run: Run): void {
  program.commandsGroup("This machine:");
  addDemo(program, run);
  addDoctor(program, run);
  addConfig(program, run);
}

function addDemo(program: Command, run: Run): void {
  const demo = program
    .command("demo")
    .description("show what riffd does, with example sessions, in a folder that is removed at the end")
    .option("--fast", "without the pauses that let you follow", false)
    .option("--keep", "leave the folder, and say where it is", false)
    .option("--json", "one JSON object with all that was found", false)
    .action(async (options) => {
      const { demoCommand } = await import("../commands/demo.ts");
      run.exitCode = await demoCommand(options, run.output, run.signals);
    });
  addExamples(demo, [
    ["riffd demo", "a quarter of a minute that shows what riffd does; it needs no transcripts, and touches none"],
    [
      "riffd demo --fast --json | jq .ok",
      "the same as a check of this machine: exit code 1 where something is not right",
    ],
    ["riffd demo --keep", "and look at the store afterwards"],
  ]);
}

function addDoctor(program: Command, run: Run): void {
  const doctor = program
    .command("doctor")
    .description("look at everything riffd depends on, and say what to do where something is wrong")
    .option("--json", "one JSON object with each check", false)
    .action(async (options) => {
      const { doctorCommand } = await import("../commands/doctor.ts");
      run.exitCode = await doctorCommand(options, run.version, run.output, run.interrupt);
    });
  addExamples(doctor, [
    ["riffd doctor", "exit code 0, or 29 where there are problems"],
    ["riffd doctor --json | jq '.checks[] | select(.state != \"ok\")'", "what is not as it should be, for programs"],
  ]);
}

function addConfig(program: Command, run: Run): void {
  const config = program
    .command("config")
    .description("the configuration: every field, where it came from, and whether it is valid")
    .helpCommand(false);
  addExamples(config, [
    ["riffd config show", "every field with its value, and where it came from"],
    ["riffd config show --json | jq .socket", "for programs"],
    ["riffd config path", "where the config file is looked for"],
    ["riffd config check", "exit code 0, or 78 with everything that is wrong"],
    ["riffd config check new.json", "the same with this file instead"],
    ["riffd help config", "all fields, and what they take"],
  ]);
  const show = config
    .command("show")
    .description("tell every field's value, and where it came from: a variable, the file, or the default")
    .option("--json", "one JSON object: each field with its value and origin", false)
    .action(async (options) => {
      const { configShow } = await import("../commands/config.ts");
      run.exitCode = configShow(options, run.output);
    });
  addExamples(show, [["RIFFD_POLL=true riffd config show", "what it would be with this variable"]]);
  const path = config
    .command("path")
    .description("tell where the config file is looked for")
    .option("--json", "one JSON object, which also tells whether it exists", false)
    .action(async (options) => {
      const { configTellPath } = await import("../commands/config.ts");
      run.exitCode = configTellPath(options, run.output);
    });
  addExamples(path, [["riffd config path --json | jq .exists", "whether there is one"]]);
  const check = config
    .command("check")
    .description("tell all that is wrong with the configuration")
    .argument("[file]", "a config file instead of the one that riffd looks for")
    .action(async (file: string | undefined) => {
      const { configCheck } = await import("../commands/config.ts");
      run.exitCode = configCheck(file, run.output);
    });
  addExamples(check, [["riffd config check new.json", "before it takes the old one's place"]]);
}
