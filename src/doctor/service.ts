// The service: whether the system starts the daemon, which one it starts, and whether it goes on when nobody is logged in.
import { execFile } from "node:child_process";
import { userInfo } from "node:os";
import { systemCode } from "../errors.ts";
import { withUsersBus } from "../service/programs.ts";
import { type Check, ok, warning } from "./check.ts";
import type { Patient } from "./patient.ts";
import { checkServiceFile } from "./service-file.ts";

/** As `riffd service` names them. */
const UNIT = "riffd.service";
const AGENT = "local.riffd.daemon";

/** A manager that does not answer is told of, not waited for. */
const ANSWER_MS = 5_000;

/** What a program says; null: it is not there, failed, or did not answer in time. */
export type Ask = (program: string, args: readonly string[]) => Promise<string | null>;

export async function checkService(patient: Patient, ask: Ask = askSystem): Promise<Check[]> {
  if (patient.platform === "linux") return checkSystemd(patient, ask);
  if (patient.platform === "darwin") return checkLaunchd(patient, ask);
  return [ok("service", "none on this system; start the daemon yourself")];
}

type Unit = Readonly<Record<string, string | undefined>>;

const PROPERTIES = "--property=Id,LoadState,UnitFileState,ActiveState,SubState,Result,User";

async function checkSystemd(patient: Patient, ask: Ask): Promise<Check[]> {
  const text = await ask("systemctl", ["--user", "show", UNIT, PROPERTIES]);
  const unit = unitsOf(text ?? "")[0];
  if (unit?.LoadState !== "loaded") return [await checkOther(patient, ask, text !== null)];
  return [
    checkUnit(unit, UNIT),
    ...checkServiceFile(await patient.service(), patient),
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

/** One is told of its properties in a paragraph. */
function unitsOf(text: string): Unit[] {
  return text
    .split(/\n{2,}/)
    .map((part) => Object.fromEntries(part.split("\n").map((line) => line.split(/=(.*)/s).slice(0, 2))));
}

/** What runs the daemon where the user has no service; `isThere`: whether systemd could run one. */
async function checkOther(patient: Patient, ask: Ask, isThere: boolean): Promise<Check> {
  const unit = await findSystemUnit(ask);
  if (unit !== null) return checkUnit(unit, `${unit.Id} of the system`, " --system");
  if (isThere) return checkNone(patient);
  return ok("service", "no systemd of this user's answers here; something else starts the daemon");
}

async function checkNone(patient: Patient): Promise<Check> {
  if ((await patient.findStatus()) !== null) {
    return ok("service", "none is installed; something else has started the daemon that runs");
  }
  return warning(
    "service",
    "No service is installed: the daemon ends with the terminal, or the machine.",
    "`riffd service install` has the system start it, and start it again.",
  );
}

/** The system's unit that is to run riffd as this user; null: there is none. */
async function findSystemUnit(ask: Ask): Promise<Unit | null> {
  const user = username();
  const names = [UNIT, ...(user === null ? [] : [`riffd@${user}.service`])];
  const units = unitsOf((await ask("systemctl", ["--system", "show", ...names, PROPERTIES])) ?? "");
  const isMeant = ({ LoadState, UnitFileState, ActiveState, User }: Unit) =>
    LoadState === "loaded" && User === user && (UnitFileState === "enabled" || ActiveState !== "inactive");
  return units.find(isMeant) ?? null;
}

/** null: the system knows no name of it, as in containers. */
function username(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

function checkUnit({ ActiveState: active, SubState: sub, Result: result }: Unit, name: string, scope = ""): Check {
  if (active === "active") return ok("service", `${name} is installed, and runs`);
  const why = result === undefined || result === "success" ? "" : ` (${result})`;
  return warning(
    "service",
    `${name} is installed, but ${active === "inactive" ? "does not run" : `is ${active}, ${sub}`}${why}.`,
    `\`riffd service logs${scope}\` tells why, \`riffd service start${scope}\` starts it.`,
  );
}

async function checkLingering(ask: Ask): Promise<Check[]> {
  const user = username() ?? `${process.getuid!()}`;
  const answer = await ask("loginctl", ["show-user", user, "--property=Linger", "--value"]);
  if (answer === null) return [];
  if (answer.trim() === "yes") return [ok("service.lingering", "it runs from boot on, also while nobody is logged in")];
  return [
    warning(
      "service.lingering",
      "It ends when you log out, and starts when you log in.",
      `If something runs Claude Code while you are away, have it go on: loginctl enable-linger ${user}.`,
    ),
  ];
}

async function checkLaunchd(patient: Patient, ask: Ask): Promise<Check[]> {
  const text = await ask("launchctl", ["print", `gui/${process.getuid?.()}/${AGENT}`]);
  if (text === null) return [await checkNone(patient)];
  const state = /^\s*state = (.+)$/m.exec(text)?.[1] ?? "unknown";
  const told =
    state === "running"
      ? ok("service", `${AGENT} is installed, and runs`)
      : warning(
          "service",
          `${AGENT} is installed, but its state is "${state}".`,
          "`riffd service logs` tells why, `riffd service start` starts it.",
        );
  return [told, ...checkServiceFile(await patient.service(), patient)];
}

function askSystem(program: string, args: readonly string[]): Promise<string | null> {
  const env = { ...withUsersBus(process.env, process.getuid!()), LC_ALL: "C" };
  return new Promise((resolve, reject) => {
    execFile(program, args, { encoding: "utf8", timeout: ANSWER_MS, env }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else if (["EACCES", "EMFILE", "ENOMEM"].includes(systemCode(error) ?? "")) reject(error);
      else resolve(null);
    });
  });
}
