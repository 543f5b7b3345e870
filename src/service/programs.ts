// The edge to the system's service manager: its programs (systemctl, launchctl, loginctl, journalctl, tail), run to their end.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { RiffError, systemCode } from "../errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a program said, and how it ended. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Programs {
  /** Runs one to its end, whatever its exit code. Throws RIFF_SERVICE_FAILED where it is not there. */
  run(program: string, args: readonly string[]): Promise<Ran>;
  /** The same on the terminal that riffd has. Returns the exit code. */
  show(program: string, args: readonly string[], signal: AbortSignal): Promise<number>;
  /** The same, with what it says on stdout line by line to `onLine`, and the rest on the terminal. */
  read(program: string, args: readonly string[], onLine: (line: string) => void, signal: AbortSignal): Promise<number>;
}

/** A shell that came by su or cron does not know where the user's systemd is, though it may be there. */
export function withUsersBus(env: Environment, uid: number): Environment {
  const usual = `/run/user/${uid}`;
  const isKnown = Boolean(env.XDG_RUNTIME_DIR || env.DBUS_SESSION_BUS_ADDRESS);
  return isKnown || !existsSync(usual) ? env : { ...env, XDG_RUNTIME_DIR: usual };
}

export function systemPrograms(env: Environment): Programs {
  return {
    async run(program, args) {
      const texts = { stdout: "", stderr: "" };
      // What is read by riffd is read in English.
      const child = spawn(program, args, { env: { ...env, LC_ALL: "C" }, stdio: ["ignore", "pipe", "pipe"] });
      for (const stream of ["stdout", "stderr"] as const) {
        child[stream].setEncoding("utf8").on("data", (text: string) => {
          texts[stream] += text;
        });
      }
      return { code: await ended(program, child), ...texts };
    },
    show(program, args, signal) {
      return ended(program, spawn(program, args, { env, stdio: ["ignore", "inherit", "inherit"] }), signal);
    },
    read(program, args, onLine, signal) {
      const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "inherit"] });
      createInterface({ input: child.stdout }).on("line", onLine);
      return ended(program, child, signal);
    },
  };
}

/** Whether there is such a user; true also where nobody can be asked. */
export async function knowsUser(programs: Programs, name: string): Promise<boolean> {
  const { code } = await programs.run("id", ["-u", name]).catch(() => ({ code: 0 }));
  return code === 0;
}

/** What a program is killed by counts as 128 and more, as in a shell. */
const KILLED = 128;

function ended(program: string, child: ChildProcess, signal?: AbortSignal): Promise<number> {
  const stop = () => void child.kill("SIGTERM");
  signal?.addEventListener("abort", stop, { once: true });
  return new Promise<number>((resolve, reject) => {
    child.on("error", (error) => reject(systemCode(error) === "ENOENT" ? missing(program) : error));
    child.on("close", (code) => resolve(code ?? KILLED));
  }).finally(() => signal?.removeEventListener("abort", stop));
}

function missing(program: string): RiffError {
  return new RiffError(
    "RIFF_SERVICE_FAILED",
    `There is no ${program} on this machine.`,
    "Without systemd or launchd, have what starts your programs run `riffd start`, as in a container.",
  );
}
