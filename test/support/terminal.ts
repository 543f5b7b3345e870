/** riffd on a terminal of its own, with somebody who types. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

/** Of util-linux: gives a process a terminal, as a person has one. */
const SCRIPT = "script";

export const hasTerminal = spawnSync(SCRIPT, ["--version"]).status === 0;

/** Starts a command on a terminal of its own. What it shows is the output of the child, which ends with its exit code. */
export function spawnOnTerminal(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams {
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  // Without `exec`, Ctrl-C would end the shell in front of the command as well: not every shell steps aside by itself.
  return spawn(SCRIPT, ["--quiet", "--return", "--command", `exec ${quoted}`, "/dev/null"], {
    env: { ...process.env, ...env, SHELL: "/bin/sh" },
    stdio: "pipe",
  });
}

export interface Shown {
  readonly code: number | null;
  /** All that the terminal showed. */
  readonly output: string;
}

type Answers = readonly (readonly [question: string, answer: string])[];

/** Runs `riffd …args`, and types each answer once its question stands there. */
export function riffdOnTerminal(stateDir: string, args: readonly string[], answers: Answers): Promise<Shown> {
  return shown(spawnOnTerminal([process.execPath, CLI, ...args], { RIFFD_STATE_DIR: stateDir }), answers);
}

/** What the terminal showed when its command has ended. */
export function shown(child: ChildProcessWithoutNullStreams, answers: Answers = []): Promise<Shown> {
  const waiting = [...answers];
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    const [next] = waiting;
    if (next === undefined || !output.includes(next[0])) return;
    waiting.shift();
    child.stdin.write(next[1]);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}
