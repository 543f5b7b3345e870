// The configuration: all that is wrong with it.
import { existsSync } from "node:fs";
import { configPath } from "../config/config-file.ts";
import { type Check, ok, problem } from "./check.ts";
import type { Patient } from "./patient.ts";

export function checkConfig({ configProblems, env, platform }: Patient): Check[] {
  const path = configPath(env, platform);
  if (configProblems.length > 0) {
    return configProblems.map(({ field, origin, text }) =>
      problem(
        "config",
        `${field} (${origin}) ${text}`,
        "Correct it: `riffd help config` lists all fields and what they take.",
      ),
    );
  }
  return [ok("config", existsSync(path) ? `${path} is valid` : `valid; there is no file ${path}, and need not be one`)];
}
