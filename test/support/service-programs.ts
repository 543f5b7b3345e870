/** Fakes of systemctl, launchctl, loginctl, journalctl, tail and id: they note how they were called, and answer what a test says. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Place } from "../../src/commands/service-place.ts";
import { scratchFolder } from "./workbench.ts";

export interface Answer {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
}

const PROGRAMS = ["systemctl", "launchctl", "loginctl", "journalctl", "tail", "id"];

/** Finds the answer whose file is named by the first words of the call that any is for; notes the call. */
const SCRIPT = (folder: string, program: string) => `#!/bin/sh
echo "${program} $*" >> '${folder}/calls'
call="${program} $*"
while [ -n "$call" ]; do
  name=$(printf '%s' "$call" | tr ' /' '__')
  if [ -f '${folder}/'"$name.sh" ]; then . '${folder}/'"$name.sh"; exit $?; fi
  case "$call" in *' '*) call="\${call% *}" ;; *) call="" ;; esac
done
exit 0
`;

export class ServicePrograms {
  readonly folder = scratchFolder();
  readonly home = scratchFolder();

  constructor(present: readonly string[] = PROGRAMS) {
    for (const program of present) {
      writeFileSync(join(this.folder, program), SCRIPT(this.folder, program), { mode: 0o755 });
    }
    writeFileSync(join(this.home, "config.json"), "{}");
  }

  /** What calls that begin like this are answered, until it is said anew. `shell` runs before. */
  answers(call: string, { stdout = "", stderr = "", code = 0 }: Answer, shell = ""): void {
    const name = call.replaceAll(/[ /]/g, "_");
    const text = `${shell}\ncat <<'END'\n${stdout}\nEND\ncat >&2 <<'END'\n${stderr}\nEND\nreturn ${code}\n`;
    writeFileSync(join(this.folder, `${name}.sh`), text);
  }

  /** The calls so far, but for those that only look. */
  changes(): string[] {
    return this.calls().filter((call) => !/ (show|show-user|print|--version|-u)( |$)/.test(call));
  }

  calls(): string[] {
    const file = join(this.folder, "calls");
    return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
  }

  place(platform: "linux" | "darwin", more: Partial<Place> = {}): Place {
    const env = {
      PATH: `${this.folder}:/usr/bin:/bin`,
      HOME: this.home,
      RIFFD_STATE_DIR: join(this.home, "state"),
      RIFFD_CONFIG: join(this.home, "config.json"),
    };
    return {
      platform,
      uid: 1234,
      home: this.home,
      node: "/opt/node/bin/node",
      riffd: "/opt/riffd/dist/cli.js",
      ...more,
      env: { ...env, ...more.env },
    };
  }
}
