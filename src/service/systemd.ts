// riffd as a systemd service: of a user's own manager, or of the system's.
import { join } from "node:path";
import {
  type Installed,
  type LogOptions,
  type ServiceManager,
  type ServiceState,
  type ServiceStatus,
  serviceFailed,
} from "./manager.ts";
import type { Program } from "./program.ts";
import type { Programs, Ran } from "./programs.ts";
import { readServiceFile, removeServiceFile, writeServiceFile } from "./service-file.ts";
import { commandOf, unitText, userOf, variablesOf } from "./systemd-unit.ts";

const UNIT = "riffd.service";

/** Where the system's units are. */
const SYSTEM_UNITS = "/etc/systemd/system";

export interface SystemdOptions {
  readonly isSystem: boolean;
  readonly home: string;
  readonly uid: number;
  /** Whether systemd is asked where a user's units are, and what it knows; else that is taken to be the usual. */
  readonly isAsked: boolean;
  readonly systemUnits?: string;
}

export class Systemd implements ServiceManager {
  readonly #programs: Programs;
  readonly #options: SystemdOptions;
  readonly #scope: readonly string[];

  constructor(programs: Programs, options: SystemdOptions) {
    this.#programs = programs;
    this.#options = options;
    this.#scope = options.isSystem ? ["--system"] : ["--user"];
  }

  /** The manager looks where its own environment says, which need not be that of this shell. */
  async file(): Promise<string> {
    const { isSystem, home, isAsked, systemUnits = SYSTEM_UNITS } = this.#options;
    if (isSystem) return join(systemUnits, UNIT);
    const usual = join(home, ".config", "systemd", "user");
    if (!isAsked) return join(usual, UNIT);
    const ran = await this.#systemctl("show", "--property=UnitPath");
    const folders = (propertiesOf(ran.stdout).UnitPath ?? "").split(" ");
    const own = folders.find((folder) => folder.startsWith(`${home}/`) && folder.endsWith("/systemd/user"));
    return join(own ?? usual, UNIT);
  }

  async installed(): Promise<Installed | null> {
    const text = readServiceFile(await this.file());
    return text === null ? null : { text, command: commandOf(text), user: userOf(text), variables: variablesOf(text) };
  }

  async text(program: Program): Promise<string> {
    if (!this.#options.isAsked) return unitText(program);
    const { stdout } = await this.#programs.run("systemctl", ["--version"]);
    const version = /^systemd (\d+)/.exec(stdout)?.[1];
    return unitText(program, version === undefined ? {} : { version: Number(version) });
  }

  async install(program: Program): Promise<ServiceStatus> {
    const [path, text, status] = [await this.file(), await this.text(program), await this.status()];
    if (status.state !== "stopped") await this.stop();
    writeServiceFile(path, text);
    await this.#systemctl("daemon-reload");
    // Another version may want to be started by another target.
    await this.#systemctl("reenable", UNIT);
    return this.start();
  }

  async uninstall(): Promise<void> {
    const path = await this.file();
    await this.#systemctl("disable", "--now", UNIT);
    removeServiceFile(path);
    await this.#systemctl("daemon-reload");
    await this.#forgetFailure();
  }

  async start(): Promise<ServiceStatus> {
    await this.#forgetFailure();
    const before = await this.status();
    await this.#systemctl("start", "--no-block", UNIT);
    return before;
  }

  async stop(): Promise<void> {
    await this.#systemctl("stop", UNIT);
  }

  async status(): Promise<ServiceStatus> {
    const names = [
      "ActiveState",
      "SubState",
      "MainPID",
      "ExecMainCode",
      "ExecMainStatus",
      "NRestarts",
      "UnitFileState",
    ];
    const { stdout } = await this.#systemctl("show", UNIT, `--property=${names.join(",")}`);
    const told = propertiesOf(stdout);
    const pid = Number(told.MainPID);
    return {
      state: stateOf(told),
      pid: pid > 0 ? pid : null,
      exitCode: told.ExecMainCode === CLD_EXITED ? Number(told.ExecMainStatus) : null,
      restarts: told.NRestarts ? Number(told.NRestarts) : null,
      isEnabled: told.UnitFileState === "enabled",
    };
  }

  async lingers(): Promise<boolean | null> {
    const { isSystem, uid } = this.#options;
    if (isSystem) return null;
    const { code, stdout } = await this.#programs.run("loginctl", ["show-user", `${uid}`, "--property=Linger"]);
    return code === 0 ? propertiesOf(stdout).Linger === "yes" : null;
  }

  async logs({ follow, lines, onLine }: LogOptions, signal: AbortSignal): Promise<number> {
    const unit = this.#options.isSystem ? ["--unit", UNIT] : ["--user", "--unit", UNIT];
    const args = [...unit, "--lines", `${lines}`, "--no-pager", ...(follow ? ["--follow"] : [])];
    if (onLine === null) return this.#programs.show("journalctl", args, signal);
    return this.#programs.read("journalctl", [...args, "--output", "cat"], onLine, signal);
  }

  /** That it failed before; where it did not, there is nothing to be forgotten. */
  async #forgetFailure(): Promise<void> {
    await this.#programs.run("systemctl", [...this.#scope, "reset-failed", UNIT]);
  }

  async #systemctl(...args: readonly string[]): Promise<Ran> {
    const ran = await this.#programs.run("systemctl", [...this.#scope, ...args]);
    if (ran.code !== 0) throw this.#refused(args, ran.stderr.trim());
    return ran;
  }

  #refused(args: readonly string[], said: string): Error {
    const { isSystem, uid } = this.#options;
    const command = ["systemctl", ...this.#scope, ...args].join(" ");
    if (/not been booted with systemd/.test(said)) {
      return serviceFailed(
        "systemd does not run this machine, as in most containers.",
        "Have what does run `riffd start`; in a container it can be the command. It ends on SIGTERM.",
      );
    }
    if (/connect to (?:\S+ )*bus/i.test(said) && !isSystem) {
      return serviceFailed(
        `Your systemd cannot be reached: ${said.split("\n")[0]}`,
        `Log in as this user, not by su or sudo. Where nobody logs in: \`sudo loginctl enable-linger ${uid}\`, then \`export XDG_RUNTIME_DIR=/run/user/${uid}\`.`,
      );
    }
    return serviceFailed(`\`${command}\` failed: ${said}`, "Run it by hand to see more, as with `--no-pager status`.");
  }
}

/** What ExecMainCode is for a process that ended by itself. */
const CLD_EXITED = "1";

function stateOf({ ActiveState, SubState }: Readonly<Record<string, string>>): ServiceState {
  if (SubState === "auto-restart" || SubState === "auto-restart-queued") return "waiting";
  switch (ActiveState) {
    case "active":
    case "reloading":
      return "running";
    case "activating":
      return "starting";
    case "deactivating":
      return "stopping";
    case "failed":
      return "failed";
    default:
      return "stopped";
  }
}

function propertiesOf(text: string): Record<string, string> {
  const lines = text.split("\n").filter((line) => line.includes("="));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}
