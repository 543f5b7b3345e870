// Writes test/fixtures/stores/<schema>.tar.gz: a store as this riffd leaves it, for the riffds to come. It is made by the
// built command line of the riffd that is to be kept: npm run store-fixture [path of its dist/cli.js]
import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { MESSAGE_TO_FORGET, rewrite, TEAPOT } from "../test/fixtures/stores/history.ts";

const REPOSITORY = fileURLToPath(new URL("../", import.meta.url));
const cli = resolve(process.argv[2] ?? join(REPOSITORY, "dist/cli.js"));
const folder = realpathSync(mkdtempSync(join(tmpdir(), "riffd-fixture-")));

try {
  cpSync(join(REPOSITORY, "examples/projects"), join(folder, "projects"), { recursive: true });
  becomeQuiet();
  sync("ada");
  const teapot = join(folder, "projects", TEAPOT);
  writeFileSync(teapot, rewrite(readFileSync(teapot, "utf8")));
  becomeQuiet();
  sync("mira");
  const commands = riffd("--help");
  if (commands.includes("forget")) riffd("forget", MESSAGE_TO_FORGET, "--reason", "a secret", "--yes");
  if (commands.includes("backup")) riffd("backup", join(folder, "backup"));
  const archive = join(REPOSITORY, "test/fixtures/stores", `${newestSchema()}.tar.gz`);
  execFileSync("tar", ["-cz", "--owner=0", "--group=0", "--numeric-owner", "-f", archive, "-C", folder, "."]);
  process.stdout.write(`${archive}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

function sync(operator: string): void {
  riffd("sync", "--all", "--projects", join(folder, "projects"), "--operator", operator);
}

function riffd(...args: string[]): string {
  // The host's name is written into the store.
  const preload = `import os from "node:os"; import { syncBuiltinESMExports } from "node:module";
    os.hostname = () => "fixture"; syncBuiltinESMExports();`;
  return execFileSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(preload)}`, cli, ...args],
    {
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: folder, RIFFD_STATE_DIR: join(folder, "state") },
    },
  );
}

/** As if nothing had been written for an hour, so that all is decided at the first look. */
function becomeQuiet(): void {
  const hourAgo = Date.now() / 1000 - 3600;
  for (const name of readdirSync(join(folder, "projects"), { recursive: true }) as string[]) {
    utimesSync(join(folder, "projects", name), hourAgo, hourAgo);
  }
}

/** "0004-feed": the newest schema of the riffd that is kept. */
function newestSchema(): string {
  const files = readdirSync(join(cli, "../../schema")).filter((file) => /^\d{4}-.+\.surql$/.test(file));
  return files.sort().at(-1)!.slice(0, -".surql".length);
}
