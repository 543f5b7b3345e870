// README.md and docs/: every command line is one that riffd takes, and all that can be run are run; links lead somewhere.
// docs/querying.md has a test of its own for its queries.
import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { rewrite, TEAPOT } from "./fixtures/stores/history.ts";
import {
  anchorOf,
  argumentsOf,
  type Block,
  blocksOf,
  headingsOf,
  inlineCommands,
  linksOf,
  pages,
  readPage,
} from "./support/documented.ts";
import { killRunning, startScript } from "./support/riffd.ts";
import { removeScratch, scratchFolder } from "./support/workbench.ts";

const REPOSITORY = fileURLToPath(new URL("../", import.meta.url));
const PAGES = pages().filter((page) => page === "README.md" || page.startsWith("docs/"));

/** What is not run, and why. All of it is parsed. */
const NOT_RUN: readonly (readonly [RegExp, string])[] = [
  [/^(git clone|npm) /, "installs: .ci/run and npm run test:package do that"],
  [/^docker /, "needs Docker: docker/rehearse.sh"],
  [/db\.example\.org/, "there is no such server"],
  [/^riffd serve( --user me)?$/, "serves at a port that others may have: test/serve"],
  [/^riffd sync --force$/, "names what an option does"],
  [/^riffd start$|--watch$/, "runs until it is ended: the block of README.md does"],
  [/^riffd service\b/, "changes what the system starts"],
  [/^(riffd|npx \.) (demo|doctor)\b/, "has a test of its own"],
  [/^loginctl /, "changes what the system starts"],
  [/path\/to/, "names a place of the reader's"],
];
/** Sections whose blocks need a server at a certain port: test/network runs the same. */
const SERVED = ["Into a server in another process", "The server is unplugged in the middle"];
/** Runs until it is ended; it is, when it has said this. */
const ENDLESS: readonly (readonly [RegExp, RegExp])[] = [
  [/\bstart /, /caught up/],
  [/ --follow$/, /message_added .* c27df708/],
];

/** What stands for something else, and an example of it. */
const PLACEHOLDERS: readonly (readonly [string, string])[] = [
  ["<session or message>", "f92beda8"],
  ["<folder or file>", "backups"],
  ["<session…>", "f92beda8"],
  ["[session…]", "f92beda8"],
  ["<session>", "f92beda8"],
  ["[session]", "f92beda8"],
  ["<file>", "store.riffd-backup"],
  ["'SURREALQL'", "'RETURN 1'"],
];

const running: ReturnType<typeof spawn>[] = [];
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  killRunning();
  await removeScratch();
});

function isNotRun(command: string): boolean {
  return NOT_RUN.some(([pattern]) => pattern.test(command));
}

/** With examples in the place of what stands for something; every part that may be left out is there. */
function filledIn(command: string): string {
  let text = command;
  for (const [placeholder, example] of PLACEHOLDERS) text = text.replaceAll(placeholder, example);
  return text
    .replace(/\[(-[^\]]+)\]/g, "$1")
    .replace(/\[FILE\]/, "FILE")
    .replace(/ < \S+$/, "");
}

interface Parsed {
  readonly args: readonly string[];
  /** null: it is a command line that riffd would run, or help that it gives. */
  readonly error: string | null;
}

/** What commander says of these arguments, with all commands and options that riffd has; nothing is run. */
async function parsed(calls: readonly string[][]): Promise<Parsed[]> {
  const { code, stdout } = await startScript(
    scratchFolder(),
    `const { Command } = await import("commander");
     const { action, parseAsync } = Command.prototype;
     Command.prototype.action = function () { return action.call(this, () => {}); };
     Command.prototype.parseAsync = async function () {
       const told = [];
       for (const args of ${JSON.stringify(calls)}) {
         const error = await parseAsync.call(this, args, { from: "user" })
           .then(() => null, (thrown) => (thrown.exitCode === 0 ? null : thrown.message));
         told.push({ args, error });
       }
       console.log(JSON.stringify(told));
     };
     await load("cli.js");`,
  ).ended;
  expect(code).toBe(0);
  // Help that was asked for stands before it.
  return JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Parsed[];
}

const blocks = PAGES.flatMap(blocksOf);
const inline = [...new Set(PAGES.flatMap(inlineCommands))];

