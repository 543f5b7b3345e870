// The command line as a whole: what it says of itself holds.
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { createProgram } from "../../src/cli/program.ts";
import type { Run } from "../../src/cli/run.ts";
import { RiffError } from "../../src/errors.ts";
import { Signals } from "../../src/runtime/signals.ts";

const run: Run = {
  version: "1.2.3",
  output: { line() {}, note() {} },
  signals: new Signals({ drain() {}, abort() {} }, () => {}),
  interrupt: new AbortController().signal,
  exitCode: 0,
};

/** The program, whose commands do nothing but note what they were called with. */
function rehearsed(): { program: Command; commands: Command[]; called: string[] } {
  const program = createProgram(run);
  const commands = below(program);
  const called: string[] = [];
  for (const command of commands) {
    if (command.commands.length === 0) command.action(() => void called.push(pathOf(command)));
    command.exitOverride().configureOutput({ writeErr() {} });
  }
  return { program, commands, called };
}

function below(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...below(child)]);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** All that `--help` prints. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut(words) {
      text += words;
    },
  });
  command.outputHelp();
  return text;
}

/** The lines below "Examples:", without what is said of them. */
function examplesOf(command: Command): string[] {
  const [, below = ""] = helpOf(command).split("\nExamples:\n");
  return below
    .split("\n")
    .filter((line) => line.startsWith("  "))
    .map((line) => line.trim().split(/ {3,}/)[0]!);
}

/** The words of riffd's part of a line, as a shell takes them. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => ({ text: quoted ?? bare!, bare }));
  const end = words.findIndex(({ bare }) => bare !== undefined && ["|", ">", "<", ">>"].includes(bare));
  const own = (end < 0 ? words : words.slice(0, end)).map(({ text }) => text);
  return own.slice(own.indexOf("riffd"));
}

const visible = rehearsed().commands.filter((command) => command.name() !== "complete");

describe("every command", () => {
  test.each(visible.map((command) => [pathOf(command), command] as const))(
    "%s has examples that parse",
    async (_, command) => {
      const lines = examplesOf(command);
      expect(lines).not.toEqual([]);
      for (const line of lines) {
        const { program, called } = rehearsed();
        const [name, ...words] = wordsOf(line);
        expect([line, name]).toEqual([line, "riffd"]);
        await program.parseAsync(words, { from: "user" });
        expect([line, called]).toEqual([line, [expect.stringMatching(/^riffd /)]]);
      }
    },
  );

  test("says what it is, and what each of its options and arguments is", () => {
    for (const command of visible) {
      const told = [command, ...command.options, ...command.registeredArguments].map((part) =>
        "registeredArguments" in part ? part.description() : part.description,
      );
      expect([pathOf(command), told.every((text) => text.length > 3)]).toEqual([pathOf(command), true]);
    }
  });

  test("tells what holds where an option is not given", () => {
    const told = (path: string) => helpOf(visible.find((command) => pathOf(command) === path)!).replace(/\s+/g, " ");
    expect(told("riffd stop")).toContain("how long to wait until it has ended (default: 60)");
    expect(told("riffd serve")).toContain("viewer, editor, owner (default: editor)");
    expect(told("riffd start")).toContain("error or fatal (default: info, unless configured)");
    for (const command of visible)
      expect(helpOf(command)).not.toMatch(/default: (false|\[|$)|default: [^)]*default: /m);
  });

  test("names a shell where none is given", async () => {
    const { program } = rehearsed();
    program.configureOutput({ writeErr() {} });
    await expect(program.parseAsync(["completion"], { from: "user" })).rejects.toThrow(/bash\|zsh\|fish/);
  });

  test("that is not there is refused", async () => {
    const { program } = rehearsed();
    program.configureOutput({ writeErr() {} });
    await expect(program.parseAsync(["sink"], { from: "user" })).rejects.toThrow(/unknown command 'sink'/);
  });
});

describe("riffd help", () => {
  const help = async (...words: string[]) => {
    let text = "";
    const program = createProgram({ ...run, output: { line: (line) => (text += `${line}\n`), note() {} } });
    for (const command of [program, ...below(program)]) {
      command.configureOutput({ writeOut: (words) => (text += words) });
    }
    await program.parseAsync(["help", ...words], { from: "user" });
    return text;
  };

  test("lists all commands and all topics", async () => {
    const text = await help();
    for (const command of visible.filter(({ parent }) => parent?.parent === null)) {
      expect(text).toMatch(new RegExp(`^  ${command.name()} `, "m"));
    }
    for (const topic of ["config", "daemon", "exit-codes", "privacy", "queries", "sessions", "stores"]) {
      expect(text.slice(text.indexOf("Topics"))).toMatch(new RegExp(`^  ${topic} `, "m"));
    }
    expect(text).not.toMatch(/^ {2}complete /m);
  });

  test("on a topic gives the page of the documentation, without its markup", async () => {
    const codes = await help("exit-codes");
    expect(codes).toContain("RIFF_DOCTOR_PROBLEMS\n  exit code: 29\n");
    expect(await help("config")).toMatch(/^debounce_ms$/m);
    expect(await help("config")).toContain("riffd config --help");
    expect(await help("queries")).toContain("    SELECT * FROM session:⟨");
    for (const topic of ["daemon", "exit-codes", "privacy", "sessions", "stores"]) {
      const text = await help(topic);
      expect([topic, text.length > 500]).toEqual([topic, true]);
      expect(text).not.toMatch(/^#|^\||\]\(|\*\*|<!--/m);
      expect(
        Math.max(
          ...text
            .split("\n")
            .filter((line) => !line.startsWith("    "))
            .map((line) => line.length),
        ),
      ).toBeLessThanOrEqual(100);
    }
  });

  test("on a command is what its --help gives", async () => {
    expect(await help("sync")).toContain("--dry-run");
    expect(await help("sync:surrealdb")).toContain("--dry-run");
    expect(await help("config", "check")).toContain("a config file instead");
  });

  test("on anything else says what there is", async () => {
    for (const words of [["sink"], ["config", "sink"], ["toString"], ["daemon", "status"]]) {
      const failure = await help(...words).catch((thrown: unknown) => thrown);
      expect(failure).toBeInstanceOf(RiffError);
      expect(failure).toMatchObject({ code: "RIFF_USAGE", hint: expect.stringContaining("exit-codes") });
    }
  });
});
