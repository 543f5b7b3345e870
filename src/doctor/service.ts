// The service: whether the system starts the daemon, and goes on with it when nobody is logged in.
import { execFile } from "node:child_process";
import { userInfo } from "node:os";
import { systemCode } from "../errors.ts";
import { type Check, ok, warning } from "./check.ts";
import type { Patient } from "./patient.ts";

/** As `riffd service` names them. */
const UNIT = "riffd.service";
const AGENT = "local.riffd.daemon";

/** A manager that does not answer is told of, not waited for. */
const ANSWER_MS = 5_000;

/** What a program says; null: it is not there, failed, or did not answer in time. */
export type Ask = (program: string, args: readonly string[]) => Promise<string | null>;

export function checkService(
  { platform }: Pick<Patient, "platform">,
  ask: Ask = askSystem,
): Promise<Check[]> | Check[] {
  if (platform === "linux") return checkSystemd(ask);
  return platform === "darwin" ? checkLaunchd(ask) : [ok("service", "none on this system; start the daemon yourself")];
}

const INSTALL = "`riffd service install` has the system start it, and start it again.";

async function checkSystemd(ask: Ask): Promise<Check[]> {
  const properties = "--property=LoadState,UnitFileState,ActiveState,SubState,Result";
  const text = await ask("systemctl", ["--user", "show", UNIT, properties]);
  if (text === null) return [ok("service", "no systemd of this user's answers here; something else starts the daemon")];
  const unit = Object.fromEntries(text.split("\n").map((line) => line.split(/=(.*)/s).slice(0, 2)));
  if (unit.LoadState !== "loaded") {
    return [warning("service", "No service is installed: the daemon ends with the terminal, or the machine.", INSTALL)];
  }
  return [
    checkUnit(unit),
    ...(unit.UnitFileState === "enabled"
      ? []
      : [
          warning(
            "service.enabled",
            "It is not started at login.",
            `Have it started: systemctl --user enable ${UNIT}.`,
          ),
        ]),
    ...(await checkLingering(ask)),
  ];
}

function checkUnit({ ActiveState: active, SubState: sub, Result: result }: Record<string, string | undefined>): Check {
  if (active === "active") return ok("service", `${UNIT} is installed, and runs`);
  const why = result === undefined || result === "success" ? "" : ` (${result})`;
  return warning(
    "service",
    `${UNIT} is installed, but ${active === "inactive" ? "does not run" : `is ${active}, ${sub}`}${why}.`,
    "`riffd service logs` tells why, `riffd service start` starts it.",
  );
}

async function checkLingering(ask: Ask): Promise<Check[]> {
  const { username } = userInfo();
  const answer = await ask("loginctl", ["show-user", username, "--property=Linger", "--value"]);
  if (answer === null) return [];
  if (answer.trim() === "yes") return [ok("service.lingering", "it runs from boot on, also while nobody is logged in")];
  return [
    warning(
      "service.lingering",
      "It ends when you log out, and starts when you log in.",
      `If something runs Claude Code while you are away, have it go on: loginctl enable-linger ${username}.`,
    ),
  ];
}

async function checkLaunchd(ask: Ask): Promise<Check[]> {
  const text = await ask("launchctl", ["print", `gui/${process.getuid?.()}/${AGENT}`]);
  if (text === null) {
    return [warning("service", "No service is installed: the daemon ends with the terminal, or the machine.", INSTALL)];
  }
  const state = /^\s*state = (.+)$/m.exec(text)?.[1] ?? "unknown";
  if (state === "running") return [ok("service", `${AGENT} is installed, and runs`)];
  return [
    warning(
      "service",
      `${AGENT} is installed, but its state is "${state}".`,
      "`riffd service logs` tells why, `riffd service start` starts it.",
    ),
  ];
}

function askSystem(program: string, args: readonly string[]): Promise<string | null> {
  const options = { encoding: "utf8" as const, timeout: ANSWER_MS, env: { ...process.env, LC_ALL: "C" } };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else if (["EACCES", "EMFILE", "ENOMEM"].includes(systemCode(error) ?? "")) reject(error);
      else resolve(null);
    });
  });
}
