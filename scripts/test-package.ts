// Packs riffd, installs the package into an empty folder as anybody would, and uses it there: npm run test:package
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { followedLinksOf } from "../test/support/documented.ts";

const REPOSITORY = fileURLToPath(new URL("../", import.meta.url));
/** Packed and unpacked; what is above it was not meant to be in it. */
const MAX_BYTES = { size: 400_000, unpackedSize: 1_600_000 };
/** All that the package may hold; each must hold something. */
const EXPECTED = [
  /^dist\/.+\.js$/,
  /^docs\/[a-z-]+\.md$/,
  /^examples\/projects\/.+\.(jsonl|meta\.json)$/,
  /^schema\/(\d{4}-[a-z]+|riffd)\.surql$/,
  /^(package\.json|README\.md|ARCHITECTURE\.md|CHANGELOG\.md|LICENSE)$/,
];
/** Folders of service files, once they are there. */
const SERVICES = /^(systemd|launchd)\/.+$/;
const ALL_LIVE_MS = 120_000;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

const scratch = realpathSync(mkdtempSync(join(tmpdir(), "riffd-package-")));
const home = join(scratch, "home");
const installed = join(scratch, "installed");
const env = { PATH: process.env.PATH, HOME: home, RIFFD_STATE_DIR: join(home, "state"), ...npmSettings() };

try {
  const [packed] = JSON.parse(npm(REPOSITORY, "pack", "--json", "--pack-destination", scratch)) as [Packed];
  checkFiles(packed);
  checkLinks(packed);
  checkMetadata(packed);
  lint(packed);
  cpSync(join(REPOSITORY, "examples"), join(home, "examples"), { recursive: true });
  cpSync(join(scratch, packed.filename), join(installed, "riffd.tgz"));
  writeFileSync(join(installed, "package.json"), JSON.stringify({ private: true }));
  npm(installed, "install", "--no-audit", "--no-fund", "./riffd.tgz");
  await use();
  say(`the package works: ${packed.files.length} files, ${packed.size} bytes packed, ${packed.unpackedSize} unpacked`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function checkFiles({ files, ...sizes }: Packed): void {
  const paths = files.map(({ path }) => path);
  const expected = [...EXPECTED, SERVICES];
  check(
    paths.filter((path) => !expected.some((pattern) => pattern.test(path))),
    [],
    "files that were not meant",
  );
  for (const pattern of EXPECTED)
    check(
      paths.some((path) => pattern.test(path)),
      true,
      `something like ${pattern}`,
    );
  const modules = readdirSync(join(REPOSITORY, "src"), { recursive: true, encoding: "utf8" });
  const sources = modules.filter((path) => path.endsWith(".ts")).map((path) => `dist/${path.slice(0, -3)}.js`);
  check(paths.filter((path) => path.startsWith("dist/")).sort(), sources.sort(), "what src is built to");
  for (const name of ["size", "unpackedSize"] as const)
    check(sizes[name] < MAX_BYTES[name], true, `${name} is bounded`);
  say(`packed: ${paths.length} files`);
}

/** Whoever has the package alone can follow every link in it, also those to folders. */
function checkLinks({ files }: Packed): void {
  const paths = files.map(({ path }) => path);
  const links = paths.filter((path) => path.endsWith(".md")).flatMap(followedLinksOf);
  const dangling = links.filter(({ file }) => !paths.some((path) => path === file || path.startsWith(`${file}/`)));
  check(dangling, [], "links out of the package");
  say(`links: ${links.length} lead to files of the package`);
}

/** What cannot be told apart from a typing error by npm. */
function checkMetadata({ filename }: Packed): void {
  const manifest = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8"));
  const lock = JSON.parse(readFileSync(join(REPOSITORY, "package-lock.json"), "utf8"));
  const changelog = readFileSync(join(REPOSITORY, "CHANGELOG.md"), "utf8");
  check([lock.version, lock.packages[""].engines], [manifest.version, manifest.engines], "the lock is of this version");
  check(/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(manifest.version), true, "the version is a semantic one");
  check(changelog.includes(`\n## ${manifest.version} `), true, "the changelog has this version");
  check(readFileSync(join(REPOSITORY, "README.md"), "utf8").includes(filename), true, "the README names this package");
}

/** Suggestions count too. */
function lint({ filename }: Packed): void {
  const { error, stdout } = spawnSync("publint", ["run", join(scratch, filename), "--strict"], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  if (error !== undefined) throw error;
  check(stdout.split("Linting...\n")[1]?.trim(), "All good!", "publint");
  say("publint: finds nothing");
}

/** As a newcomer does; then the daemon. */
async function use(): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8"));
  check(riffd("--version").trim(), version, "riffd --version");
  const sync = riffd("sync", "--all", "--projects", join(home, "examples/projects"));
  check(sync.split("\n")[0], "✓ imported: 4 sessions, 61 messages", "riffd sync");
  check(/^✓ 4 sessions verified/.test(riffd("verify", "--all")), true, "riffd verify");
  const daemon = spawn("npx", ["riffd", "start", "--projects", join(home, "examples/projects")], {
    cwd: installed,
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => daemon.on("close", resolve));
  try {
    await untilReady();
    check(riffd("export", "f92beda8").length > 0, true, "riffd export, through the daemon");
    riffd("stop");
    check(await ended, 0, "the daemon's exit code");
  } finally {
    daemon.kill("SIGKILL");
  }
}

async function untilReady(): Promise<void> {
  const deadline = Date.now() + ALL_LIVE_MS;
  for (;;) {
    try {
      if (JSON.parse(riffd("status", "--json")).ready) return say("riffd start: ready");
    } catch (thrown) {
      if (Date.now() > deadline) throw thrown;
    }
    if (Date.now() > deadline) throw new Error("the daemon did not become ready");
    await sleep(200);
  }
}

function riffd(...args: string[]): string {
  return execFileSync("npx", ["riffd", ...args], { cwd: installed, env, encoding: "utf8", stdio: "pipe" });
}

function npm(cwd: string, ...args: string[]): string {
  return execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Where npm's own settings name a registry, they hold in the new home too. */
function npmSettings(): Record<string, string> {
  const settings = Object.entries(process.env).filter(([name]) =>
    /^npm_config_(registry|userconfig|cache)$/i.test(name),
  );
  return Object.fromEntries(settings) as Record<string, string>;
}

function check(found: unknown, wanted: unknown, what: string): void {
  const [one, other] = [found, wanted].map((value) => JSON.stringify(value));
  if (one !== other) throw new Error(`${what}: ${one}, and not ${other}`);
}

function say(line: string): void {
  process.stdout.write(`✓ ${line}\n`);
}
