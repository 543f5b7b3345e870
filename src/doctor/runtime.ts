// Node.js, and the engine's build for this platform. The engine is looked for, and not loaded.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Check, ok, problem, warning } from "./check.ts";
import type { Patient } from "./patient.ts";

/** As package.json has it. */
const LEAST = [20, 19] as const;
const TESTED: readonly number[] = [20, 22, 24];

export function checkRuntime({ platform }: Pick<Patient, "platform">): Check[] {
  return [checkNode(process.versions.node), checkEngine(platform, process.arch)];
}

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < LEAST[0] || (major === LEAST[0] && minor < LEAST[1])) {
    return problem(
      "node",
      `Node.js ${version} is too old for riffd: it needs ${LEAST.join(".")} or later.`,
      "Install Node.js 22 or 24.",
    );
  }
  if (TESTED.includes(major)) return ok("node", `Node.js ${version}`);
  return warning(
    "node",
    `Node.js ${version} is none that riffd is tested with: ${TESTED.join(", ")} are.`,
    "It may work all the same; if something does not, try one of these.",
  );
}

/** `folder`: where the engine's package is. */
export function checkEngine(platform: NodeJS.Platform, arch: string, folder = engineFolder()): Check {
  const build = buildName(platform, arch);
  if (existsSync(join(folder, `surrealdb-node.${build}.node`))) return ok("engine", `the engine's build for ${build}`);
  return problem(
    "engine",
    `The embedded engine has no build for this machine (${build}) in ${folder}.`,
    "Install riffd again on this very machine; where there is no such build, use a SurrealDB server (SURREALDB_URL).",
  );
}

function engineFolder(): string {
  return dirname(fileURLToPath(import.meta.resolve("@surrealdb/node")));
}

function buildName(platform: NodeJS.Platform, arch: string): string {
  if (platform === "win32") return `win32-${arch}-msvc`;
  return platform === "linux" ? `linux-${arch}-${isGlibc() ? "gnu" : "musl"}` : `${platform}-${arch}`;
}

function isGlibc(): boolean {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime !== undefined;
}
