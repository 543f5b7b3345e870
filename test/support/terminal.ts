/** riffd on a terminal of its own, with somebody who types. */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

/** Of util-linux: gives a process a terminal, as a person has one. */
export const SCRIPT = "script";

export const hasTerminal = spawnSync(SCRIPT, ["--version"]).status === 0;

/** Runs `riffd …args`, and types each answer once its question stands there. Returns all that the terminal showed. */
export function riffdOnTerminal(
  stateDir: string,
  args: readonly string[],
  answers: readonly (readonly [question: string, answer: string])[],
): Promise<{ code: number | null; output: string }> {
  const command = [process.execPath, CLI, ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn(SCRIPT, ["--quiet", "--return", "--command", command, "/dev/null"], {
    env: { ...process.env, RIFFD_STATE_DIR: stateDir },
    stdio: "pipe",
  });
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
