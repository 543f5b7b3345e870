// The commands of the daemon: it, and what asks it something.
import { type Command, Option } from "commander";
import { FIELDS } from "../config/fields.ts";
import { addExamples, oneOf, projectOptions, STORE } from "./options.ts";
import type { Run } from "./run.ts";

export function addDaemonCommands(program: Command, run: Run): void {
  program.commandsGroup("The daemon:");
  addStart(program, run);
  addStatus(program, run);
  addStop(program, run);
}

function addStart(program: Command, run: Run): void {
  const start = program
    .command("start")
    .description(
      "run the daemon in the foreground: watch the projects folders, and have every change in the store at once",
    );
  for (const option of projectOptions()) start.addOption(option);
  start
    .option(
      "--poll",
      "look at the files again and again, where the system does not tell of changes (network, containers)",
    )
    .option("--rpc-listen <address>", "serve SurrealDB's clients on TCP too, with signin: host:port or port")
    .addOption(
      oneOf(
        new Option("--log-level <level>", `trace, debug, info, warn, error or fatal ${unless("log_level")}`),
        FIELDS.log_level.choices,
      ),
    )
    .addOption(
      oneOf(
        new Option("--log-format <format>", `auto, json or pretty ${unless("log_format")}`),
        FIELDS.log_format.choices,
      ),
    )
    .option(...STORE)
    .action(async (options) => {
      const { startCommand } = await import("../commands/start.ts");
      run.exitCode = await startCommand([], options, run);
    });
  addExamples(start, [
    ["riffd start", "until Ctrl-C, with a line for each change"],
    ["riffd start --exclude '/home/me/secret*'", "all projects but these"],
    ["riffd start --poll", "over NFS, SMB, or a container's mount"],
    ["riffd start --rpc-listen 8000", "SurrealDB's clients may connect, with signin"],
  ]);
}

function unless(field: "log_level" | "log_format"): string {
  return `(default: ${FIELDS[field].default}, unless configured)`;
}

function addStatus(program: Command, run: Run): void {
  const status = program
    .command("status")
    .description("tell what the daemon does: what is live, how far behind it is, and what needs somebody")
    .option("--watch", "tell it anew every second, until Ctrl-C", false)
    .option("--json", "one JSON object", false)
    .action(async (options) => {
      const { statusCommand } = await import("../commands/status.ts");
      run.exitCode = await statusCommand(options, run.output, run.interrupt);
    });
  addExamples(status, [
    ["riffd status", "at a glance"],
    ["riffd status --watch", "anew every second"],
    ["riffd status --json | jq .pipeline.lag", "for programs"],
  ]);
}

function addStop(program: Command, run: Run): void {
  const stop = program
    .command("stop")
    .description("have the daemon finish what it has begun, and end")
    .option("--timeout <seconds>", "how long to wait until it has ended", "60")
    .option("--json", "one JSON object", false)
    .action(async (options) => {
      const { stopCommand } = await import("../commands/stop.ts");
      run.exitCode = await stopCommand(options, run.output, run.interrupt);
    });
  addExamples(stop, [
    ["riffd stop", "waits up to a minute until it has ended"],
    ["riffd stop --timeout 5", "waits no longer than that"],
  ]);
}