test("every command line is one that riffd takes", async () => {
  const typed = blocks.flatMap(({ lines }) => lines.map(({ command }) => command));
  const mentioned = inline.filter((command) => !typed.includes(command));
  const calls = argumentsOf([...typed, ...mentioned].map(filledIn));
  expect(calls.flat().length).toBeGreaterThan(40);
  expect(mentioned.filter((_, i) => calls[typed.length + i]!.length === 0)).toEqual([]); // none is refused by the shell
  const refused = (await parsed(calls.slice(0, typed.length).flat())).filter(({ error }) => error !== null);
  expect(refused).toEqual([]);
  // Running text may leave out what must be given, and then names a command that there is.
  const inText = (await parsed(calls.slice(typed.length).flat())).filter(({ error }) => error !== null);
  expect(inText.filter(({ error }) => !/missing required argument|required option|outputHelp/.test(error!))).toEqual(
    [],
  );
});

test("a command line that riffd does not take is noticed", async () => {
  const calls = argumentsOf([
    "riffd sink --all",
    "X=1 riffd sync --al | jq .a",
    "riffd export",
    "npx . stop 'a b' c",
  ]).flat();
  expect(calls).toEqual([["sink", "--all"], ["sync", "--al"], ["export"], ["stop", "a b", "c"]]);
  expect((await parsed(calls)).map(({ error }) => error)).toEqual([
    expect.stringContaining("unknown command 'sink'"),
    expect.stringContaining("unknown option '--al'"),
    expect.stringContaining("missing required argument 'session'"),
    expect.stringContaining("too many arguments"),
  ]);
});

/** A machine of somebody who has just cloned riffd: a home, and the sample in it. */
class Home {
  readonly path = scratchFolder();
  /** The cloned folder. */
  readonly clone = join(this.path, "riffd");
  readonly transcripts = join(this.path, ".claude/projects");

  constructor() {
    const examples = join(REPOSITORY, "examples");
    cpSync(examples, join(this.clone, "examples"), { recursive: true });
    cpSync(join(examples, "projects"), this.transcripts, { recursive: true });
    this.#becomeQuiet();
    writeFileSync(join(this.clone, "questions.surql"), "SELECT VALUE title FROM session;\n");
    mkdirSync(join(this.path, "bin"));
    symlinkSync(join(REPOSITORY, "dist/cli.js"), join(this.path, "bin/riffd"));
    writeFileSync(join(this.path, "bin/npx"), '#!/bin/sh\nshift\nexec riffd "$@"\n', { mode: 0o755 });
  }

  /** Takes the sample in, and what then happens to it, so that there is something of every kind. */
  fill(): void {
    this.run("riffd sync --all");
    const teapot = join(this.transcripts, TEAPOT);
    writeFileSync(teapot, rewrite(readFileSync(teapot, "utf8")));
    this.#becomeQuiet();
    this.run("riffd sync --all");
  }

  /** Runs it to its end; returns what it printed, on whatever. */
  run(command: string, isToSucceed = true): string {
    const script = isToSucceed ? `{ ${command}\n} 2>&1` : `{ ${command}\n} 2>&1 || true`;
    return execFileSync("bash", ["-o", "pipefail", "-c", script], {
      ...this.#settings(),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
  }

  /** Starts it, and ends it by Ctrl-C when it has printed `wanted`; `meanwhile` is done once it runs. */
  async runUntil(command: string, wanted: RegExp, meanwhile: (told: () => string) => Promise<void>): Promise<void> {
    const child = spawn("bash", ["-c", `exec ${command.replace(/^([A-Z_]+=\S+ )/, "env $1")} 2>&1`], this.#settings());
    running.push(child);
    let told = "";
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      told += text;
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    await meanwhile(() => told);
    await expect.poll(() => told, { timeout: 60_000, interval: 50 }).toMatch(wanted);
    child.kill("SIGINT");
    expect([command, await ended]).toEqual([command, 0]);
  }

  /** Runs `body` while a daemon runs. */
  async withDaemon(body: () => Promise<void>): Promise<void> {
    await this.runUntil("riffd start --log-format json", /stopping/, async (told) => {
      await expect.poll(told, { timeout: 60_000, interval: 50 }).toMatch(/riffd starts/);
      await expect.poll(() => this.run("riffd status --json", false), { timeout: 60_000 }).toMatch(/"ready":true/);
      await body();
      this.run("riffd stop", false); // the body may have
    });
  }

  /** As the page has it, in this home. */
  placed(text: string): string {
    return text.replaceAll("/tmp/", "/home/ada/tmp/").replaceAll("/home/ada", this.path);
  }

  #settings() {
    const { PATH } = process.env;
    mkdirSync(join(this.path, "tmp"), { recursive: true });
    return {
      cwd: realpathSync(this.clone),
      env: { PATH: `${join(this.path, "bin")}:${PATH}`, HOME: this.path, RIFFD_SERVE_PASS: "correct-horse" },
    };
  }

  #becomeQuiet(): void {
    const hourAgo = Date.now() / 1000 - 3600;
    for (const folder of [this.transcripts, join(this.clone, "examples/projects")]) {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        utimesSync(join(folder, name), hourAgo, hourAgo);
      }
    }
  }
}

