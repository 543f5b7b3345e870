// What can stand on a command line, from the commands that there are: what the scripts for all shells are written from.
import type { Argument, Command, Option } from "commander";

/** What completes a word. */
export type Values =
  | { readonly kind: "choices"; readonly choices: readonly string[] }
  | { readonly kind: "sessions" | "files" | "folders" | "free" };

export interface NamedOption {
  /** "-o", "--output". */
  readonly names: readonly string[];
  readonly about: string;
  /** null: it takes none. */
  readonly values: Values | null;
}

export interface Named {
  /** From the program's name on: "riffd config show". */
  readonly path: string;
  /** What it may also be called, in the same form. */
  readonly otherPaths: readonly string[];
  readonly name: string;
  readonly about: string;
  readonly options: readonly NamedOption[];
  /** Of its first argument, which for lists is that of all; null: it takes none. */
  readonly values: Values | null;
  readonly commands: readonly Named[];
}

/** What there is help on. */
interface Subject {
  readonly name: string;
  readonly about: string;
  readonly commands?: readonly Subject[];
}

/** The program with all its commands, but for those that are hidden; below `help` stand all of them, and topics. */
export function describeProgram(program: Command, topics: readonly Subject[]): Named {
  const { commands, ...described } = describeCommands(program);
  const others = topics.filter((topic) => commands.every(({ name }) => name !== topic.name));
  const withSubjects = (help: Named) => ({ ...help, commands: helpOn([...commands, ...others], help) });
  return { ...described, commands: commands.map((one) => (one.name === "help" ? withSubjects(one) : one)) };
}

function helpOn(subjects: readonly Subject[], help: Named): Named[] {
  return subjects.map(({ name, about, commands = [] }) => {
    const page = { ...help, path: `${help.path} ${name}`, name, about };
    return { ...page, commands: helpOn(commands, page) };
  });
}

function describeCommands(command: Command, parent = ""): Named {
  const help = command.createHelp();
  const [before, name] = [parent === "" ? "" : `${parent} `, command.name()];
  const [argument] = command.registeredArguments;
  return {
    path: before + name,
    otherPaths: command.aliases().map((alias) => before + alias),
    name,
    about: command.description(),
    options: help.visibleOptions(command).map(describeOption),
    values: argument === undefined ? null : valuesOf(argument),
    commands: help.visibleCommands(command).map((child) => describeCommands(child, before + name)),
  };
}

/** A command and all below it. */
export function allCommands(command: Named): Named[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function describeOption(option: Option): NamedOption {
  const names = [option.short, option.long].filter((name) => name !== undefined && name !== null);
  const takesValue = option.required || option.optional;
  return { names, about: option.description, values: takesValue ? valuesOf(option) : null };
}

/** By what stands between the brackets, as in `<file>`. */
const KINDS: Readonly<Record<string, "sessions" | "files" | "folders">> = {
  session: "sessions",
  "session|message": "sessions",
  file: "files",
  target: "files",
  dir: "folders",
};

function valuesOf(given: Option | Argument): Values {
  if (given.argChoices !== undefined) return { kind: "choices", choices: given.argChoices };
  const placeholder = "flags" in given ? (/[<[](.+?)[\]>]/.exec(given.flags)?.[1] ?? "") : given.name();
  return { kind: KINDS[placeholder] ?? "free" };
}
