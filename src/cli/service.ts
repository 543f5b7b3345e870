// The commands of the service that runs the daemon.
import type { Command } from "commander";
import { addExamples } from "./options.ts";
import type { Run } from "./run.ts";

const SYSTEM = ["--system", "the system's service, not one's own (Linux, as root)"] as const;
const TIMEOUT = ["--timeout <seconds>", "how long to wait until it is ready (60; 0: not at all)", "60"] as const;

export function addServiceCommands(program: Command, run: Run): void {
  const service = program
    .command("service")
    .description("have systemd or launchd run the daemon, now and whenever you log in")
    .helpCommand(false);
  addExamples(service, [
    ["riffd service install", "the daemon runs from now on; says when it is ready"],
    ["riffd service install --print", "the file that would be written"],
    ["riffd service status", "whether it runs, and how it ended if it did"],
    ["riffd service logs --follow", "what it says"],
  ]);
  addInstall(service, run);
  addUninstall(service, run);
  addStart(service, run);
  addStop(service, run);
  addRestart(service, run);
  addStatus(service, run);
  addLogs(service, run);
}

function addInstall(service: Command, run: Run): void {
  const install = service
    .command("install")
    .description("write the service's file, start the daemon, and wait until it is ready; also over an older one")
    .option("--print", "only show the file", false)
    .option(...SYSTEM)
    .option("--user <name>", "with --system: whom it runs as (default: who called sudo)")
    .option(...TIMEOUT)
    .action(async (options) => {
      const { serviceInstall } = await import("../commands/service-install.ts");
      run.exitCode = await serviceInstall(options, run.output, run.interrupt);
    });
  addExamples(install, [
    ["riffd service install", "for you, with the settings of this shell"],
    ["sudo riffd service install --system --user ada", "a service of the system that runs as ada"],
  ]);
}

function addUninstall(service: Command, run: Run): void {
  const uninstall = service
    .command("uninstall")
    .description("end the daemon and remove the service's file; all data stays")
    .option(...SYSTEM)
    .action(async (options) => {
      const { serviceUninstall } = await import("../commands/service-install.ts");
      run.exitCode = await serviceUninstall(options, run.output);
    });
  addExamples(uninstall, [["riffd service uninstall", "says where the data is that stays"]]);
}

function addStart(service: Command, run: Run): void {
  const start = service
    .command("start")
    .description("start the daemon, and wait until it is ready")
    .option(...SYSTEM)
    .option(...TIMEOUT)
    .action(async (options) => {
      const { serviceStart } = await import("../commands/service.ts");
      run.exitCode = await serviceStart(options, run.output, run.interrupt);
    });
  addExamples(start, [["riffd service start --timeout 300", "before a first import that takes long"]]);
}

function addStop(service: Command, run: Run): void {
  const stop = service
    .command("stop")
    .description("have the daemon finish what it has begun, and end until the next session")
    .option(...SYSTEM)
    .action(async (options) => {
      const { serviceStop } = await import("../commands/service.ts");
      run.exitCode = await serviceStop(options, run.output);
    });
  addExamples(stop, [["riffd service stop", "until `riffd service start`, or the next login"]]);
}

function addRestart(service: Command, run: Run): void {
  const restart = service
    .command("restart")
    .description("stop it, and start it")
    .option(...SYSTEM)
    .option(...TIMEOUT)
    .action(async (options) => {
      const { serviceRestart } = await import("../commands/service.ts");
      run.exitCode = await serviceRestart(options, run.output, run.interrupt);
    });
  addExamples(restart, [["riffd service restart", "takes settings that need a new start"]]);
}

function addStatus(service: Command, run: Run): void {
  const status = service
    .command("status")
    .description("tell whether the service runs; exit code 27 where it does not")
    .option(...SYSTEM)
    .option("--json", "one JSON object", false)
    .action(async (options) => {
      const { serviceStatus } = await import("../commands/service.ts");
      run.exitCode = await serviceStatus(options, run.output);
    });
  addExamples(status, [["riffd service status --json", "for programs"]]);
}

function addLogs(service: Command, run: Run): void {
  const logs = service
    .command("logs")
    .description(
      "show what the daemon has said: the journal, or on macOS its log file; as JSON where it is not for a terminal",
    )
    .option("-f, --follow", "go on with what it says, until Ctrl-C", false)
    .option("-n, --lines <n>", "how many lines (100)", "100")
    .option(...SYSTEM)
    .action(async (options) => {
      const { serviceLogs } = await import("../commands/service.ts");
      run.exitCode = await serviceLogs(options, run.output, run.interrupt);
    });
  addExamples(logs, [
    ["riffd service logs -n 20", "the last lines"],
    ["riffd service logs --follow", "as it comes"],
  ]);
}
