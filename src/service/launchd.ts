// riffd as a launchd agent of the user who is logged in at the screen.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { agentErrors, agentText, commandOf, LABEL, variablesOf } from "./launchd-agent.ts";
import {
  type Installed,
  type LogOptions,
  type ServiceManager,
  type ServiceState,
  type ServiceStatus,
  serviceFailed,
} from "./manager.ts";
import type { Program } from "./program.ts";
import type { Programs } from "./programs.ts";
import { readServiceFile, removeServiceFile, writeServiceFile } from "./service-file.ts";

export interface LaunchdOptions {
  readonly home: string;
  readonly uid: number;
}

/** launchd ends things after it has answered. It kills what does not end after a minute and some. */
const GONE_MS = 120_000;
const LOOK_MS = 200;

export class Launchd implements ServiceManager {
  readonly #programs: Programs;
  readonly #home: string;
  readonly #domain: string;

  constructor(programs: Programs, { home, uid }: LaunchdOptions) {
    this.#programs = programs;
    this.#home = home;
    this.#domain = `gui/${uid}`;
  }

  async file(): Promise<string> {
    return join(this.#home, "Library", "LaunchAgents", `${LABEL}.plist`);
  }

  async installed(): Promise<Installed | null> {
    const text = readServiceFile(await this.file());
    return text === null ? null : { text, command: commandOf(text), user: null, variables: variablesOf(text) };
  }

  async text(program: Program): Promise<string> {
    return agentText(program, agentErrors(this.#home));
  }

  async install(program: Program): Promise<ServiceStatus> {
    await this.#unload();
    mkdirSync(dirname(agentErrors(this.#home)), { recursive: true, mode: 0o700 });
    writeServiceFile(await this.file(), await this.text(program));
    return this.start();
  }

  async uninstall(): Promise<void> {
    await this.#unload();
    removeServiceFile(await this.file());
  }

  async start(): Promise<ServiceStatus> {
    await this.#launchctl("enable", this.#target);
    const before = await this.status();
    if ((await this.#print()) === null) await this.#launchctl("bootstrap", this.#domain, await this.file());
    else await this.#launchctl("kickstart", this.#target);
    return before;
  }

  async stop(): Promise<void> {
    const { pid } = await this.status();
    if (pid === null) return;
    await this.#launchctl("kill", "SIGTERM", this.#target);
    await this.#until(async () => (await this.status()).pid !== pid);
  }

  async status(): Promise<ServiceStatus> {
    const told = await this.#print();
    const pid = /^\s*pid = (\d+)/m.exec(told ?? "")?.[1];
    const code = /^\s*last exit code = (\d+)/m.exec(told ?? "")?.[1];
    const exitCode = code === undefined ? null : Number(code);
    return {
      state: stateOf(told, pid !== undefined, exitCode),
      pid: pid === undefined ? null : Number(pid),
      exitCode,
      restarts: null,
      isEnabled: readServiceFile(await this.file()) !== null,
    };
  }

  /** An agent lives as long as its user is logged in. */
  async lingers(): Promise<boolean | null> {
    return null;
  }

  async logs({ follow, lines, onLine }: LogOptions, signal: AbortSignal): Promise<number> {
    const installed = await this.installed();
    const file = installed?.variables.RIFFD_LOG_FILE ?? agentLog(this.#home);
    // -F: the file is another one once it was full.
    const args = ["-n", `${lines}`, ...(follow ? ["-F"] : []), file];
    if (onLine === null) return this.#programs.show("tail", args, signal);
    return this.#programs.read("tail", args, onLine, signal);
  }

  get #target(): string {
    return `${this.#domain}/${LABEL}`;
  }

  /** null: launchd does not know it. */
  async #print(): Promise<string | null> {
    const { code, stdout } = await this.#programs.run("launchctl", ["print", this.#target]);
    return code === 0 ? stdout : null;
  }

  async #unload(): Promise<void> {
    if ((await this.#print()) === null) return;
    await this.#programs.run("launchctl", ["bootout", this.#target]); // "in progress" is a failure to it
    await this.#until(async () => (await this.#print()) === null);
  }

  async #until(isDone: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + GONE_MS;
    while (!(await isDone())) {
      if (Date.now() > deadline) {
        throw serviceFailed("The daemon does not end.", "`riffd service logs` tells what it does; `kill -9` ends it.");
      }
      await sleep(LOOK_MS);
    }
  }

  async #launchctl(...args: readonly string[]): Promise<void> {
    const { code, stderr } = await this.#programs.run("launchctl", args);
    if (code === 0) return;
    const said = stderr.trim();
    throw serviceFailed(
      `\`launchctl ${args.join(" ")}\` failed: ${said}`,
      /125|domain/i.test(said)
        ? "Log in at the screen as this user, and run it in a terminal there: an agent belongs to that session."
        : "Run it by hand to see more; `riffd service uninstall` and `install` begin anew.",
    );
  }
}

/** The log of an agent. */
export function agentLog(home: string): string {
  return join(home, "Library", "Logs", "riffd", "riffd.log");
}

function stateOf(told: string | null, hasProcess: boolean, exitCode: number | null): ServiceState {
  if (hasProcess) return "running";
  if (told === null || exitCode === null || exitCode === 0) return "stopped";
  return "waiting";
}