/** What is no riffd, and only takes what it prints. */
const READER = / \| jq .*$/;

async function runLine(home: Home, command: string): Promise<string> {
  const line = home.placed(command);
  const endless = ENDLESS.find(([pattern]) => pattern.test(line));
  if (endless === undefined) return home.run(line.replace(READER, ""), !line.startsWith("ls "));
  const somethingHappens = async () => {
    if (line.includes("--follow")) await appendToOther(home);
  };
  await home.runUntil(line, endless[1], somethingHappens);
  return "";
}

/** A message, to a session that nothing else happens to, until it is told. */
async function appendToOther(home: Home): Promise<void> {
  const session = "c27df708-781b-4b0e-8fa7-96756fc21ca4";
  const file = join(home.transcripts, `-home-mira-code-tidewatch/${session}.jsonl`);
  const message = { parentUuid: null, type: "user", sessionId: session, uuid: "0d9b7a52-1111-4d3a-8f25-1e0c4b7d9a10" };
  writeFileSync(file, `${JSON.stringify({ ...message, message: { role: "user", content: "And then?" } })}\n`, {
    flag: "a",
  });
}

/** Without what differs from run to run. */
function settled(output: string): string {
  return output.replace(/\d+\.\d s/g, "… s");
}

function needsDaemon({ lines }: Block): boolean {
  return lines.some(({ command }) => / --follow\b| --unix-socket |^riffd (status|stop)\b/.test(command));
}

const runnable = blocks
  .map((block) => ({ ...block, lines: block.lines.filter(({ command }) => !isNotRun(command)) }))
  .filter(({ heading, lines }) => lines.length > 0 && !SERVED.includes(heading))
  .map((block) => [`${block.page}, ${block.heading}: ${block.lines[0]!.command}`, block] as const);

describe("the lines of a block do what the page says", () => {
  test("there are such blocks", () => {
    expect(runnable.length).toBeGreaterThan(5);
  });

  test.each(runnable)("%s", async (_, block) => {
    const home = new Home();
    const isFresh = block.page === "docs/walkthrough.md";
    // What a daemon tells depends on who writes meanwhile; paths are Linux's.
    const isShown = !needsDaemon(block) && process.platform === "linux";
    if (!isFresh) home.fill();
    const all = async () => {
      for (const { command, output } of block.lines) {
        const told = await runLine(home, command);
        if (isShown && output !== "") expect(settled(told)).toBe(settled(home.placed(output)));
      }
    };
    await (needsDaemon(block) ? home.withDaemon(all) : all());
  });
});

test("commands in running text that are whole can be run", async () => {
  const whole = inline.filter((command) => !/[<[…A-Z]|path\/to/.test(command) && !isNotRun(command));
  const calls = argumentsOf(whole).map(([args]) => args!);
  const answers = await parsed(calls);
  const chosen = whole.filter((command, i) => answers[i]!.error === null && command !== "riffd stop");
  expect(chosen).toContain("riffd sync --all");
  const home = new Home();
  home.fill();
  await home.withDaemon(async () => {
    for (const command of chosen) {
      expect([command, home.run(command)]).toEqual([command, expect.stringMatching(/\S/)]);
    }
  });
});

describe("links", () => {
  test.each(pages())("of %s lead to files and headings that there are", (page) => {
    for (const { file, anchor } of linksOf(page)) {
      expect([file, existsSync(join(REPOSITORY, file))]).toEqual([file, true]);
      if (anchor !== "") expect(headingsOf(readPage(file)).map(anchorOf)).toContain(anchor);
    }
  });
});
